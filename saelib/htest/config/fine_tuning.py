"""The recipe of fine-tuning, a part of an H-Test config.

In: values. Out: a `FineTuning`, and the steps that it means.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from saelib.htest.config.kinds import MOST_ITEMS
from saelib.run.config import Config, Seed


class FineTuning(Config):
    """The recipe: AdamW, a learning rate that rises and falls linearly.

    Of the learning rates 3e-4, 1e-3, 3e-3 and batches of 16 and 32, tried with the embedded model on five tasks with
    items of another seed than the presets', the chosen pair was about as good as any; 3e-4 with 32 learnt too little.
    """

    ADDED: ClassVar[tuple[str, ...]] = ("method", "lora_rank", "lora_alpha")

    items: Annotated[PositiveInt, Field(le=MOST_ITEMS)] = 1000
    """Training items of a task."""
    epochs: Annotated[PositiveInt, Field(le=10_000)] = 3
    """How often each is seen."""
    batch_size: Annotated[PositiveInt, Field(le=MOST_ITEMS)] = 32
    """Items in a step."""
    learning_rate: PositiveFloat = 1e-3
    """At its highest."""
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises; it falls to 0 in the others."""
    weight_decay: NonNegativeFloat = 0.0
    """AdamW's, of all weights that are trained."""
    evaluations_per_epoch: Annotated[PositiveInt, Field(le=1000)] = 4
    """Points of the learning curve in each epoch."""
    method: Literal["all", "lora"] = "all"
    """What is trained: "all" weights, or "lora": a product of two thin matrices beside each linear map but the head
    (Hu et al. 2022), which is added to the map when the model is kept."""
    lora_rank: Annotated[PositiveInt, Field(le=4096)] = 8
    """Of that product."""
    lora_alpha: Annotated[PositiveInt, Field(le=65_536)] = 16
    """The product is multiplied by `lora_alpha / lora_rank`."""
    seed: Seed = 0
    """Of the order of the items, of LoRA's matrices, and of dropout where a model has it."""

    @model_validator(mode="after")
    def _lora_is_asked_for(self) -> Self:
        if self.method != "lora" and (unused := self.as_stored().keys() & {"lora_rank", "lora_alpha"}):
            raise ValueError(f"{' and '.join(sorted(unused))} given with method={self.method!r}: they mean something "
                             "with method='lora' alone")  # fmt: skip
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every item stands once; the last may be smaller."""
        return math.ceil(self.items / self.batch_size)

    @property
    def evaluated_steps(self) -> list[int]:
        """Steps after which the probes are scored: 0, then evenly over each epoch up to its end."""
        points = range(self.epochs * self.evaluations_per_epoch + 1)
        return sorted({round(point / self.evaluations_per_epoch * self.steps_per_epoch) for point in points})

    @property
    def trained(self) -> str:
        """What is trained, in words: "all weights" or "LoRA of rank 8"."""
        return "all weights" if self.method == "all" else f"LoRA of rank {self.lora_rank}"

    def as_stored(self) -> dict[str, Any]:
        """The recipe as it is kept beside a tuned model: fields that came later are there where they say something.

        Of LoRA all do, also at their defaults, which another release may change.
        """
        unset, lora = self.defaults(), self.method == "lora"
        return {name: value for name, value in self.as_dict().items()
                if lora or name not in self.ADDED or value != unset[name]}  # fmt: skip
