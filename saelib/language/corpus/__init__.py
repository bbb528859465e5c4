"""Text as rows of token ids: what does the model read, and which rows are held out?

In: the name of a source (docstrings or novels that are installed, files of the user's own, or a data set on the Hugging
Face Hub) and the tokenizer of the language model. Out: a `rows.Corpus`: training rows in a fixed order, held-out rows
from other documents, and a hash that goes into every result.

- `load.load_corpus`: by name
- `docstrings.documents`: the prose of installed Python source
- `austen.documents`: the chapters of Jane Austen's novels, from a package of R (`r_texts.character_vectors`)
- `text_files.read_documents`: text, JSON lines and parquet, gzipped or not, or a folder of them
- `text_lines.text_lines`: the lines of a UTF-8 text, or what is wrong with it
- `text.text_documents`, `text.split_of`: where a document ends, and which side it is on
- `streams.tokenize`, `streams.cached_streams`: from documents to token ids
- `hub.load_hub_corpus`: rows of a data set that is tokenised already
- `hub_files.training_files`: which files those are in
- `rows.hash_tokens`, `rows.shared_rows`: to tell rows apart
"""
