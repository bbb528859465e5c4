"""Text as rows of token ids: what does the model read, and which rows are held out?

In: the name of a source (the docstrings of this environment, a text file, or a data set on the Hugging Face Hub) and
the tokenizer of the language model. Out: a `rows.Corpus`: training rows in a fixed order, held-out rows from other
documents, and a hash that goes into every result.

- `load.load_corpus`: by name
- `text.split_documents`, `text.tokenize`: from documents to token ids
- `docstrings.documents`: the prose of installed Python source
- `hub.load_hub_corpus`: rows of a data set that is tokenised already
- `rows.hash_tokens`, `rows.shared_rows`: to tell rows apart
"""
