"""Chunks harvested beside the training are those of plain calls; what needs a GPU is skipped where there is none."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.precision import Precision
from saelib.sae.activations import plan_chunk, to_device
from saelib.sae.training.harvest import PooledHarvester, StreamHarvester, harvesting
from tests.helpers.small_world import ToyModel, toy_config, toy_rows

CPU, LAYERS = torch.device("cpu"), [0, 1, 2]


def test_a_pool_fills_the_chunks_that_plain_calls_fill() -> None:
    config, model = toy_config(), ToyModel()
    with ThreadPoolExecutor(3) as pool:
        harvester = PooledHarvester(lambda chunk: plan_chunk(model, toy_rows(), chunk, config, 0, LAYERS, 1), pool, 5)
        for chunk in (2, 3, 4):
            plain = plan_chunk(model, toy_rows(), chunk, config, 0, LAYERS, 1).filled()
            assert torch.equal(harvester.take(chunk), plain)


def test_a_model_that_makes_one_pass_at_a_time_is_asked_for_one_at_a_time() -> None:
    class OneAtATime(ToyModel):
        thread_safe, inside = False, 0

        def residual_streams(self, tokens, layers):
            self.inside += 1
            assert self.inside == 1
            time.sleep(0.01)
            self.inside -= 1
            return super().residual_streams(tokens, layers)

    config = toy_config()
    plain = plan_chunk(ToyModel(), toy_rows(), 1, config, 0, LAYERS, 1).filled()
    with ThreadPoolExecutor(4) as pool:
        harvester = harvesting(OneAtATime(), toy_rows(), config.scratch, config, 0, LAYERS, pool, 1)
        assert torch.equal(harvester.take(1), plain)


def test_what_goes_wrong_in_a_pool_is_raised_when_its_chunk_is_asked_for() -> None:
    class Failing(ToyModel):
        def residual_streams(self, tokens, layers):
            raise OSError("disk full")

    config = toy_config()
    with ThreadPoolExecutor(1) as pool:
        harvester = PooledHarvester(lambda chunk: plan_chunk(Failing(), toy_rows(), chunk, config, 0, LAYERS), pool, 5)
        with pytest.raises(OSError, match="disk full"):
            harvester.take(0)


def test_without_streams_a_chunk_is_filled_when_it_is_asked_for() -> None:
    filled: list[int] = []

    def fill(chunk: int) -> torch.Tensor:
        filled.append(chunk)
        return torch.full((1, 2, 3), float(chunk))

    harvester = StreamHarvester(fill, CPU, chunks=5)
    assert [harvester.take(chunk)[0, 0, 0].item() for chunk in (2, 3, 4)] == [2.0, 3.0, 4.0]
    assert filled == [2, 3, 4]


def test_on_the_cpu_tokens_stay_where_they_are() -> None:
    tokens = torch.arange(6)
    assert to_device(tokens, CPU) is tokens


@pytest.mark.cuda
def test_on_cuda_overlapped_chunks_are_the_plain_ones() -> None:
    device = torch.device("cuda")

    def fill(chunk: int) -> torch.Tensor:
        generator = torch.Generator(device).manual_seed(chunk)
        return torch.randn(3, 4096, 64, device=device, generator=generator) @ torch.eye(64, device=device)

    harvester = StreamHarvester(fill, device, chunks=6)
    for chunk in range(6):
        activations = harvester.take(chunk)
        for _ in range(50):
            activations.mul_(1.0)
        assert torch.equal(activations, fill(chunk))


@pytest.mark.cuda
def test_on_cuda_harvesting_does_not_wait_for_the_device() -> None:
    device, tokens = torch.device("cuda"), torch.arange(64)
    table = torch.randn(64, 8, device=device)
    harvester = StreamHarvester(lambda chunk: table[to_device(tokens, device)][None], device, chunks=3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for chunk in range(3):
            harvester.take(chunk)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_on_cuda_a_language_model_s_chunks_do_not_wait_either(random_model_folder: Path, precision: Precision) -> None:
    config, model = toy_config(precision=precision), load_language_model(str(random_model_folder), device="cuda")

    def chunks() -> list[torch.Tensor]:
        with ThreadPoolExecutor(1) as pool:
            harvester = harvesting(model, toy_rows(), config.scratch, config, 0, LAYERS, pool)
            return [harvester.take(chunk) for chunk in range(3)]

    chunks()  # warm
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = chunks()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for chunk, activations in enumerate(found):
        assert torch.equal(activations, plan_chunk(model, toy_rows(), chunk, config, 0, LAYERS).filled())
