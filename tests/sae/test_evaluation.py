"""Metrics against oracles, naive loops and hand-worked cases."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from saelib.language import head as heads
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.sae import evaluation
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.clean_pass import baseline_of, clean_batch
from saelib.sae.evaluation import Scorer, evaluate
from saelib.sae.scores import ROW_METRICS, Scores
from tests.helpers.families import logits_with_input, small_family
from tests.helpers.small_models import save_small_model, small_tokenizer
from tests.helpers.small_saes import scaled

LAYERS = [0, 1, 2]


@pytest.fixture(scope="module")
def model(random_model_folder) -> LanguageModel:
    return load_language_model(str(random_model_folder), device="cpu")


@pytest.fixture(scope="module")
def held_out(model) -> np.ndarray:
    return np.random.default_rng(0).integers(0, model.vocabulary, (6, 24)).astype(np.int32)


@pytest.fixture(scope="module")
def hooked(tmp_path_factory) -> LanguageModel:
    """A model of an architecture that runs with hooks on transformers' own pass."""
    return load_language_model(str(save_small_model(tmp_path_factory.mktemp("olmo2"), "olmo2")), device="cpu")


def some_saes(model: LanguageModel) -> list[tuple[SparseAutoencoder, int]]:
    return [(random_sae(model.d_model, 64, torch.Generator().manual_seed(layer)), layer) for layer in LAYERS]


# Scores are shares of small differences of losses, in which one rounding of float32 counts ten times over.
def assert_equal_scores(found: list[Scores], expected: list[Scores], rel: float = 1e-5, abs: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.metrics() == pytest.approx(other.metrics(), rel=rel, abs=abs)
        for name in ROW_METRICS:
            assert getattr(one.rows, name) == pytest.approx(getattr(other.rows, name), rel=rel, abs=abs), name


def identity_sae(d_model: int) -> SparseAutoencoder:
    """x = relu(x) - relu(-x): reconstructs everything, with 2 d_model features."""
    sae = SparseAutoencoder(d_model, 2 * d_model)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([torch.eye(d_model), -torch.eye(d_model)], dim=1))
        sae.W_dec.copy_(sae.W_enc.T)
    return sae


def constant_sae(vector: torch.Tensor) -> SparseAutoencoder:
    """Always answers `vector`; no feature ever fires."""
    sae = SparseAutoencoder(len(vector), 4)
    with torch.no_grad():
        sae.b_dec.copy_(vector)
    return sae


def test_identity_scores_one(model, held_out):
    scores = evaluate([(identity_sae(model.d_model), layer) for layer in LAYERS], model, held_out, 4)
    for score in scores:
        assert score.ce_score == pytest.approx(1, abs=1e-4)
        assert score.ce_score_mean == pytest.approx(1, abs=1e-3)
        assert score.ce_increase == pytest.approx(0, abs=1e-5)
        assert score.ce_spliced == pytest.approx(score.ce_clean, abs=1e-5)
        assert score.kl == pytest.approx(0, abs=1e-6)
        assert score.mse == pytest.approx(0, abs=1e-8)
        assert score.explained_variance == pytest.approx(1)
        assert score.l0 == pytest.approx(model.d_model)


def test_zero_scores_zero(model, held_out):
    (score,) = evaluate([(constant_sae(torch.zeros(model.d_model)), 1)], model, held_out, 4)
    assert score.ce_score == pytest.approx(0, abs=1e-6)
    assert score.ce_spliced == pytest.approx(score.ce_zero, abs=1e-6)
    assert (score.l0, score.l1, score.dead_latents) == (0, 0, 1)


def test_predicting_the_mean_explains_nothing(model, held_out):
    stream = model.residual_streams(torch.from_numpy(held_out).long(), [2])[0].flatten(0, 1).double()
    (score,) = evaluate([(constant_sae(stream.mean(0).float()), 2)], model, held_out, 4)
    assert score.explained_variance == pytest.approx(0, abs=1e-5)
    assert score.mse == pytest.approx(stream.var(0, unbiased=False).sum().item(), rel=1e-5)
    assert score.ce_spliced == pytest.approx(score.ce_mean, abs=1e-6)
    assert score.ce_score_mean == pytest.approx(0, abs=1e-4)


