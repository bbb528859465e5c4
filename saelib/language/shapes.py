"""Shapes of language models, known without a network, and stand-ins of these shapes.

In: a name. Out: a `ModelShape`; a `LanguageModel` as large and as slow as the real one, that knows nothing; rows.
"""

import copy
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Int32

from saelib.language.embedded import EMBEDDED
from saelib.language.gguf.smollm2 import SMOLLM2
from saelib.language.gpt_neox_config import GPTNeoXConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from saelib.language.model import LanguageModel

INITIALIZER_RANGE = 0.1  # of random weights; transformers' own makes vectors near zero


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

    def random_model(self) -> "PreTrainedModel":
        """With weights of transformers' own drawing."""
        import transformers

        config = transformers.GPTNeoXConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.d_model,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.d_mlp,
            max_position_embeddings=self.context,
            initializer_range=INITIALIZER_RANGE,
            bos_token_id=0,
            eos_token_id=0,
        )
        return transformers.GPTNeoXForCausalLM(config)


@dataclass(frozen=True)
class ConfiguredShape(ModelShape):
    """Sizes of a model of another architecture, which is made by its config."""

    config: Any = None
    """transformers'."""

    @property
    def parameters(self) -> int:
        """Numbers in the model, counted."""
        import torch

        with torch.device("meta"):
            return sum(weight.numel() for weight in self._made(self.config).parameters())

    def random_model(self) -> "PreTrainedModel":
        """With weights of transformers' own drawing."""
        config = copy.deepcopy(self.config)
        config.initializer_range = INITIALIZER_RANGE
        return self._made(config)

    @staticmethod
    def _made(config: Any) -> "PreTrainedModel":
        from transformers import AutoModelForCausalLM

        return cast("PreTrainedModel", AutoModelForCausalLM.from_config(config))


# Biderman et al. 2023, "Pythia" (arXiv 2304.01373), Table 1, and config.json of EleutherAI/pythia-160m-deduped: the
# vocabulary is padded to 50,304, weights are published in float16.
PUBLISHED = {
    "EleutherAI/pythia-160m-deduped": ModelShape(
        layers=12, d_model=768, heads=12, d_mlp=3072, vocabulary=50304, context=2048, published_bytes=2
    ),
}


def shape_of(name: str) -> ModelShape:
    """The shape of a language model by name: one of `PUBLISHED`, or of one on this machine, as its config says.

    Raises:
        ValueError, FileNotFoundError: it is not known here, or its files cannot be read.
    """
    from saelib.language.loading import is_hub_name, load_config
    from saelib.language.sizes import longest_context

    if name in PUBLISHED:
        return PUBLISHED[name]
    if is_hub_name(name):
        known = ", ".join([EMBEDDED, SMOLLM2, *PUBLISHED])
        raise ValueError(
            f"the shape of {name!r} is not known offline; known: {known}, and any folder or GGUF file of a model"
        )
    config = load_config(name)
    d_model, context = config.hidden_size, longest_context(config)
    sizes = {
        "layers": config.num_hidden_layers,
        "d_model": d_model,
        "heads": config.num_attention_heads,
        "d_mlp": getattr(config, "intermediate_size", None) or 4 * d_model,
        "vocabulary": config.vocab_size,
        "context": sys.maxsize if context is None else context,
    }
    return ModelShape(**sizes) if isinstance(config, GPTNeoXConfig) else ConfiguredShape(**sizes, config=config)


def random_language_model(shape: ModelShape, device: str = "auto", seed: int = 0) -> "LanguageModel":
    """A model of a shape with random weights, whose residual vectors are about as long as a trained model's.

    It has no tokenizer; `RandomRows` are its text.
    """
    import torch

    from saelib.language.device import choose_device
    from saelib.language.model import LanguageModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = shape.random_model().eval()
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
