"""What all SAEs of a layer share: clean streams, logit differences and their gradients."""

import numpy as np
import pytest
import torch

from saelib.interpret.circuits.examples import by_batches, difference_at, read_facts, read_pairs, stream_gradients
from tests.helpers.linear_models import linear_model
from tests.helpers.prompt_pairs import Pairs, pairs_of
from tests.helpers.small_models import close

TABLE = [[0.0, 0.0, 1.0], [3.0, 1.0, 0.0], [0.0, 2.0, 0.0]]


def test_streams_and_differences_are_the_models_own(model, pairs):
    found = read_pairs(model, pairs, [2, 0], batch_rows=4)
    clean, patch = (torch.from_numpy(rows) for rows in (pairs.clean, pairs.patch))
    logits = model.logits(clean)[torch.arange(len(clean)), -1].numpy()
    expected = [logits[row, pairs.answer[row]] - logits[row, pairs.patch_answer[row]] for row in range(len(clean))]
    assert list(found) == [2, 0]
    for layer, one in found.items():
        assert one.layer == layer
        assert close(one.stream, model.residual_streams(clean, [layer])[0])
        assert close(one.patched(), model.residual_streams(patch, [layer])[0])
        assert one.difference.tolist() == pytest.approx(expected, abs=1e-5)
        assert difference_at(model, one, one.stream).tolist() == pytest.approx(expected, abs=1e-5)


def test_a_gradient_by_hand():
    """logit 0 - logit 1 is a sum over positions: its gradient is (1, -1, 0) at each."""
    model = linear_model(TABLE)
    one = read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1)), [0])[0]
    assert one.difference.tolist() == [2]  # 3 - 1
    assert stream_gradients(model, one).tolist() == [[[1, -1, 0], [1, -1, 0]]]


@pytest.mark.parametrize("name", ["model", "hooked"])
def test_no_gradient_depends_on_how_prompts_are_batched(name, pairs, request):
    model = request.getfixturevalue(name)
    one = read_pairs(model, pairs, [0])[0]
    whole = stream_gradients(model, one, batch_rows=100)
    assert whole.shape == one.stream.shape
    assert close(stream_gradients(model, one, batch_rows=3), whole)
    assert not any(weight.grad is not None for weight in model.hugging_face.parameters())


@pytest.mark.parametrize("name", ["model", "hooked"])
def test_facts_of_any_length_are_read_as_alone(name, request):
    model = request.getfixturevalue(name)
    random = np.random.default_rng(0)
    prompts = [random.integers(0, model.vocabulary, length).tolist() for length in (3, 7, 5, 7)]
    right, wrong = [4, 5, 6, 7], [8, 9, 10, 11]
    together = read_facts(model, prompts, right, wrong, [1])[1]
    gradients = stream_gradients(model, together)
    for row, prompt in enumerate(prompts):
        alone = read_facts(model, [prompt], right[row : row + 1], wrong[row : row + 1], [1])[1]
        assert float(alone.difference) == pytest.approx(float(together.difference[row]), abs=1e-5)
        assert close(together.stream[row, : len(prompt)], alone.stream[0])
        assert close(gradients[row, : len(prompt)], stream_gradients(model, alone)[0])
        assert not gradients[row, len(prompt) :].any()


def test_facts_have_no_patched_prompts():
    with pytest.raises(ValueError, match="these prompts are facts"):
        read_facts(linear_model(TABLE), [[0, 1]], [0], [1], [0])[0].patched()


def test_what_leaves_nothing_to_read_is_refused():
    model = linear_model(TABLE)
    with pytest.raises(ValueError, match="skipped=2: the shortest prompt has 2 tokens"):
        read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1)), [0], skipped=2)
    with pytest.raises(ValueError, match=r"clean prompts \(1, 2\) and patched ones \(1, 3\) are no pairs"):
        read_pairs(model, pairs_of(([0, 1], [0, 2, 1], 0, 1)), [0])


def test_a_device_out_of_memory_gets_fewer_rows():
    def function(rows: slice) -> int:
        if rows.stop - rows.start > 2:
            raise torch.OutOfMemoryError
        return rows.stop

    assert by_batches(linear_model(TABLE), function, 5, 4) == [2, 4, 5]


def test_prompts_that_no_sae_reads_are_refused_by_their_length() -> None:
    model = linear_model(TABLE)
    with pytest.raises(ValueError, match="skipped=2: the shortest prompt has 2 tokens, and none would be left; take"):
        read_facts(model, [[0, 1, 2], [0, 1]], [0, 0], [1, 1], [0], skipped=2)
    with pytest.raises(ValueError, match="there are no prompts to read"):
        read_pairs(model, Pairs(*(values[:0] for values in pairs_of(([0, 1], [0, 2], 0, 1)))), [0])
