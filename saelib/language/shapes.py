"""Shapes of the presets' language models, known without a network, and stand-ins of these shapes.

In: a name. Out: a `ModelShape`; a `LanguageModel` as large and as slow as the real one, that knows nothing; rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Int32

from saelib.language.embedded import EMBEDDED, EMBEDDED_FOLDER
from saelib.run.reading import read_json

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a GPT-NeoX model."""

    layers: int
    d_model: int
    heads: int
    d_mlp: int
    vocabulary: int
    context: int
    """Longest row in tokens."""
    published_bytes: int = 4
    """Of a weight, in the file that is downloaded."""

    @property
    def parameters(self) -> int:
        """Numbers in the model: two embeddings, and for each layer attention, the wide middle and two norms."""
        d, wide = self.d_model, self.d_mlp
        layer = 4 * d * d + 4 * d + 2 * d * wide + wide + d + 4 * d
        return 2 * self.vocabulary * d + self.layers * layer + 2 * d


# Biderman et al. 2023, "Pythia" (arXiv 2304.01373), Table 1, and config.json of EleutherAI/pythia-160m-deduped: the
# vocabulary is padded to 50,304, weights are published in float16.
PUBLISHED = {
    "EleutherAI/pythia-160m-deduped": ModelShape(
        layers=12, d_model=768, heads=12, d_mlp=3072, vocabulary=50304, context=2048, published_bytes=2
    ),
}


def shape_of(name: str) -> ModelShape:
    """The shape of a language model by name: one of `PUBLISHED`, or the embedded one.

    Raises:
        ValueError: it is not known here.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    if name != EMBEDDED:
        raise ValueError(f"the shape of {name!r} is not known offline; known: {', '.join([EMBEDDED, *PUBLISHED])}")
    config = read_json(EMBEDDED_FOLDER / "config.json")
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size",
             "max_position_embeddings")  # fmt: skip
    return ModelShape(*(config[name] for name in names))


def random_language_model(shape: ModelShape, device: str = "auto", seed: int = 0) -> "LanguageModel":
    """A model of a shape with random weights, whose residual vectors are about as long as a trained model's.

    It has no tokenizer; `RandomRows` are its text.
    """
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from saelib.language.device import choose_device
    from saelib.language.model import LanguageModel

    config = GPTNeoXConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.d_model,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.d_mlp,
        max_position_embeddings=shape.context,
        initializer_range=0.1,  # the default's vectors are near zero
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPTNeoXForCausalLM(config).eval()
    name, no_tokenizer = f"random weights, {shape.layers} layers x {shape.d_model}", cast("Any", None)
    return LanguageModel(name, f"seed {seed}", model.to(choose_device(device)), no_tokenizer)


class RandomRows:
    """Rows of random token ids (`TokenRows`): row n is the same in every call."""

    def __init__(self, shape: ModelShape, context_length: int, seed: int = 0) -> None:
        self.shape, self.context_length, self.seed = shape, context_length, seed

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """Rows `start` to `start + count`."""
        rows = np.empty((count, self.context_length), np.int32)
        for index, row in enumerate(rows, start=start):
            row[:] = np.random.default_rng([self.seed, index]).integers(0, self.shape.vocabulary, self.context_length)
        return rows
