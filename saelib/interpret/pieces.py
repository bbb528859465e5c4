"""The text of single tokens, as it stands in a text.

In: a tokenizer. Out: a piece of text for each token id. Joined, the pieces of a row are its text, but for signs that
are spread over several tokens: each part of such a one is "\N{REPLACEMENT CHARACTER}".
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANCHOR = "a"  # sentencepiece puts a blank before a text's first word and drops one there: this one stands first


class Pieces:
    """Texts of token ids, each decoded once."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        """Nothing is decoded yet."""
        self._tokenizer: Any = tokenizer
        self._known: dict[int, str] = {}
        self._anchor = list(tokenizer.encode(ANCHOR, add_special_tokens=False))
        self._before = self._decoded(self._anchor)

    def __call__(self, token_ids: Iterable[int]) -> list[str]:
        """The text of each token; of an id that stands for no text, its number: "<50280>"."""
        return [self._piece(int(token)) for token in token_ids]

    def _piece(self, token: int) -> str:
        if token not in self._known:
            whole = self._decoded([*self._anchor, token])
            text = whole.removeprefix(self._before) if whole.startswith(self._before) else self._decoded([token])
            self._known[token] = text or f"<{token}>"
        return self._known[token]

    def _decoded(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