def test_scores_compare_the_spliced_loss_with_both_ablations(model, held_out):
    for score in evaluate(some_saes(model), model, held_out, 4):
        spliced, clean = score.ce_spliced, score.ce_clean
        assert score.ce_score == pytest.approx((score.ce_zero - spliced) / (score.ce_zero - clean))
        assert score.ce_score_mean == pytest.approx((score.ce_mean - spliced) / (score.ce_mean - clean))
        assert score.ce_increase == pytest.approx(spliced - clean)
        assert list(score.metrics()) == [field.name for field in dataclasses.fields(Scores) if field.name != "rows"]


def test_a_scorer_measures_what_a_layer_is_compared_with_once(model, held_out, monkeypatch):
    layers: list[int] = []

    def counted(model, held_out, layer, *rest):
        layers.append(layer)
        return baseline_of(model, held_out, layer, *rest)

    saes, scorer = some_saes(model), Scorer(model, held_out, 4)
    expected = [evaluate([pair], model, held_out, 4)[0] for pair in saes]
    monkeypatch.setattr(evaluation, "baseline_of", counted)
    assert [scorer.scores([pair])[0] for pair in saes] == expected
    assert [scorer.scores([pair])[0] for pair in saes] == expected
    assert sorted(layers) == sorted({layer for _, layer in saes})


def test_rows_average_to_the_metrics_and_are_those_of_each_row_alone(model, held_out):
    (together,) = evaluate(some_saes(model)[1:2], model, held_out, 4)
    for name in ROW_METRICS:
        values = getattr(together.rows, name)
        assert values.shape == (len(held_out),) and values.dtype == np.float64
        assert values.mean() == getattr(together, name)
        assert values.std() > 0 or name == "ce_zero", f"{name} says nothing of rows"  # zeros end in a uniform guess
    for number, row in enumerate(held_out):
        (alone,) = evaluate(some_saes(model)[1:2], model, row[None], 4)
        for name in set(ROW_METRICS) - {"ce_mean"}:  # the mean is over all rows
            assert getattr(together.rows, name)[number] == pytest.approx(getattr(alone, name), rel=1e-5), name


def test_explained_variance_is_about_the_mean(model, held_out):
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    (score,) = evaluate([(sae, 2)], model, held_out, 1)
    stream = model.residual_streams(torch.from_numpy(held_out).long(), [2])[0].flatten(0, 1)
    with torch.no_grad():
        errors = (sae(stream) - stream).double().square().sum()
    spread = (stream.double() - stream.double().mean(0)).square().sum()
    assert score.explained_variance == pytest.approx(1 - (errors / spread).item(), rel=1e-5)


def test_no_result_depends_on_the_batch_size_or_on_company(model, held_out):
    saes = some_saes(model)
    together = evaluate(saes, model, held_out, 6)
    for batch_rows in (1, 4):
        assert_equal_scores(evaluate(saes, model, held_out, batch_rows), together)
    assert_equal_scores(evaluate(saes[1:2], model, held_out, 6), together[1:2], rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("tile", [1, 7, 1000])
def test_no_result_depends_on_the_tile(model, held_out, monkeypatch, tile):
    expected = evaluate(some_saes(model), model, held_out, 4)
    monkeypatch.setattr(heads, "CPU_TILE", tile)
    assert_equal_scores(evaluate(some_saes(model), model, held_out, 4), expected)


def test_scores_are_the_same_to_the_bit_on_any_number_of_threads(model, held_out):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(evaluate(some_saes(model), model, held_out, 4))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_the_process_s_setting_for_products_is_left_as_it_was_and_changes_no_score(model, held_out):
    """Threads that set it and put it back one after the other would leave it as one of them found it."""
    expected, threads = evaluate(some_saes(model), model, held_out, 4), torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(4)
    try:
        for _ in range(5):
            assert evaluate(some_saes(model) * 4, model, held_out, 4) == expected * 4
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("rows", "context"), [(1, 24), (1, 2)])
def test_one_row_and_two_tokens_are_enough(model, hooked, held_out, rows, context):
    few = held_out[:rows, :context]
    for either in (model, hooked):
        for score in evaluate(some_saes(either), either, few, 4):
            assert np.isfinite(list(score.metrics().values())).all()
        logits = either.logits(torch.from_numpy(few).long())[:, :-1].flatten(0, 1)
        expected = nn.functional.cross_entropy(logits, torch.from_numpy(few[:, 1:]).long().flatten()).item()
        assert score.ce_clean == pytest.approx(expected, abs=1e-5)


