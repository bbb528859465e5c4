"""What every row of a corpus begins with, as token ids.

In: a corpus and its tokenizer. Out: the sink token, then BOS, where the rows have them; what the rows happen to share
behind these is text.
"""

from typing import TYPE_CHECKING

from saelib.language.corpus.rows import Corpus
from saelib.language.tokenizing import special_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def row_beginning(corpus: Corpus, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Token ids in front of the text of every row: none, one or two; a sink token may be BOS itself."""
    sink = [corpus.first_token] if corpus.sink_token is not None else []
    bos = special_token(tokenizer, "bos") if corpus.prepend_bos else None
    return sink if bos is None or sink == [bos] else [*sink, bos]
