"""What a training phase will hold in memory, before any work: the parts in bytes, and what fits.

In: the sizes of a phase, and the free memory of its device. Out: a `MemoryPlan`: parts with names, how many SAEs train
in one pass, and how many rows go through the language model at once. Formulae, not trials; tests hold them against the
tensors of real trainees.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from saelib.sae.autoencoder import CPU_TILE
from saelib.sae.config import TrainingConfig
from saelib.sae.training.sparse_step import DENSE_FROM

FLOAT, BFLOAT, INDEX = 4, 2, 8  # bytes
SPARE = 0.1  # share of the free memory left alone: fragments of the allocator, work space of the products
PASS_WIDTHS = 12  # residual streams' worth of what one layer holds at once: norms, queries to values, the wide middle
LOGIT_COPIES = 4  # clean log-probabilities and probabilities, a splice's logits, one for what is computed from them
STEP_WIDTHS = 4  # of [batch, d_sae]: before and after the ReLU, gradient before and after it
LISTED = 4 * DENSE_FROM  # of [tile, d_sae] in place of one of those on a CPU: two lists, of two numbers for each entry
Plan = TypeVar("Plan")


class ModelSizes(NamedTuple):
    """Of a language model, as `LanguageModel` says them."""

    n_layers: int
    d_model: int
    vocabulary: int
    parameters: int


@dataclass(frozen=True)
class PhaseSizes:
    """What decides the memory of a phase."""

    model: ModelSizes
    config: TrainingConfig
    saes: int
    """Trained side by side."""
    layers: int
    """Whose activations are wanted, among the SAEs of one pass."""
    evaluation_rows: int
    """In one forward pass of the evaluation."""
    device: torch.device
    """On a CPU a step goes tile by tile, one SAE to a thread."""
    strands: int = 1
    """Of one SAE at once: its trunk, and the branches that have left it."""

    @property
    def on_cpu(self) -> bool:
        """Whether the steps are those of `SparseTrainee` and `TiledTrainee`, not of `CudaTrainee`."""
        return self.device.type == "cpu"

    @property
    def side_by_side(self) -> int:
        """SAEs whose steps are computed at the same moment."""
        return min(torch.get_num_threads(), self.saes) if self.on_cpu else 1

    @property
    def step_widths(self) -> float:
        """Numbers of [tokens, d_sae] that a step makes; on a CPU a dense tile lies beside the lists of a sparse one."""
        return STEP_WIDTHS - 1 + LISTED if self.on_cpu else STEP_WIDTHS

    @property
    def step_tokens(self) -> int:
        """Tokens whose features are in memory at the same time."""
        tile = min(CPU_TILE, self.config.batch_tokens) if self.on_cpu else self.config.batch_tokens
        return tile * self.side_by_side

    @property
    def divided_numbers(self) -> int:
        """Of the batches that are divided by their layer's scale at the same moment."""
        batch = 0 if self.config.activation_scale == "none" else self.config.batch_tokens * self.model.d_model
        return batch * self.side_by_side

    def passes_at_once(self, rows: int) -> int:
        """Forward passes of `rows` rows that the harvest makes at the same moment."""
        of_chunk = self.config.rows_of(self.config.chunk_tokens)
        return min(torch.get_num_threads(), -(-of_chunk // rows)) if self.on_cpu else 1

    @property
    def sae_numbers(self) -> int:
        """Weights of one SAE."""
        d_model, d_sae = self.model.d_model, self.model.d_model * self.config.expansion_factor
        return 2 * d_model * d_sae + d_sae + d_model


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each part, and what fits into the free memory; training and evaluation never happen at once."""

    language_model: int
    """Its weights, and their bfloat16 copies where precision asks for them."""
    sae_weights: int
    gradients: int
    """Of the SAEs whose step is computed at the moment: one for each thread, one on a GPU."""
    adam_moments: int
    activations: int
    """Of two chunks, all layers: one is trained on while the next is harvested."""
    step: int
    """What one SAE's step makes on its way."""
    language_model_pass: int
    """What a pass makes on its way, at `rows_per_pass`; on a CPU those of all threads."""
    evaluation: int
    """Clean and spliced logits of a batch of held-out rows, and an SAE's features."""
    saes_per_pass: int
    """SAEs that train side by side."""
    passes: int
    """Passes over the text that a phase takes: groups of SAEs, one after the other."""
    rows_per_pass: int
    """Rows in one forward pass of the harvest."""
    free: int
    """Bytes that were free."""

    @property
    def training(self) -> int:
        """Bytes while SAEs train: the harvest's pass and the step overlap where chunks do, so both count."""
        parts = (self.language_model, self.sae_weights, self.gradients, self.adam_moments, self.activations)
        return sum(parts) + self.step + self.language_model_pass

    @property
    def scoring(self) -> int:
        """Bytes while SAEs are scored."""
        return self.language_model + self.sae_weights + self.evaluation

    @property
    def most(self) -> int:
        """Bytes at the fullest moment."""
        return max(self.training, self.scoring)

    def __str__(self) -> str:
        names = ("language_model", "sae_weights", "gradients", "adam_moments", "activations", "step",
                 "language_model_pass", "evaluation")  # fmt: skip
        rows = [f"{name.replace('_', ' '):<24}{gigabytes(getattr(self, name)):>12}" for name in names]
        rows += [f"{name:<24}{gigabytes(value):>12}" for name, value in
                 (("most while training", self.training), ("most while scoring", self.scoring),
                  ("free", self.free))]  # fmt: skip
        together = f"{self.saes_per_pass} SAEs in a pass, {self.passes} pass(es) over the text"
        return "\n".join([*rows, f"{together}, {self.rows_per_pass} rows at a time through the language model"])


def gigabytes(count: int) -> str:
    """Bytes as text, in units of 10^9 bytes."""
    return f"{count / 1e9:,.3f} GB"


def plan_memory(sizes: PhaseSizes, free: int, rows_per_pass: int) -> MemoryPlan:
    """The fewest passes that fit, with as many rows at a time as fit, up to `rows_per_pass`.

    Args:
        free: bytes of the device that nobody holds yet, of which a tenth is left alone.
        rows_per_pass: wanted; halved until the rest fits.

    Raises:
        MemoryError: not even one SAE fits; the message has the numbers and the remedy.
    """
    usable = int(free * (1 - SPARE))
    for passes in range(1, sizes.saes + 1):
        together = -(-sizes.saes // passes)
        group = replace(sizes, saes=together, layers=min(sizes.layers, together))
        rows = rows_per_pass
        while rows >= 1:
            plan = _parts(group, free, rows, passes)
            if plan.most <= usable:
                return plan
            rows //= 2
    config = sizes.config
    raise MemoryError(
        f"not even one SAE fits: it needs {gigabytes(plan.most)}, and {gigabytes(usable)} of {gigabytes(free)} free "
        f"memory may be used\n{plan}\nLower chunk_rows={config.chunk_rows} (the activations), "
        f"batch_tokens={config.batch_tokens} (the step), evaluation_batch_rows={sizes.evaluation_rows} (the "
        f"evaluation) or expansion_factor={config.expansion_factor}, or take a device with more memory"
    )


def _parts(sizes: PhaseSizes, free: int, rows: int, passes: int) -> MemoryPlan:
    """The formulae."""
    config, model = sizes.config, sizes.model
    d_sae = config.expansion_factor * model.d_model
    narrow = config.precision == "bfloat16"
    sae = sizes.sae_numbers * FLOAT
    moments = 2 if config.adam_betas[0] else 1  # with beta_1 = 0 the first moment is the gradient itself
    chunk = config.chunk_tokens * (sizes.layers * model.d_model * FLOAT + INDEX)
    width = FLOAT + (BFLOAT if narrow else 0)
    pass_tokens = rows * config.context_length * sizes.passes_at_once(rows)
    scored_tokens = sizes.evaluation_rows * config.context_length
    return MemoryPlan(
        language_model=model.parameters * width,
        sae_weights=sizes.saes * sizes.strands * sae,
        gradients=sizes.side_by_side * sae,
        adam_moments=sizes.saes * sizes.strands * moments * sae,
        activations=2 * chunk,
        step=int(sizes.step_tokens * (sizes.step_widths * d_sae + 3 * model.d_model) * width)
        + (sae // 2 if narrow else 0)
        + sizes.divided_numbers * FLOAT,
        language_model_pass=pass_tokens * model.d_model * FLOAT * (sizes.layers + PASS_WIDTHS),
        evaluation=scored_tokens * FLOAT * (
            LOGIT_COPIES * model.vocabulary + (sizes.layers + PASS_WIDTHS) * model.d_model + 2 * d_sae
        ),
        saes_per_pass=sizes.saes,
        passes=passes,
        rows_per_pass=rows,
        free=free,
    )  # fmt: skip


def groups(plans: Sequence[Plan], saes_per_pass: int) -> list[list[Plan]]:
    """The SAEs of a phase in the groups that train side by side, in their order."""
    return [list(plans[first : first + saes_per_pass]) for first in range(0, len(plans), saes_per_pass)]


def free_memory(device: torch.device) -> int:
    """Bytes of the device that this process may still take, what PyTorch keeps for itself unused included."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    information = Path("/proc/meminfo")
    if information.is_file():  # what Linux could give away, caches of files included
        lines = dict(line.split(":", 1) for line in information.read_text(encoding="utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # elsewhere: half of what is built in


def model_sizes(model: Any) -> ModelSizes:
    """Sizes of a `LanguageModel`."""
    return ModelSizes(model.n_layers, model.d_model, model.vocabulary, model.parameters)
