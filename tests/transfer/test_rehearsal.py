"""A rehearsal goes through both phases by `train` itself and says what the whole run would take."""

import re
from pathlib import Path

import pytest
import torch

from saelib.language.corpus.rows import ShuffledRows
from saelib.language.shapes import shape_of
from saelib.transfer import passes, rehearsal, rehearsal_text
from saelib.transfer.config import PRESETS
from tests.helpers.small_world import toy_rows


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    config = PRESETS["smoke"].replace(device="cpu", layers=(0, 3), sae_seeds=1)
    folder = tmp_path_factory.mktemp("rehearsal")
    return "\n".join(rehearsal.rehearse(config, shape_of("embedded"), folder, rows=4))


def test_it_says_what_it_does(report: str) -> None:
    first = report.splitlines()[0]
    assert first.startswith("Rehearsal of smoke on cpu: random weights in the shape of embedded")
    assert "4 chunks in each phase; products in float32." in first
    assert first.endswith("long wait on this device: chunk_rows cut from 16 to 4.")


def test_both_phases_are_planned_and_measured(report: str) -> None:
    assert re.findall(r"Memory of phase (\w+), planned", report) == ["scratch", "transfer"]
    assert re.findall(r"tokens/s for each of (\d+) SAEs", report) == ["2", "4"]  # both ways, two starts
    assert report.count("1 pass(es) over the text") == 2


def test_hours_add_up(report: str) -> None:
    hours = [float(value) for value in re.findall(r"([\d.]+) hours", report)]
    assert len(hours) == 4
    assert hours[3] == pytest.approx(sum(hours[:3]), abs=0.02)


def test_disk_counts_every_checkpoint(report: str) -> None:
    config = PRESETS["smoke"]
    folders = 2 * len(config.scratch.checkpoints) + 4 * len(config.transfer.checkpoints)
    assert f"Disk: {folders} SAE folders" in report
    assert report.endswith("Downloads: none.")


def test_disk_counts_resume_points_with_weights_and_moments(report: str) -> None:
    config, shape = PRESETS["smoke"], shape_of("embedded")
    numbers = 2 * shape.d_model**2 * config.expansion_factor + shape.d_model * (config.expansion_factor + 1)
    size = 2 * 4 * 2 * 2 * 4 * numbers  # two points, four SAEs with a branch each, weights and second moments, bytes
    assert f"while a phase trains also 2 resume points, at most {size / 1e9:.3f} GB." in report


def test_what_is_scored_once_is_counted_once() -> None:
    config = PRESETS["smoke"].replace(sae_seeds=1, starts=("copy",))
    phases = {
        name: rehearsal_text.RehearsedPhase(name, saes, 1e-9, 1, 0, 0)
        for name, saes in (("scratch", 2), ("transfer", 4))
    }
    text = rehearsal_text.hours(config, [0, 3], phases, 3600 / config.held_out_rows)
    first, second = len(config.scratch.checkpoints), len(config.transfer.checkpoints)
    assert f"{2 + 2 * first + 4 * (second - 1):,.2f} hours" in text.splitlines()[-2]


def test_scoring_is_timed_at_the_run_s_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        rehearsal, "evaluate", lambda saes, model, rows, batch, precision, skip: asked.append(precision)
    )
    config = PRESETS["smoke"].replace(device="cpu", layers=(0, 3), sae_seeds=1, precision="bfloat16")
    list(rehearsal.rehearse(config, shape_of("embedded"), tmp_path, rows=1))
    assert asked == ["bfloat16"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--chunk-rows", "0", "a chunk has a row at least"), ("--device", "nonsense", "device='nonsense'"),
     ("--device", "cuda:99", "not on this machine")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_in_a_line(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        rehearsal.main(["--preset", "smoke", option, value])
    assert said in capsys.readouterr().err


def test_the_paper_s_downloads_are_known_without_a_hub() -> None:
    config = PRESETS["pythia-160m"]
    text = rehearsal_text.downloads(config, shape_of(config.language_model))
    assert "EleutherAI/pythia-160m-deduped, about 0.325 GB (162,322,944 weights of 2 bytes)" in text
    assert "NeelNanda/pile-small-tokenized-2b, 1,001,046,016 tokens, at most 4.004 GB" in text


@pytest.mark.parametrize(
    ("preset", "device", "saes", "rows", "expected"),
    [
        ("pythia-160m", "cuda", 34, None, (104, 4096)),
        ("pythia-160m", "cpu", 34, None, (1, 1024)),  # not even a batch is affordable: the batch is cut too
        ("pythia-160m", "cpu", 1, None, (4, 4096)),  # one whole batch, of the six rows that are affordable
        ("pythia-160m", "cuda", 34, 9, (8, 4096)),
        ("tiny", "cpu", 48, None, (64, 1024)),
    ],
)
def test_chunks_are_cut_on_a_cpu_alone_and_to_whole_batches(
    preset: str, device: str, saes: int, rows: int | None, expected: tuple[int, int]
) -> None:
    config = PRESETS[preset]
    short = rehearsal.shorter(config, shape_of(config.language_model), saes, torch.device(device), rows, 4)
    assert (short.chunk_rows, short.batch_tokens) == expected
    assert short.scratch.tokens == short.transfer.tokens == 4 * short.chunk_tokens


def test_rows_are_timed_from_warm_chunk_to_warm_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 50.0, 70.0, 73.0, 77.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    timed, plain = rehearsal.TimedRows(toy_rows()), toy_rows()
    assert isinstance(plain, ShuffledRows)
    for start in range(5):
        assert (timed.take(start, 2) == plain.take(start, 2)).all()
    assert timed.seconds() == 3.5


def test_the_command_line_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    told = iter(["first", "second"])
    monkeypatch.setattr(rehearsal, "rehearse", lambda *arguments: told)
    rehearsal.main(["--preset", "smoke", "--device", "cpu", "--precision", "bfloat16"])
    assert capsys.readouterr().out == "first\nsecond\n"
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"]


def test_too_little_memory_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    monkeypatch.setattr(passes, "free_memory", lambda device: 1_000_000)
    monkeypatch.setattr(rehearsal, "train", None)
    with pytest.raises(SystemExit, match="this run does not fit: not even one SAE fits"):
        rehearsal.main(["--preset", "smoke", "--device", "cpu"])
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"]
