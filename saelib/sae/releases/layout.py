"""What the authors of paper 1 have released: which SAEs, and where each lies in their repository.

In: an arm, a layer and a number of tokens, as people write it. Out: the folder of that SAE in the repository.
"""

from collections.abc import Mapping
from typing import NamedTuple

REPOSITORY = "mech-interp/pythia-160m-deduped-rs-post"
MODEL = "pythia-160m-deduped"
LAYERS = 12
BATCH = 4096  # tokens of a step; an SAE was kept after the first step at or behind each 100 million tokens
MILLION = 10**6
_HUNDREDS = {"scratch": 9, "forward": 5, "backward": 5}
FOLDERS = {"scratch": "", "forward": "forward/", "backward": "backward/"}
SCRATCH_END = 244_140 * BATCH  # of training from random weights: the folder without a number of tokens
STEP = {"forward": -1, "backward": 1}  # from a transfer's layer to that of its source


class PublishedSae(NamedTuple):
    """One of them."""

    arm: str
    """"scratch" ("no transfer" in the paper), "forward" or "backward"."""
    layer: int
    tokens: int
    """That it has seen by itself."""

    @property
    def folder(self) -> str:
        """In the repository."""
        label = _labels(self.arm)[self.tokens]
        return f"{FOLDERS[self.arm]}L{self.layer}{f'/{label}' if label else ''}"

    @property
    def lineage(self) -> dict[str, str | int | None]:
        """Who it is, as far as its place tells."""
        source = self.layer + STEP[self.arm] if self.arm in STEP else None
        start = {"start": "random" if source is None else "copy", "source_layer": source}
        return {"arm": self.arm, "sae_layer": self.layer, "tokens": self.tokens, **start,
                "source_tokens": 0 if source is None else SCRATCH_END}  # fmt: skip


def published_tokens(arm: str) -> tuple[int, ...]:
    """How many tokens each of an arm's released SAEs has seen, in order; the last is the end of training.

    Raises:
        ValueError: nothing of that arm was released.
    """
    return tuple(_labels(arm))


def published_sae(arm: str, layer: int, tokens: str | int | None = None) -> PublishedSae:
    """One of the released SAEs.

    Args:
        tokens: "500M", 500_000_000, or the exact number; None takes the end of training.

    Raises:
        ValueError: it was not released; the message says which were.
    """
    known = _labels(arm)
    there = published_layers(arm)
    if type(layer) is not int or layer not in there:
        raise ValueError(f"layer={layer!r}: the arm {arm} was released for the layers {there[0]} to {there[-1]}")
    if tokens is None:
        return PublishedSae(arm, layer, [*known][-1])
    wanted = tokens.strip().upper() if isinstance(tokens, str) else tokens
    for exact in known:
        if wanted in (exact, _rounded(exact), _label(exact)):
            return PublishedSae(arm, layer, exact)
    raise ValueError(f"tokens={tokens!r}: the arm {arm} was released after {', '.join(map(_label, known))} tokens")


def published_layers(arm: str) -> tuple[int, ...]:
    """The layers of an arm's released SAEs: a transfer has a source beside it.

    Raises:
        ValueError: nothing of that arm was released.
    """
    _labels(arm)
    return tuple(layer for layer in range(LAYERS) if 0 <= layer + STEP.get(arm, 0) < LAYERS)


def _labels(arm: str) -> Mapping[int, str]:
    """The folder's last part by the number of tokens; empty at the end of training from random weights."""
    if not isinstance(arm, str) or arm not in _HUNDREDS:
        raise ValueError(f"arm={arm!r}: released are the arms {', '.join(_HUNDREDS)}")
    kept = {-(-step * 100 * MILLION // BATCH) * BATCH: f"{step}00M" for step in range(1, _HUNDREDS[arm] + 1)}
    return kept | {SCRATCH_END: ""} if arm == "scratch" else kept


def _rounded(tokens: int) -> int:
    """To whole hundreds of millions, as the paper counts them."""
    return round(tokens / (100 * MILLION)) * 100 * MILLION


def _label(tokens: int) -> str:
    """As people write it."""
    millions = _rounded(tokens) // MILLION
    return f"{millions // 1000}B" if millions % 1000 == 0 else f"{millions}M"
