"""Language models in GGUF files, the format of llama.cpp: how does one become a folder that transformers reads?

In: a file of Llama's kind, in whatever number format. Out: a folder in the cache with float32 weights, a tokenizer and
a chat template, made once. Nothing in a file is run, and the package `gguf` alone reads it.

- `folder.gguf_folder`: that folder; `folder.gguf_record`: what the file says of itself
- `reading.open_gguf`: the file itself, settings and tensors
- `llama`: config and weights of a model; `tokenizer`: what turns text into tokens
- `smollm2`: SmolLM2-135M-Instruct, a model that comes as a package
"""