def test_the_clean_loss_does_not_depend_on_the_layers_that_are_asked_for(model, held_out):
    alone = [evaluate([pair], model, held_out, 4)[0].ce_clean for pair in some_saes(model)]
    assert len({*alone, evaluate(some_saes(model), model, held_out, 4)[0].ce_clean}) == 1


def test_losses_are_right_where_later_layers_read_the_tokens_again():
    """Per-layer embeddings: each row goes on from zeros and from the mean in its own way."""
    model = LanguageModel("./gemma4", "", small_family("gemma4_text"), small_tokenizer())
    rows = np.random.default_rng(0).integers(0, model.vocabulary, (5, 24)).astype(np.int32)
    tokens = torch.from_numpy(rows).long()
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    (score,) = evaluate([(sae, 1)], model, rows, 2)
    stream = model.residual_streams(tokens, [1])[0]
    with torch.no_grad():
        splices = {"clean": stream, "spliced": sae(stream), "zero": torch.zeros_like(stream),
                   "mean": stream.mean((0, 1)).expand_as(stream)}  # fmt: skip
    for name, splice in splices.items():
        logits = logits_with_input(model.hugging_face, tokens, 2, splice)[:, :-1]
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none").mean(1)
        assert getattr(score.rows, f"ce_{name}") == pytest.approx(losses.numpy(), abs=1e-5), name


@pytest.mark.parametrize("which", ["model", "hooked"])
def test_spliced_losses_equal_hooks_on_the_bridge(which, held_out, request):
    """Independent: TransformerLens runs the whole model from the tokens, with a hook that changes the stream."""
    model = request.getfixturevalue(which)
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    tokens = torch.from_numpy(held_out).long()
    (score,) = evaluate([(sae, 1)], model, held_out, 4)

    def logits(change) -> torch.Tensor:
        hooks = [("blocks.1.hook_resid_post", lambda stream, hook: change(stream))]
        return model.bridge.run_with_hooks(tokens, fwd_hooks=hooks, return_type="logits")[:, :-1].flatten(0, 1)

    with torch.no_grad():
        clean, spliced, zero = logits(lambda x: x), logits(sae), logits(torch.zeros_like)
        mean = logits(lambda x: x.mean((0, 1)).expand_as(x))
    targets = tokens[:, 1:].flatten()
    for name, found in {"clean": clean, "spliced": spliced, "zero": zero, "mean": mean}.items():
        losses = nn.functional.cross_entropy(found, targets, reduction="none").view(len(held_out), -1)
        assert getattr(score, f"ce_{name}") == pytest.approx(losses.mean().item(), abs=1e-5), name
        assert getattr(score.rows, f"ce_{name}") == pytest.approx(losses.mean(1).numpy(), abs=1e-5), name
    divergence = nn.functional.kl_div(spliced.log_softmax(-1), clean.softmax(-1), reduction="batchmean")
    assert score.kl == pytest.approx(divergence.item(), abs=1e-5)
    by_token = nn.functional.kl_div(spliced.log_softmax(-1), clean.softmax(-1), reduction="none").sum(-1)
    assert score.rows.kl == pytest.approx(by_token.view(len(held_out), -1).mean(1).numpy(), abs=1e-5)


def test_coarser_products_give_nearly_the_same_scores(model, held_out):
    exact = evaluate(some_saes(model), model, held_out, 4)
    for one, other in zip(exact, evaluate(some_saes(model), model, held_out, 4, "bfloat16"), strict=True):
        assert other != one
        for name in ("ce_clean", "ce_spliced", "mse", "l0"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=0.02), name
    assert evaluate(some_saes(model), model, held_out, 4) == exact  # nothing stays switched


