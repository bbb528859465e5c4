"""A tokenizer that knows every word of the tasks as one token, and models whose logits a test writes down."""

import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from saelib.interpret.circuits.fact_list import FACTS
from saelib.interpret.circuits.tasks import words

DIGIT, PAIR = r"\d", r"\d\d?"


class WordTokenizer:
    """One token for each word with the blank before it, each sign, and each digit (or two of them).

    Args:
        digits: `DIGIT`: each stands alone; `PAIR`: two together.
        without: words that it does not know: they are cut into letters.
    """

    def __init__(self, digits: str = DIGIT, without: Sequence[str] = ()) -> None:
        self.pattern = re.compile(rf" ?[A-Za-z]+| ?{digits}| ?[^\w\s]|\s")
        self.without = {f" {word}" for word in without}
        self.texts = ["<end>"]

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        found = [piece for word in self.pattern.findall(text)
                 for piece in (word if word in self.without else [word])]  # fmt: skip
        for piece in found:
            if piece not in self.texts:
                self.texts.append(piece)
        return [self.texts.index(piece) for piece in found]

    def decode(self, ids: Sequence[int], **_: bool) -> str:
        return "".join(self.texts[int(one)] for one in ids)

    def __len__(self) -> int:
        return len(self.texts)

    def learn(self) -> "WordTokenizer":
        """All words of the tasks at once, so that the vocabulary is complete; and 300 that mean nothing."""
        made = [f" {first}{second}{third}" for first in "bdfgklmnprst" for second in ("ano", "uri", "e")
                for third in ("bat", "dor", "fin", "kul", "mes", "nix", "pon", "ruf", "sib")]  # fmt: skip
        nouns = [f" {word}" for pair in words.THINGS for word in pair]
        self.encode("".join([*made, *nouns]))
        for fact in FACTS:
            self.encode(f"{fact.prompt} {fact.right} {fact.wrong}")
        return self


def model_of(logits: Callable[[np.ndarray], np.ndarray], tokenizer: Any = None, n_layers: int = 2) -> Any:
    """A model whose logits behind the last token of each row are a function of the rows.

    Args:
        logits: from token rows [rows context] to [rows vocabulary].
    """
    seen: list[np.ndarray] = []

    def residual_streams(tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        assert list(layers) == [n_layers - 1]
        seen.append(tokens.numpy())
        return torch.zeros(1, *tokens.shape, 3)

    def logits_from(residual: torch.Tensor, layer: int, tokens: torch.Tensor) -> torch.Tensor:
        assert (residual.shape[1], layer, tokens.shape[1]) == (1, n_layers - 1, 1)
        return torch.from_numpy(logits(seen[-1])).float().unsqueeze(1)

    return SimpleNamespace(
        name="made", n_ctx=None, n_layers=n_layers, device=torch.device("cpu"), tokenizer=tokenizer,
        residual_streams=residual_streams, logits_from=logits_from,
    )  # fmt: skip
