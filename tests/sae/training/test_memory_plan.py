"""The plan's formulae are the bytes of real tensors, and what it refuses it explains."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch

from saelib.language.model import LanguageModel
from saelib.language.shapes import PUBLISHED, ModelShape, RandomRows, random_language_model
from saelib.sae.activations import chunk_order, plan_chunk
from saelib.sae.autoencoder import random_sae
from saelib.sae.config import TrainingConfig
from saelib.sae.evaluation import evaluate
from saelib.sae.training import cuda_step, memory_plan
from saelib.sae.training.cuda_step import CudaTrainee
from saelib.sae.training.memory_plan import ModelSizes, PhaseSizes, groups, plan_memory
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.sparse_step import SparseTrainee, most_entries
from saelib.sae.training.workspace import Workspace
from saelib.transfer.presets import PRESETS
from tests.helpers.live_memory import live_memory

SHAPE = ModelShape(layers=3, d_model=32, heads=4, d_mlp=128, vocabulary=512, context=64)
CONFIG = TrainingConfig(context_length=64, batch_tokens=256, chunk_rows=8, expansion_factor=4)
LAYERS, PLENTY = [0, 2], 10**12
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return random_language_model(SHAPE, "cpu")


def sizes(device: torch.device = CPU, config: TrainingConfig = CONFIG, saes: int = 4, **changes: Any) -> PhaseSizes:
    shape = ModelSizes(SHAPE.layers, SHAPE.d_model, SHAPE.vocabulary, SHAPE.parameters)
    return PhaseSizes(shape, config, saes=saes, layers=len(LAYERS), evaluation_rows=4, device=device, **changes)


def size_in_bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def new_trainees(config: TrainingConfig) -> list[CudaTrainee]:
    return [
        CudaTrainee(SaePlan("scratch", 0, seed, 0, 1e-3), random_sae(32, 128, torch.Generator()), config)
        for seed in range(4)
    ]


@pytest.mark.parametrize("betas", [(0.0, 0.999), (0.9, 0.999)])
def test_weights_and_moments_are_those_of_trainees(betas: tuple[float, float]) -> None:
    config = CONFIG.replace(adam_betas=betas)
    plan = plan_memory(sizes(CUDA, config), PLENTY, 4)
    trainees = new_trainees(config)
    state = [value for trainee in trainees for name, value in trainee.state().items() if name != "steps"]
    assert plan.sae_weights == size_in_bytes(weight for trainee in trainees for weight in trainee.weights)
    assert plan.sae_weights + plan.adam_moments == size_in_bytes(state)
    gradients, _ = cuda_step.dense_gradients(trainees[0].weights, torch.randn(8, 32), torch.tensor(1.0), torch.float32)
    assert plan.gradients == size_in_bytes(gradients)
    torch.set_num_threads(3)
    try:
        assert plan_memory(sizes(CPU, config), PLENTY, 4).gradients == 3 * size_in_bytes(gradients)
    finally:
        torch.set_num_threads(1)


def test_the_model_and_a_chunk_are_as_large_as_they_are(model: LanguageModel) -> None:
    chunk = plan_chunk(model, RandomRows(SHAPE, 64), 0, CONFIG, 0, LAYERS).filled()
    plan = plan_memory(sizes(), PLENTY, 4)
    assert plan.language_model == size_in_bytes(model.hugging_face.parameters())
    assert plan.activations == 2 * size_in_bytes([chunk, chunk_order(0, 0, CONFIG.chunk_tokens)])
    assert memory_plan.model_sizes(model) == sizes().model


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_s_tensors_fit_in_the_plan(precision: str) -> None:
    config = CONFIG.replace(precision=precision, batch_tokens=512)
    plan, trainee = plan_memory(sizes(CUDA, config), PLENTY, 4), new_trainees(config)[0]
    x = torch.randn(512, 32)
    with live_memory() as live:
        trainee.step(x, 1.0, 1.0, 1.0)
    most = plan.step + 3 * plan.gradients  # clipped ones beside the others, and what Adam makes of one
    assert most / 3 < live.most <= most


@pytest.mark.parametrize("bias", [-1.0, 1.0], ids=["sparse tiles", "dense tiles"])
def test_on_a_cpu_scratch_and_tensors_of_a_step_fit_in_the_plan(bias: float) -> None:
    torch.set_num_threads(1)
    plan, x = plan_memory(sizes(CPU), PLENTY, 4), torch.randn(256, 32)
    sae = random_sae(32, 128, torch.Generator())
    sae.b_enc.data.fill_(bias)
    trainee = SparseTrainee(SaePlan("scratch", 0, 0, 0, 1e-3), sae, CONFIG)
    trainee.step(x, 1.0, 1.0, 1.0)
    space = Workspace.of_this_thread(32, 128, 256, most_entries(256, 128))
    scratch = space.before.nbytes + space.error.nbytes
    scratch += sum(array.nbytes for array in (*space.by_token, *space.by_feature))
    with live_memory() as live:
        trainee.step(x, 1.0, 1.0, 1.0)
    assert plan.step / 3 < live.most + scratch <= plan.step


def test_on_a_cpu_passes_of_all_threads_count() -> None:
    one = plan_memory(sizes(CUDA), PLENTY, 2).language_model_pass
    torch.set_num_threads(3)
    try:
        assert plan_memory(sizes(CPU), PLENTY, 2).language_model_pass == 3 * one
        assert plan_memory(sizes(CPU), PLENTY, 4).language_model_pass == 2 * (2 * one), "8 rows are two passes of 4"
    finally:
        torch.set_num_threads(1)


def test_a_pass_s_tensors_fit_in_the_plan(model: LanguageModel) -> None:
    plan = plan_memory(sizes(CUDA), PLENTY, 4)
    tokens = torch.from_numpy(RandomRows(SHAPE, 64).take(0, 4)).long()
    with live_memory() as live:
        model.residual_streams(tokens, LAYERS)
    assert plan.language_model_pass / 3 < live.most <= plan.language_model_pass


def test_an_evaluation_s_tensors_fit_in_the_plan(model: LanguageModel) -> None:
    plan = plan_memory(sizes(), PLENTY, 4)
    saes = [(random_sae(32, 128, torch.Generator()).requires_grad_(False), layer) for layer in LAYERS]
    with live_memory() as live:
        evaluate(saes, model, RandomRows(SHAPE, 64).take(0, 8), 4)
    assert plan.evaluation / 5 < live.most <= plan.evaluation


def test_what_fits_is_taken_in_the_fewest_passes() -> None:
    few = replace(sizes(CUDA), evaluation_rows=1)  # so that training holds the most
    whole = plan_memory(few, PLENTY, 4)
    assert (whole.saes_per_pass, whole.passes, whole.rows_per_pass) == (4, 1, 4)
    tight = plan_memory(few, int(whole.most / 0.9) - 100, 4)
    assert (tight.passes, tight.rows_per_pass) == (1, 2), "rows come first: another pass costs a whole harvest"
    least = plan_memory(few, PLENTY, 1)
    split = plan_memory(few, int(least.most / 0.9) - 100, 4)
    assert (split.passes, split.saes_per_pass) == (2, 2)
    assert groups(range(4), split.saes_per_pass) == [[0, 1], [2, 3]]
    assert groups(range(4), whole.saes_per_pass) == [[0, 1, 2, 3]]


def test_what_does_not_fit_is_refused_with_the_numbers_and_the_remedy() -> None:
    with pytest.raises(MemoryError) as refused:
        plan_memory(sizes(CUDA), 100_000, 4)
    text = str(refused.value)
    assert text.startswith("not even one SAE fits: it needs 0.00")
    for said in ("of 0.000 GB free", "chunk_rows=8", "batch_tokens=256", "evaluation_batch_rows=4", "adam moments"):
        assert said in text


def test_the_paper_s_run_fits_a_gpu_of_80_gb_in_one_pass() -> None:
    shape, config = PUBLISHED["EleutherAI/pythia-160m-deduped"], PRESETS["pythia-160m"]
    model = ModelSizes(shape.layers, shape.d_model, shape.vocabulary, shape.parameters)
    for saes in (12, 34):
        plan = plan_memory(PhaseSizes(model, config, saes, 12, config.evaluation_batch_rows, CUDA), 80 * 10**9, 8)
        assert (plan.passes, plan.rows_per_pass) == (1, 8)
        assert 8 * 10**9 < plan.most < 30 * 10**9


def test_a_plan_can_be_read() -> None:
    plan = plan_memory(sizes(), PLENTY, 4)
    lines = str(plan).splitlines()
    assert lines[1].split() == ["sae", "weights", "0.000", "GB"]
    assert lines[-1] == "4 SAEs in a pass, 1 pass(es) over the text, 4 rows at a time through the language model"
    assert str(replace(plan, sae_weights=12 * 10**9)).splitlines()[1].endswith("12.000 GB")


def test_memory_is_there() -> None:
    assert 10**8 < memory_plan.free_memory(CPU) < 10**15


def test_batches_that_are_divided_by_a_scale_are_counted() -> None:
    scaled = CONFIG.replace(activation_scale=2)
    for device, at_once in ((CUDA, 1), (CPU, min(4, torch.get_num_threads()))):
        more = plan_memory(sizes(device, scaled), PLENTY, 4).step - plan_memory(sizes(device), PLENTY, 4).step
        assert more == at_once * CONFIG.batch_tokens * SHAPE.d_model * 4
