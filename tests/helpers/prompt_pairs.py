"""Pairs of prompts for tests of circuits: given, or of random tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from saelib.interpret.circuits.tasks.prompts import Draw, Example, Words


class Pairs(NamedTuple):
    clean: np.ndarray
    patch: np.ndarray
    answer: np.ndarray
    patch_answer: np.ndarray


def pairs_of(*prompts: tuple[Sequence[int], Sequence[int], int, int]) -> Pairs:
    """Pairs by hand: clean, patched, answer, patched answer."""
    return Pairs(*(np.array(values) for values in zip(*prompts, strict=True)))


def random_pairs(vocabulary: int, prompts: int = 10, context: int = 7, seed: int = 0, changed: int = 2) -> Pairs:
    """Random tokens, of which a patched prompt has another one at position `changed`."""
    random = np.random.default_rng(seed)
    clean = random.integers(0, vocabulary, (prompts, context))
    patch = clean.copy()
    patch[:, changed] = (patch[:, changed] + 1 + random.integers(0, vocabulary - 1, prompts)) % vocabulary
    answer = random.integers(0, vocabulary, prompts)
    return Pairs(clean, patch, answer, (answer + 1) % vocabulary)


def any_tokens(words: Words) -> Draw:
    """A task of random tokens; the last but one is another in the patch."""

    def draw(random: np.random.Generator) -> Example:
        clean = random.integers(300, size=6)
        patch = clean.copy()
        patch[-2] = (clean[-2] + 1 + random.integers(100)) % 300
        return Example([*words.beginning, *clean.tolist()], [*words.beginning, *patch.tolist()], 3, 4)

    return draw
