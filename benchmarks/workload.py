"""The work that every competitor is given, and the one line in which it reports how long that took.

In: a `Workload`, and the folder that `inputs.write_inputs` made. Out: a `Timing`. Both environments read this module,
so it imports nothing of the kit and nothing of a peer.
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

from benchmarks.outcome import Outcome

MODEL_FOLDER, ROWS_FILE, WORK_FILE = "model", "rows.safetensors", "workload.json"
WARM_UP_BATCHES = 4
EMBEDDED, RANDOM = "embedded", "random"


@dataclass(frozen=True)
class Workload:
    """Sizes of the comparison; the defaults are those of the kit's default run, with fewer tokens."""

    language_model: str = EMBEDDED
    """ "embedded", the model that ships with the kit on docstrings; or "random", random weights on random rows."""
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
    batch_tokens: int = 1024
    """Tokens in an optimiser step."""
    chunk_tokens: int = 16_384
    """Tokens whose activations the kit and the bare loop hold at once; peers keep their own buffers."""
    tokens: int = 131_072
    """Training tokens of each SAE in the one-pass comparison."""
    experiment_tokens: int = 98_304
    """Training tokens of each from-scratch SAE in the whole experiment; a transfer gets half, as in the paper."""
    l1_coefficient: float = 14.0
    """lambda, weight of the summed features against the squared error summed over d_model."""
    learning_rate: float = 3e-3
    """Adam's."""
    seeds: int = 1
    """SAEs of each layer; more than one in the growth of the kit only."""
    seed: int = 0
    """Seed of the first SAE and of the order of the rows."""
    device: str = "cpu"
    """Where language model and SAEs live, for every competitor."""

    def __post_init__(self) -> None:
        """Refuse sizes that a competitor could not take."""
        if min(self.context, self.d_model, self.batch_tokens) < 1:
            raise ValueError("context, d_model and batch_tokens must be at least 1")
        chunk = self.chunk_tokens
        divisors = {"batch_tokens": self.context, "chunk_tokens": self.batch_tokens, "d_sae": self.d_model,
                    "layers": 1, "seeds": 1, "tokens": chunk, "experiment_tokens": 2 * chunk}  # fmt: skip
        for name, divisor in divisors.items():
            if getattr(self, name) <= 0 or getattr(self, name) % divisor:
                raise ValueError(f"{name}={getattr(self, name)}: must be a positive multiple of {divisor}")
        if self.language_model not in (EMBEDDED, RANDOM):
            raise ValueError(f"language_model={self.language_model!r}: {EMBEDDED!r} or {RANDOM!r}")

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
        """The same work, a few steps long: run untimed first, so that caches are filled and kernels are compiled."""
        few = WARM_UP_BATCHES * self.batch_tokens
        return replace(self, chunk_tokens=few // 2, tokens=few, experiment_tokens=few)


@dataclass
class Spent:
    """What a block of code needed; filled when it ends."""

    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    """User and system time of the process and of the children that it has waited for."""
    peak_memory_mb: int = 0
    """Most memory that the process has held until then, imports and loading included."""

    def __add__(self, other: "Spent") -> "Spent":
        peak = max(self.peak_memory_mb, other.peak_memory_mb)
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, peak)


@dataclass(frozen=True)
class Timing:
    """What one competitor needed, from the start of training to its end, harvest of activations included."""

    spent: Spent
    """Without imports and without loading the model."""
    sae_tokens: int
    """Training tokens summed over all SAEs."""
    outcome: Outcome
    """What the trained SAEs do, so that a reader sees whether equal work was done."""
    settings: str
    """What was set, in words."""
    packages: tuple[str, ...]
    """Distributions whose versions the table names."""
    details: dict[str, Any] = field(default_factory=dict)
    """More numbers."""


Measure = Callable[[Workload, Path], Timing]


def read_rows(folder: Path) -> Int32[np.ndarray, "rows context"]:
    """Token rows of the comparison, in order."""
    from safetensors.numpy import load_file

    return load_file(folder / ROWS_FILE)["rows"]


def process_cpu_seconds() -> float:
    """User and system time of this process and of its ended children, in seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextmanager
def stopwatch(device: str) -> Iterator[Spent]:
    """What the block needs, once it has ended."""
    import torch

    spent = Spent()
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    start, cpu_start = time.perf_counter(), process_cpu_seconds()
    yield spent
    wait()
    spent.seconds, spent.cpu_seconds = time.perf_counter() - start, process_cpu_seconds() - cpu_start
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    spent.peak_memory_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def report(measures: Mapping[str, Measure]) -> None:
    """Run the measure that the command line names (`<folder> <measure>`), warm, and print its timing as JSON."""
    import torch

    folder, name = Path(sys.argv[1]), sys.argv[2]
    work = Workload(**json.loads((folder / WORK_FILE).read_text(encoding="utf-8")))
    measures[name](work.warm_up, folder)
    timing = measures[name](work, folder)
    result = {
        **asdict(timing.spent),
        **timing.outcome._asdict(),
        "sae_tokens": timing.sae_tokens,
        "sae_tokens_per_second": timing.sae_tokens / timing.spent.seconds,
        "settings": timing.settings,
        "packages": {package: version(package) for package in ("torch", "transformers", *timing.packages)},
        "threads": torch.get_num_threads(),
        "details": timing.details,
    }
    print(json.dumps(result), flush=True)
