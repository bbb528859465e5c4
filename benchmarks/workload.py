"""The work that every competitor is given, and the one line in which it reports how long that took.

In: a `Workload`. Out: a folder with the random-weight language model and the token rows, read by both environments,
so this module imports nothing of the kit and nothing of a peer.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

MODEL_FOLDER, ROWS_FILE, WORK_FILE = "model", "rows.safetensors", "workload.json"
READ_AHEAD_TOKENS = 65_536  # peers fill buffers beyond what they train on; more rows keep them from starting over
WARM_UP_BATCHES = 4
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Workload:
    """Sizes of the comparison; the defaults are those of the kit's embedded model."""

    layers: int = 6
    """Layers of the language model; one SAE each."""
    d_model: int = 128
    """Width of the residual stream."""
    d_sae: int = 1024
    """Features of an SAE."""
    vocabulary: int = 4096
    """Token ids of the language model."""
    context: int = 256
    """Tokens in a row."""
    batch_tokens: int = 4096
    """Tokens in an optimiser step."""
    tokens: int = 409_600
    """Training tokens of each SAE in the one-pass comparison."""
    experiment_tokens: int = 98_304
    """Training tokens of each from-scratch SAE in the whole experiment; a transfer gets half, as in the paper."""
    seed: int = 0
    """Seed of weights and rows."""
    device: str = "cpu"
    """Where language model and SAEs live, for every competitor."""

    def __post_init__(self) -> None:
        """Refuse sizes that a competitor could not take."""
        unit = 4 * self.batch_tokens  # so that half of it, a transfer, is still a whole number of the kit's chunks
        divisors = {"batch_tokens": self.context, "d_sae": self.d_model, "tokens": unit, "experiment_tokens": unit}
        for name, divisor in divisors.items():
            if getattr(self, name) <= 0 or getattr(self, name) % divisor:
                raise ValueError(f"{name}={getattr(self, name)}: must be a multiple of {divisor}")

    @property
    def layer_indices(self) -> range:
        """All layers, from the first."""
        return range(self.layers)

    @property
    def transfer_tokens(self) -> int:
        """Training tokens of each transferred SAE in the whole experiment."""
        return self.experiment_tokens // 2

    @property
    def warm_up(self) -> "Workload":
        """The same work, a few steps long: run untimed first, so that caches and kernels are made."""
        few = WARM_UP_BATCHES * self.batch_tokens
        return replace(self, tokens=few, experiment_tokens=few)


@dataclass(frozen=True)
class Timing:
    """What one competitor needed, from the start of training to its end, harvest of activations included."""

    seconds: float
    """Wall time, without imports and without loading the model."""
    sae_tokens: int
    """Training tokens summed over all SAEs."""
    settings: str
    """What was set, in words."""
    packages: tuple[str, ...]
    """Distributions whose versions the table names."""
    details: dict[str, Any] = field(default_factory=dict)
    """More numbers, for the CSV."""


Measure = Callable[[Workload, Path], Timing]


def write_inputs(work: Workload, folder: Path) -> None:
    """Make the model, its tokenizer and the rows in `folder`."""
    from safetensors.numpy import save_file

    build_random_model(work, folder / MODEL_FOLDER)
    count = (max(work.tokens, work.experiment_tokens) + READ_AHEAD_TOKENS) // work.context
    rows = np.random.default_rng(work.seed).integers(0, work.vocabulary, (count, work.context), dtype=np.int32)
    save_file({"rows": rows}, folder / ROWS_FILE)
    (folder / WORK_FILE).write_text(json.dumps(asdict(work)), encoding="utf-8")


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


def read_rows(folder: Path) -> Int32[np.ndarray, "rows context"]:
    """Token rows of the comparison, in order."""
    from safetensors.numpy import load_file

    return load_file(folder / ROWS_FILE)["rows"]


@contextmanager
def stopwatch(device: str) -> Iterator[list[float]]:
    """A list that holds the block's wall time in seconds once the block has ended."""
    import torch

    elapsed: list[float] = []
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    start = time.perf_counter()
    yield elapsed
    wait()
    elapsed.append(time.perf_counter() - start)


def report(measures: Mapping[str, Measure]) -> None:
    """Run the measure that the command line names (`<folder> <measure>`), warm, and print its timing as JSON."""
    import torch

    folder, name = Path(sys.argv[1]), sys.argv[2]
    work = Workload(**json.loads((folder / WORK_FILE).read_text(encoding="utf-8")))
    measures[name](work.warm_up, folder)
    timing = measures[name](work, folder)
    result = asdict(timing) | {
        "sae_tokens_per_second": timing.sae_tokens / timing.seconds,
        "packages": {package: version(package) for package in ("torch", "transformers", *timing.packages)},
        "threads": torch.get_num_threads(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(result), flush=True)
