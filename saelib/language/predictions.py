"""What a language model predicts on held-out text: its loss by position, its next tokens, and how it goes on.

In: a language model and token ids. Out: arrays, tables and text for the notebook of the language model.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.model import LanguageModel

SHOWN_TOKENS = 8  # of the text before a prediction


def loss_by_position(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], batch_rows: int
) -> Float[np.ndarray, " context-1"]:
    """Cross-entropy in nats of the token after each position, mean over rows.

    Args:
        model: its logits decide.
        rows: held-out token ids.
        batch_rows: rows in one forward pass; no result depends on it beyond rounding.
    """
    total = torch.zeros(rows.shape[1] - 1, dtype=torch.float64)
    for tokens in torch.from_numpy(rows).long().split(batch_rows):
        log_probabilities = model.logits(tokens)[:, :-1].log_softmax(-1).cpu()
        total -= log_probabilities.gather(-1, tokens[:, 1:].unsqueeze(-1)).squeeze(-1).double().sum(0)
    return (total / len(rows)).numpy()


def unigram_loss(
    train: Int[np.ndarray, "rows context"], held_out: Int[np.ndarray, "rows context"], vocabulary: int
) -> float:
    """Cross-entropy in nats of held-out tokens under the token frequencies of `train`, each count raised by 1.

    The first token of each held-out row is left out, as a language model does not predict it either.
    """
    counts = np.bincount(train.ravel(), minlength=vocabulary) + 1.0
    return float(-np.log(counts / counts.sum())[held_out[:, 1:]].mean())


def next_token_table(
    model: LanguageModel, row: Int[np.ndarray, " context"], positions: Sequence[int], count: int = 5
) -> pd.DataFrame:
    """The likeliest next tokens at some positions of a row, beside the token that came.

    Returns:
        One row for each position: before (the text that leads up to it), came, 1., 2., ... (token and probability).
    """
    top = _logits_of(model, row)[list(positions)].softmax(-1).topk(count)
    table = []
    for position, shares, tokens in zip(positions, top.values.tolist(), top.indices.tolist(), strict=True):
        before = row[max(0, position + 1 - SHOWN_TOKENS) : position + 1]
        line = {"position": position, "before": _text(model, before), "came": _text(model, [row[position + 1]])}
        ranked = enumerate(zip(tokens, shares, strict=True), start=1)
        table.append(line | {f"{rank}.": f"{_text(model, [token])} {share:.0%}" for rank, (token, share) in ranked})
    return pd.DataFrame(table).set_index("position")


def greedy_continuation(model: LanguageModel, start: Int[np.ndarray, " context"], count: int) -> str:
    """Text of the `count` tokens that follow `start` when the likeliest token is taken each time.

    Raises:
        ValueError: `start` and what follows are longer than the model's context.
    """
    tokens = list(map(int, start))
    for _ in range(count):
        tokens.append(int(_logits_of(model, np.array(tokens))[-1].argmax()))
    return str(model.tokenizer.decode(tokens[len(start) :]))


def _logits_of(model: LanguageModel, row: Int[np.ndarray, " context"]) -> Float[Tensor, "context vocabulary"]:
    return model.logits(torch.from_numpy(row).long().unsqueeze(0))[0].cpu()


def _text(model: LanguageModel, tokens: Sequence[int] | Int[np.ndarray, " tokens"]) -> str:
    """Tokens as text in quotes, so that blanks and line ends are seen."""
    return repr(model.tokenizer.decode([int(token) for token in tokens]))
