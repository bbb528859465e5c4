"""`make bench-gpu` at sizes that mean nothing, on the CPU: everything is measured and reaches the table."""

from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_table
from benchmarks.workload import Workload
from saelib.language.shapes import PUBLISHED

SMALL = ["--layers", "2", "--d-model", "32", "--heads", "4", "--vocabulary", "128", "--d-sae", "64", "--context", "32",
         "--batch-tokens", "128", "--chunk-rows", "4", "--chunks", "4"]  # fmt: skip


def rates(**changes: float) -> gpu_table.Rates:
    base = gpu_table.Rates(
        "bfloat16", harvest=4.0e5, step=2.0e5, both=1.5e5, products=6e14, peak_memory=10**10, sae_lens=1e5
    )
    return base._replace(**changes)  # type: ignore[arg-type]


def test_it_measures_every_precision_and_writes_the_table(tmp_path: Path) -> None:
    gpu.main([*SMALL, "--device", "cpu", "--results", str(tmp_path), "--peers-python", str(tmp_path / "python")])
    lines = (tmp_path / "benchmark_gpu.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[0] for row in rows] == ["products", "---", "float32", "tf32", "bfloat16"]
    assert {len(row) for row in rows} == {11}
    for row in rows[2:]:
        assert all(float(cell.replace(",", "")) > 0 for cell in row[1:5])
        assert row[9] == "not run"
    assert "Python" in lines[2] and f"PyTorch {torch.__version__}" in lines[2]


def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(SystemExit, match="no CUDA device is here"):
        gpu.main(SMALL)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--heads", "5", "heads=5"), ("--heads", "0", "heads=0"), ("--layers", "0", "layers=0"),
     ("--batch-tokens", "100", "batch_tokens=100"), ("--context", "0", "context"),
     ("--chunk-rows", "0", "chunk_tokens=0")],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused_in_a_line(option: str, value: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        gpu.main([*SMALL, "--device", "cpu", option, value])


def test_the_default_sizes_are_the_paper_s() -> None:
    options, shape = gpu.parse_arguments([]), PUBLISHED["EleutherAI/pythia-160m-deduped"]
    assert (options.layers, options.d_model, options.heads, options.vocabulary) == (12, 768, 12, 50304)
    assert (options.d_sae, options.context, options.batch_tokens, options.chunk_rows) == (6144, 1024, 4096, 104)
    assert shape.d_mlp == 4 * options.d_model


def test_hours_are_of_the_measured_speed_with_further_saes_by_their_steps() -> None:
    work = Workload(language_model="random", layers=12)
    assert gpu_table.hours(rates(), work, 12, 1e9) == pytest.approx(1e9 / 1.5e5 / 3600)
    assert gpu_table.hours(rates(), work, 24, 1e9) == pytest.approx(1e9 * (1 / 1.5e5 + 1 / 2.0e5) / 3600)


def test_flops_are_counted_by_hand() -> None:
    work = Workload(language_model="random", layers=2, d_model=32, d_sae=64, context=32)
    model, step = gpu_table.flops(work, 3)
    assert step == 3 * 5 * 2 * 32 * 64
    weights = 32 * (3 * 32) + 32 * 32 + 2 * 32 * 128  # queries, keys, values; out; the wide middle
    seen = 32 / 2  # tokens before one, on average; a score and a weighted value for each
    assert model == 2 * 2 * (weights + 2 * seen * 32)


def test_the_table_compares_sae_tokens() -> None:
    work = Workload(language_model="random", layers=2)
    row = gpu_table.markdown([rates()], work, "a card").splitlines()[-1]
    assert "| 300,000 |" in row and row.endswith("| 100,000 | 3.0 times |")
