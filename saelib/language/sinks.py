"""The attention sink of a model, by measurement, and the token that takes its place in front of every row.

Many models turn their attention to a row's first token where there is nothing to attend to ("attention sinks", Xiao et
al. 2023), and its residual vector is then tens of times as long as any other ("massive activations", Sun et al. 2024),
whatever the token is. One fixed token in front makes it the same vector in every row, and frees the text of it. In: a
model, a text, layers. Out: the token.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saelib.language.corpus.rows import Corpus
from saelib.language.residuals import has_sink, norms_by_position
from saelib.language.tokenizing import document_separator, special_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saelib.language.model import LanguageModel

SINK_ROWS = 64
"""Training rows, the first of the first replicate, on which norms by position are measured."""


def find_sink(model: "LanguageModel", corpus: Corpus, layers: Sequence[int], batch_rows: int) -> str | None:
    """The text of the token that shall stand in front of every row; None where no layer has a sink.

    Args:
        corpus: rows without such a token.
        layers: whose residual streams are looked at.
        batch_rows: rows in one forward pass.
    """
    norms = norms_by_position(model, corpus.train.take(0, SINK_ROWS), layers, batch_rows)
    return sink_token(model.tokenizer, corpus) if has_sink(norms) else None


def sink_token(tokenizer: "PreTrainedTokenizerBase", corpus: Corpus) -> str:
    """What the model is used to see first: the rows' BOS token, the tokenizer's, or what stands between documents."""
    bos = corpus.first_token if corpus.prepend_bos else special_token(tokenizer, "bos")
    return str(tokenizer.convert_ids_to_tokens(document_separator(tokenizer) if bos is None else bos))
