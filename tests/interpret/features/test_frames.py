"""Tables of features and contexts, by hand."""

import numpy as np
import torch

from saelib.interpret.features.contexts import TopContexts
from saelib.interpret.features.frames import Reading, context_frame, feature_frame
from saelib.interpret.features.statistics import FeatureStatistics
from saelib.interpret.features.survey import Survey, Width
from saelib.interpret.pieces import Pieces
from tests.helpers.small_models import small_tokenizer

ROWS = np.array([[65, 66, 67, 68], [69, 70, 71, 72]], np.int32)
UNEMBEDDING = torch.tensor([[3.0, -2.0, 0.0, 1.0], [1.0, 5.0, -4.0, -2.0]])


def found(activations: torch.Tensor) -> Survey:
    contexts, statistics = TopContexts(activations.shape[-1], 2, 2, 1), FeatureStatistics(activations.shape[-1])
    contexts.add(activations)
    statistics.add(activations)
    return Survey(statistics.result(), contexts.result())


def reading(unembedding: torch.Tensor | None = UNEMBEDDING) -> Reading:
    return Reading(ROWS, held_out=1, width=Width(2, 2, 1), pieces=Pieces(small_tokenizer()), unembedding=unembedding,
                   logit_tokens=1, neighbours=1, dense_share=0.3)  # fmt: skip


# Feature 0: row 0 peaks at its first token with 2, row 1 at its last with 5. Feature 1 is active once, in row 1.
ACTIVATIONS = torch.tensor([[[2.0, 0], [1, 0], [0, 0], [0, 0]], [[0, 0], [0, 4], [3, 0], [5, 0]]])


def test_contexts_are_cut_at_the_row_and_the_strongest_comes_first() -> None:
    table = context_frame(found(ACTIVATIONS), np.array([0, 1]), reading())
    assert table["feature"].tolist() == [0, 0, 1]
    assert table["rank"].tolist() == [0, 1, 0]
    assert table["row"].tolist() == [1, 0, 1]
    assert table["position"].tolist() == [3, 0, 1]
    assert table["held_out"].tolist() == [False, True, False]
    assert table["activation"].tolist() == [5, 2, 4]
    # Two tokens back, one on: at the end of row 1 nothing follows; at the beginning of row 0 nothing comes before.
    assert table["token_ids"].tolist() == [[70, 71, 72], [65, 66], [69, 70, 71]]
    assert table["activations"].tolist() == [[0, 3, 5], [2, 1], [0, 4, 0]]
    assert table["peak"].tolist() == [2, 0, 1]
    for line in table.to_dict("records"):
        assert line["activations"][line["peak"]] == line["activation"]
        assert line["texts"] == reading().pieces(line["token_ids"])


def test_only_what_is_shown_has_contexts() -> None:
    assert context_frame(found(ACTIVATIONS), np.array([1]), reading())["feature"].tolist() == [1]
    assert context_frame(found(ACTIVATIONS), np.array([], int), reading()).empty


def test_every_feature_has_its_numbers() -> None:
    decoder = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    table = feature_frame(found(ACTIVATIONS), decoder, np.array([1]), reading())
    assert table["shown"].tolist() == [False, True]
    assert table["density"].tolist() == [0.5, 0.125]  # 4 and 1 of 8 tokens
    assert table["dense"].tolist() == [True, False]  # above 0.3
    assert table["mean"].tolist() == [2.75, 4]  # (2 + 1 + 3 + 5) / 4
    assert table["top_ids"].tolist() == [[0], [2]]
    assert table["bottom_ids"].tolist() == [[1], [1]]
    assert table["bottom_logits"].tolist() == [[-2], [-5]]
    assert table["top_tokens"].tolist() == [reading().pieces([0]), reading().pieces([2])]
    assert table["neighbours"].tolist() == [[1], [0]]
    assert table["tokens"].tolist() == [8, 8]
    pieces = reading().pieces
    best = [f"{''.join(pieces([70, 71]))}«{pieces([72])[0]}»", f"{pieces([69])[0]}«{pieces([70])[0]}»{pieces([71])[0]}"]
    assert table["example"].tolist() == best


def test_a_model_without_an_unembedding_leaves_the_tokens_out() -> None:
    table = feature_frame(found(ACTIVATIONS), torch.eye(2), np.array([0]), reading(None))
    assert table["top_ids"].tolist() == table["bottom_tokens"].tolist() == [[], []]
