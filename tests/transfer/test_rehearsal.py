"""A rehearsal goes through both phases by `train` itself and says what the whole run would take."""

import re
from pathlib import Path

import pytest
import torch

from saelib.language.corpus.rows import ShuffledRows
from saelib.language.shapes import shape_of
from saelib.transfer import passes, rehearsal, rehearsal_text
from saelib.transfer.experiment import Experiment
from saelib.transfer.presets import PRESETS
from saelib.transfer.work_beside import Work, work_beside
from tests.helpers.gguf_files import write_gguf
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


def test_what_a_run_does_beside_its_phases_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    depth = {"depth_source": 3, "depth_budgets": (2048, 4096), "depth_scratch_layers": (1, 3), "depth_rows": 4,
             "depth_l1_multiples": (0.5, 1.0), "depth_fine_tuning": (4,), "depth_group": (2, 3)}  # fmt: skip
    config = PRESETS["smoke"].replace(layers=(0, 3), target_l0=20.0, trial_tokens=2048, **depth)
    experiment = Experiment(config)
    trials, study = work_beside(experiment)
    # Two layers of 3 lambdas and 3 further rounds; 2,048 tokens, and a branch of the decay that ends after half.
    assert trials == ("trials", 12 * (2048 + 256), 12 * 32 * 2, 0)
    # In each of two replicates: L1 at both lambdas and L3 at one, and a group, of 4,096 tokens and a branch of a fifth
    # of 2,048 (one step of 256); the two budgets' SAEs for 512 tokens at layer 4.
    assert study.sae_tokens == 2 * (4 * (4096 + 256) + 2 * 1024)
    assert study.kept_saes == 2 * (4 * 3 + 2 * 2)
    # Two ways at six layers, scratch at two lambdas and two layers, the group at two, tuned at one; two budgets.
    assert study.row_scores == 4 * 2 * 2 * (2 * 6 + 2 * 2 + 2 + 1)
    assert work_beside(Experiment(PRESETS["smoke"])) == []
    assert not (tmp_path / "smoke").exists()
    phases = {
        name: rehearsal_text.RehearsedPhase(name, 2, 1.0, 1000, 10**9, 0) for name in ("scratch", "transfer")
    }  # 2,000 SAE-tokens a second
    beside = [Work("trials", 7_200_000, 0, 0), Work("distance", 0, 36, 5)]
    lines = rehearsal_text.hours(config, [0, 3], phases, 100.0, beside).splitlines()
    assert [line.split() for line in lines[-3:-1]] == [["trials", "1.00", "hours"], ["distance", "1.00", "hours"]]
    assert "Disk: 21 SAE folders of 1.000 GB, 21.000 GB" in rehearsal_text.disk(config, phases, beside)


def test_a_model_on_this_machine_is_rehearsed_in_its_own_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    path = write_gguf(tmp_path / "model.gguf")
    rehearsal.main(["--preset", "smoke", "--language-model", str(path), "--device", "cpu", "--chunk-rows", "4"])
    said = capsys.readouterr().out
    parameters = shape_of(str(path)).parameters
    assert f"in the shape of {path}" in said
    assert said.splitlines()[-1].startswith("Downloads: none. In the cache: ")
    assert said.splitlines()[-1].endswith(f"in float32, {parameters * 4 / 1e9:.3f} GB.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--language-model", "somebody/model"], "the shape of 'somebody/model' is not known offline; known:"),
        (["--language-model", "/nowhere"], "language model folder /nowhere does not exist"),
    ],
)  # fmt: skip
def test_a_model_that_is_not_here_is_said_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        rehearsal.main(["--preset", "smoke", *arguments])
    assert said in capsys.readouterr().err


def test_layers_that_the_model_lacks_are_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    with pytest.raises(SystemExit, match=r"layers=\[11, 12, 13, 14\]: embedded has layers 0 to 5"):
        rehearsal.main(["--preset", "smollm2", "--language-model", "embedded", "--device", "cpu"])


def test_smollm2_comes_as_a_package_and_only_what_is_on_the_hub_is_fetched() -> None:
    smollm2 = PRESETS["smollm2"].replace(sink_token="none", rows="joined")
    shape = shape_of("smollm2")
    assert rehearsal_text.downloads(smollm2, shape) == ("Downloads: none. In the cache: smollm2 in float32, 0.538 GB.")
    rows = PRESETS["smoke"].replace(corpus="NeelNanda/pile-small-tokenized-2b")
    text = rehearsal_text.downloads(rows, shape_of("embedded"))
    assert text.startswith("Downloads, by arithmetic: NeelNanda/pile-small-tokenized-2b, ")


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
