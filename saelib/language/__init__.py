"""The language model and its text: what reads, and what is read.

This room loads a causal language model by name (the embedded one, a folder, or one from the Hugging Face Hub) and a
corpus as rows of token ids that are split into train and held-out rows. In: two names and a tokenizer. Out: a
`LanguageModel`, whose residual streams the sparse autoencoders of the next room learn, a `Corpus`, and what a notebook
shows of both.

- `loading.load_language_model`, `loading.load_tokenizer`: by name; `device.choose_device`
- `model.LanguageModel`: `residual_streams`, `logits`, `logits_from`, `bridge`; `head_inputs_from`, `head` for losses
- `proof.check_pass`, `proof.MismatchError`: no pass is used before it is compared with the model itself
- `corpus.load.load_corpus`: by name; gives a `corpus.rows.Corpus`
- `tokenizing.first_tokens`, `tokenizing.end_of_text`: what a tokenizer puts in front of a text, and what ends one;
  `tokenizing.document_separator`: what stands between two documents
- `gguf`: models in GGUF files, SmolLM2 among them; `origin.model_origin`: what a reader must be told of a model
- `api.open_api_model`, `api.run_eval_set`: a model behind an API instead, by Inspect AI; `request_budget.RequestBudget`
- `predictions.loss_by_position`, `residuals.residual_geometry`: what the model predicts, how its layers lie
- `sinks.find_sink`: the token that takes up the attention which has nothing to attend to
- `reference.plain_loss`, `reference.plain_angular_distance`: the same numbers by a slow way, for checks
- `figures.loss`, `figures.norms`, `figures.angular_distances`
- `embedded`: the model that ships, and its recipe
"""