def test_sparsity_metrics_equal_a_naive_count(model, held_out):
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    with torch.no_grad():
        sae.b_enc[:10] = -1e3
    (score,) = evaluate([(sae, 0)], model, held_out, 4)
    with torch.no_grad():
        features = sae.encode(model.residual_streams(torch.from_numpy(held_out).long(), [0])[0]).flatten(0, 1)
    assert score.l0 == pytest.approx(sum((token > 0).sum().item() for token in features) / len(features))
    assert score.l1 == pytest.approx(features.sum().item() / len(features), rel=1e-5)
    assert score.rows.l0 == pytest.approx((features > 0).sum(-1).view(held_out.shape).double().mean(1).numpy())
    assert score.rows.l1 == pytest.approx(features.sum(-1).view(held_out.shape).mean(1).numpy(), rel=1e-5)
    assert score.dead_latents == pytest.approx(1 - (features > 0).any(0).float().mean().item())
    assert score.dead_latents >= 10 / 64


def test_clean_loss_is_one_number(model, held_out):
    saes = [(random_sae(model.d_model, 64, torch.Generator().manual_seed(layer)), layer) for layer in LAYERS]
    first, second = evaluate(saes, model, held_out, 4), evaluate(saes, model, held_out, 4)
    assert len({score.ce_clean for score in [*first, *second]}) == 1


def test_fewer_rows_at_a_time_where_memory_runs_out(model, held_out, monkeypatch):
    tried = []

    def short_of_memory(model, tokens, layers, precision, skip_first):
        tried.append(len(tokens))
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("made up")
        return clean_batch(model, tokens, layers, precision, skip_first)

    expected = evaluate(some_saes(model), model, held_out, 2)
    monkeypatch.setattr("saelib.sae.evaluation.clean_batch", short_of_memory)
    assert evaluate(some_saes(model), model, held_out, 5) == expected
    assert tried == [5, 2, 2, 2]


@pytest.mark.cuda
@pytest.mark.parametrize(("precision", "rel"), [("float32", 1e-4), ("tf32", 2e-2), ("bfloat16", 5e-2)])
def test_on_cuda_scores_are_those_of_the_cpu(model, random_model_folder, held_out, precision, rel):
    expected = evaluate(some_saes(model), model, held_out, 4)
    on_cuda = load_language_model(str(random_model_folder), device="cuda")
    saes = [(sae.to("cuda"), layer) for sae, layer in some_saes(model)]
    assert_equal_scores(evaluate(saes, on_cuda, held_out, 4, precision), expected, rel=rel, abs=rel / 100)


def test_the_same_function_scores_the_same_whatever_the_norms_of_its_decoder_rows(model, held_out):
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    with torch.no_grad():
        sae.W_dec[5], sae.W_enc[:, 5], sae.b_enc[5] = 0, 0, 0  # so that a row of norm 0 is among them
    others = [scaled(sae, factors) for factors in (torch.full((64,), 0.64), torch.logspace(-2, 2, 64))]
    with torch.no_grad():
        others[1].b_enc[5] = 3  # fires, and writes nothing
    one, *found = evaluate([(each, 1) for each in (sae, *others)], model, held_out, 4)
    for other in found:
        for name in ("ce_spliced", "kl", "mse", "l1", "explained_variance"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-5, abs=1e-6), name
    assert found[1].l0 == pytest.approx(one.l0 + 1)


def test_an_sae_of_another_width_is_refused_naming_both(model, held_out):
    sae = random_sae(48, 64, torch.Generator().manual_seed(0))
    sae.lineage = {"model_name": "gpt2-small"}
    with pytest.raises(ValueError, match=r"d_in 48 \(trained on gpt2-small\) cannot read layer 1 of .* is 32 wide"):
        evaluate([(sae, 1)], model, held_out, 4)


def test_an_sae_of_a_stream_that_keeps_its_mean_is_warned_of(model, hooked, held_out):
    """Once for all batches; not where the model's stream keeps it too, as behind an RMSNorm."""
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    sae.lineage = {"model_from_pretrained_kwargs": {"center_writing_weights": False}}
    with pytest.warns(UserWarning, match="keeps its mean over d_model") as said:
        evaluate([(sae, 1)], model, held_out, 4)
    assert len(said) == 1
    other = random_sae(hooked.d_model, 64, torch.Generator().manual_seed(0))
    other.lineage = sae.lineage
    with warnings.catch_warnings(action="error"):
        evaluate([(other, 1)], hooked, held_out % hooked.vocabulary, 4)
