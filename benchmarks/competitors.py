"""Who is compared: each competitor is a measure of a module, run in the environment that its library needs.

Out: the groups of the tables. In each, the first one is what the others are compared with. `NEIGHBOURS` are this kit
again, beside a busy program.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Competitor:
    """One row of a table."""

    title: str
    module: str
    measure: str
    peer: bool = True
    neighbour: str | None = None
    """Name of a busy program that runs beside it, in `BUSY_PROGRAMS`."""

    @property
    def key(self) -> str:
        """How the command line and the CSV name it."""
        beside = f"+{self.neighbour}" if self.neighbour else ""
        return f"{self.module}.{self.measure}{beside}"


KIT = Competitor("this kit", "kit", "one_pass", peer=False)
ONE_PASS = (
    KIT,
    Competitor('this kit, precision="bfloat16" (not fp32)', "kit", "one_pass_bfloat16", peer=False),
    Competitor("eai-sparsify Trainer", "sparsify_trainer", "one_pass"),
    Competitor("sae-lens MultiSAETrainingRunner, Hugging Face model", "sae_lens_runners", "one_pass_hugging_face"),
    Competitor("sae-lens MultiSAETrainingRunner, HookedTransformer", "sae_lens_runners", "one_pass"),
    Competitor("bare dense loop, no language model", "dense_loop", "one_pass", peer=False),
)
EXPERIMENT = (
    Competitor("this kit: two passes", "kit", "experiment", peer=False),
    Competitor("sae-lens single-SAE runner, one run for each SAE", "sae_lens_runners", "experiment"),
)
BUSY_PROGRAMS = {
    "loop": "while True: pass",
    "products": "import torch; torch.set_num_threads(1); a = torch.rand(1024, 1024)\nwhile True: a @ a",
}
NEIGHBOURS = (
    Competitor("an endless loop", "kit", "one_pass", peer=False, neighbour="loop"),
    Competitor("matrix products in one thread", "kit", "one_pass", peer=False, neighbour="products"),
)
GROUPS = {"One pass over all layers": ONE_PASS, "The whole experiment": EXPERIMENT}
ALL = (*ONE_PASS, *EXPERIMENT, *NEIGHBOURS)
