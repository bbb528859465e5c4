"""One reading for many SAEs: the numbers of a plain loop, one language-model pass for all, flat memory."""

from concurrent.futures import Executor, Future
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from saelib.interpret.features import survey as module
from saelib.interpret.features.survey import Survey, Width, survey
from saelib.sae.autoencoder import random_sae
from tests.helpers.live_memory import live_memory
from tests.helpers.small_saes import small_sae
from tests.helpers.small_world import ToyModel

WIDTH = Width(contexts=3, before=2, after=1)


class Counting(ToyModel):
    """Counts its passes."""

    passes = 0

    def residual_streams(self, tokens, layers):
        self.passes += 1
        return super().residual_streams(tokens, layers)


def token_rows(count: int, context: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 50, (count, context)).astype(np.int32)


def plain(model: ToyModel, sae, layer: int, rows: np.ndarray, skipped: int) -> np.ndarray:
    """Features of every row, the skipped positions 0, all in memory."""
    stream = model.residual_streams(torch.from_numpy(rows).long(), [layer])[0]
    features = sae.encode(stream).detach()
    features[:, :skipped] = 0
    return features.numpy()


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("batch_rows", [3, 8])
def test_each_sae_gets_the_numbers_of_a_plain_loop_from_one_pass_for_all(skipped: int, batch_rows: int) -> None:
    model, rows = Counting(), token_rows(10)
    readings = [(small_sae(16, 24, seed), layer) for seed, layer in ((0, 0), (1, 2), (1, 0))]
    found = survey(model, readings, rows, WIDTH, batch_rows, skipped=skipped)
    assert model.passes == -(-10 // batch_rows)
    for (sae, layer), one in zip(readings, found, strict=True):
        features = plain(model, sae, layer, rows, skipped)
        counted = features[:, skipped:].reshape(-1, 24)
        assert one.statistics.tokens == 10 * (16 - skipped)
        assert np.allclose(one.statistics.density, (counted > 0).mean(0))
        assert np.allclose(one.statistics.maximum, counted.max(0), rtol=1e-5)
        check_contexts(one, features)


def check_contexts(found: Survey, features: np.ndarray) -> None:
    """Beside a naive sort of all rows."""
    context = features.shape[1]
    for feature in range(features.shape[2]):
        peaks = features[:, :, feature].max(1)
        order = np.argsort(-peaks, kind="stable")[:3]
        order = order[peaks[order] > 0]
        wanted = [row * context + int(features[row, :, feature].argmax()) for row in order]
        positions = found.contexts.positions[feature].tolist()
        assert positions == wanted + [-1] * (3 - len(wanted))
        for window, position in zip(found.contexts.windows[feature].numpy(), wanted, strict=False):
            row, place = divmod(position, context)
            around = [features[row, i, feature] if 0 <= i < context else 0 for i in range(place - 2, place + 2)]
            assert np.allclose(window, around, rtol=1e-5)


def test_a_row_without_positions_that_count_is_refused() -> None:
    with pytest.raises(ValueError, match="skipped=16 leaves no position in rows of 16 tokens"):
        survey(ToyModel(), [(small_sae(16, 8), 0)], token_rows(2), WIDTH, skipped=16)


def test_without_saes_nothing_is_read() -> None:
    model = Counting()
    assert survey(model, [], token_rows(2), WIDTH) == []
    assert model.passes == 0


class Here(Executor):
    """Runs at once, on this thread: what other threads make is not counted."""

    def submit(self, function, /, *arguments, **named):
        done: Future = Future()
        done.set_result(function(*arguments, **named))
        return done


def test_memory_is_flat_from_one_to_eight_times_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "one_thread_each", lambda: nullcontext(Here()))
    sae = random_sae(16, 2048, torch.Generator().manual_seed(0)).requires_grad_(False)
    model, most = ToyModel(), []
    for times in (1, 8):
        rows = token_rows(8 * times, 32)
        with live_memory() as memory:
            survey(model, [(sae, 1)], rows, Width(10, 12, 4), batch_rows=4)
        most.append(memory.most)
    assert most[0] > 2048 * 10 * 17 * 4  # it sees the windows that are kept
    assert most[1] <= 1.02 * most[0]
