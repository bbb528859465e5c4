"""Make the inputs of the comparison: a language model in the Hugging Face layout, token rows, and held-out streams.

In: a `Workload`. Out: a folder that every competitor reads. Runs in the kit's environment.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from benchmarks.outcome import HELD_OUT_FILE
from benchmarks.workload import EMBEDDED, MODEL_FOLDER, ROWS_FILE, WORK_FILE, Workload

if TYPE_CHECKING:
    from transformers import GPTNeoXForCausalLM

READ_AHEAD_TOKENS = 65_536  # peers fill buffers beyond what they train on; more rows keep them from starting over
HELD_OUT_TOKENS = 4096
END_OF_TEXT = "<|endoftext|>"


class Rows(NamedTuple):
    """Token rows of both uses."""

    train: Int32[np.ndarray, "rows context"]
    held_out: Int32[np.ndarray, "others context"]


def write_inputs(work: Workload, folder: Path) -> str:
    """Make the model, its tokenizer, the rows and the held-out streams in `folder`.

    Returns:
        SHA-256 of the rows.
    """
    from safetensors.numpy import save_file

    from saelib.language.corpus.rows import hash_tokens

    if work.language_model == EMBEDDED:
        copy_embedded_model(work, folder / MODEL_FOLDER)
        rows = docstring_rows(work, folder / MODEL_FOLDER)
    else:
        build_random_model(work, folder / MODEL_FOLDER)
        rows = random_rows(work)
    save_file({"rows": rows.train}, folder / ROWS_FILE)
    write_held_out_streams(rows.held_out, work, folder)
    write_work(work, folder)
    return hash_tokens(rows._asdict())


def write_work(work: Workload, folder: Path) -> None:
    """Say how much is to be done, with the model and rows that are there."""
    (folder / WORK_FILE).write_text(json.dumps(asdict(work)), encoding="utf-8")


def rows_wanted(work: Workload) -> tuple[int, int]:
    """How many rows are needed: to train on, and held out."""
    tokens = max(work.tokens, work.experiment_tokens) + READ_AHEAD_TOKENS
    return tokens // work.context, max(1, HELD_OUT_TOKENS // work.context)


def docstring_rows(work: Workload, model: Path) -> Rows:
    """Rows of the default run's corpus, in its order; from the beginning again where the work is longer."""
    from transformers import AutoTokenizer

    from saelib.language.corpus.load import load_corpus

    train, held_out = rows_wanted(work)
    corpus = load_corpus("docstrings", AutoTokenizer.from_pretrained(model), work.context, held_out, work.seed)
    return Rows(corpus.train.take(0, train), corpus.held_out)


def random_rows(work: Workload) -> Rows:
    """Rows of random token ids."""
    train, held_out = rows_wanted(work)
    shape = (train + held_out, work.context)
    rows = np.random.default_rng(work.seed).integers(0, work.vocabulary, shape, dtype=np.int32)
    return Rows(rows[:train], rows[train:])


def write_held_out_streams(rows: Int32[np.ndarray, "rows context"], work: Workload, folder: Path) -> None:
    """Keep the residual streams after every layer of the bare model, [layers, tokens, d_model], float32."""
    import torch
    from safetensors.torch import save_file
    from transformers import GPTNeoXForCausalLM

    model = GPTNeoXForCausalLM.from_pretrained(folder / MODEL_FOLDER)
    streams: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        streams.append((output[0] if isinstance(output, tuple) else output).flatten(0, 1))

    for layer in model.gpt_neox.layers:
        layer.register_forward_hook(keep)
    with torch.no_grad():
        model(torch.from_numpy(rows).long())
    save_file({"streams": torch.stack(streams)}, folder / HELD_OUT_FILE)


def copy_embedded_model(work: Workload, folder: Path) -> None:
    """Save the model that ships with the kit in float32, since peers take the precision that the file has.

    Raises:
        ValueError: the work names other sizes than the model's.
    """
    import torch
    from transformers import AutoTokenizer, GPTNeoXForCausalLM

    from saelib.language.embedded import EMBEDDED_FOLDER

    model = GPTNeoXForCausalLM.from_pretrained(EMBEDDED_FOLDER, dtype=torch.float32)
    sizes = model_sizes(model)
    wrong = {name: getattr(work, name) for name, size in sizes.items() if getattr(work, name) != size}
    if wrong:
        raise ValueError(f"{wrong}: the embedded model has {sizes}; other sizes need --language-model random")
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(EMBEDDED_FOLDER).save_pretrained(folder)


def model_sizes(model: "GPTNeoXForCausalLM") -> dict[str, int]:
    """Sizes by their names in `Workload`."""
    config = model.config
    return {"layers": config.num_hidden_layers, "d_model": config.hidden_size, "vocabulary": config.vocab_size}


def build_random_model(work: Workload, folder: Path) -> None:
    """Save a GPT-NeoX of random weights and a tokenizer of its vocabulary, in the Hugging Face layout."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(work.seed)
    config = GPTNeoXConfig(
        vocab_size=work.vocabulary,
        hidden_size=work.d_model,
        num_hidden_layers=work.layers,
        num_attention_heads=max(1, work.d_model // 32),
        intermediate_size=4 * work.d_model,
        max_position_embeddings=work.context,
        initializer_range=0.1,  # residual vectors of a trained model's size; the default's are near zero
        bos_token_id=0,
        eos_token_id=0,
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    words = {END_OF_TEXT: 0} | {f"w{index}": index for index in range(1, work.vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=END_OF_TEXT))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT, unk_token=END_OF_TEXT
    ).save_pretrained(folder)
