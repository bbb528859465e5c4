"""`make bench` at sizes that mean nothing: every competitor does the same work and reaches the table."""

import csv
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import compare, growth, kit, machine, pages
from benchmarks.competitors import ALL, EXPERIMENT, KIT, NEIGHBOURS, ONE_PASS, Competitor
from benchmarks.inputs import write_inputs
from benchmarks.outcome import residual_streams, score
from benchmarks.report import Measurements, markdown
from benchmarks.runs import PEERS_PYTHON, Run, alternate, run, running_neighbour
from benchmarks.tables import MARK, by_competitor, comparison, load_text, neighbours, ratio
from benchmarks.workload import MODEL_FOLDER, Workload, process_cpu_seconds, stopwatch
from saelib.language.loading import load_language_model

SMALL = {"language_model": "random", "layers": 2, "d_model": 32, "d_sae": 64, "vocabulary": 128, "context": 32,
         "batch_tokens": 64, "chunk_tokens": 512, "tokens": 1024, "experiment_tokens": 2048}  # fmt: skip
OPTIONS = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", str(value))]
PEER = next(competitor for competitor in ONE_PASS if competitor.peer)


def a_run(rate: float, competitor: Competitor = KIT, round_: int = 1, others: float | None = 0.0) -> Run:
    """What a run comes back with, in the parts that the tables show."""
    result = {"sae_tokens": 1000, "seconds": 1000 / rate, "cpu_seconds": 2000 / rate, "sae_tokens_per_second": rate,
              "peak_memory_mb": 1, "l0": 50.0, "explained_variance": 0.75, "threads": 2,
              "settings": "plain", "packages": {"torch": "2"}}  # fmt: skip
    return Run(competitor, Workload(), round_, result, others)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small work's model, rows and held-out streams."""
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(Workload(**SMALL), folder)  # type: ignore[arg-type]
    return folder


def test_all_competitors_do_the_same_work(peers_python: Path, tmp_path: Path) -> None:
    chosen = [competitor for competitor in ALL if competitor not in NEIGHBOURS]
    only = ["--only", *(competitor.key for competitor in chosen), "--growth-factors", "--rounds", "1"]
    where = ["--peers-python", str(peers_python), "--results", str(tmp_path), "--wait-seconds", "0"]
    compare.main([*OPTIONS, *only, *where])
    with (tmp_path / "benchmark.csv").open(encoding="utf-8") as stream:
        rows = {row["competitor"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [competitor.key for competitor in chosen]
    assert {int(rows[competitor.key]["sae_tokens"]) for competitor in ONE_PASS} == {2 * 1024}
    experiment = {int(rows[competitor.key]["sae_tokens"]) for competitor in EXPERIMENT}
    assert experiment == {2 * 2048 + 2 * 1024}  # two scratch SAEs, one forward and one backward transfer
    assert all(0 < float(row["l0"]) <= 64 for row in rows.values())
    assert all(float(row["cpu_seconds"]) > 0 for row in rows.values())
    report = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert all(competitor.title in report for competitor in chosen)


def test_rounds_alternate() -> None:
    asked: list[object] = []

    def run_one(competitor: Competitor, number: int) -> Run:
        asked.append((competitor, number))
        return a_run(1.0, competitor, number)

    runs = list(alternate([KIT, PEER], 2, run_one, lambda: asked.append("rest")))
    assert asked == ["rest", (KIT, 1), (PEER, 1), "rest", (KIT, 2), (PEER, 2)]
    assert [run.round for run in by_competitor(runs, ONE_PASS)[PEER]] == [1, 2]


def test_ratio_is_of_median_speeds_and_its_range_is_over_the_rounds() -> None:
    ours = [a_run(rate, KIT, number) for number, rate in enumerate((500.0, 400.0, 600.0), 1)]
    theirs = [a_run(rate, PEER, number) for number, rate in enumerate((100.0, 200.0, 50.0), 1)]
    assert ratio(ours, theirs) == (5.0, 2.0, 12.0)
    *_, first, second = comparison({KIT: ours, PEER: theirs}).splitlines()
    assert "times" not in first and "| 2.0 (1.7 to 2.5) |" in first
    assert "| 5.0 (2.0 to 12.0) times |" in second
    with pytest.raises(ValueError, match="different rounds"):
        ratio(ours[1:], theirs)


def test_a_disturbed_run_is_marked() -> None:
    quiet, disturbed = [a_run(1.0)], [a_run(1.0, PEER, others=0.5)]
    *_, first, second = comparison({KIT: quiet, PEER: disturbed}).splitlines()
    assert MARK not in first and f"{PEER.title} {MARK}" in second
    assert "not at rest" not in load_text([0.0], quiet, 0.1)
    assert "not at rest" in load_text([0.0], disturbed, 0.1) and "0.50 during a run" in load_text([0.0], disturbed, 0.1)
    assert "not at rest" in load_text([0.9], quiet, 0.1)
    assert "does not say" in load_text([None], quiet, 0.1)
    beside = [a_run(1.0, NEIGHBOURS[0], others=1.0)]  # a neighbour on purpose is no disturbance
    assert "not at rest" not in load_text([0.0], quiet + beside, 0.1)


def test_share_beside_a_busy_program() -> None:
    table = neighbours([a_run(300.0), a_run(150.0, NEIGHBOURS[0])])
    assert table and table.splitlines()[-1].endswith("| 150 | 0.50 | 0.67 | 0.75 |")  # two cores' work beside one's
    assert neighbours([a_run(300.0)]) is neighbours([a_run(1.0, NEIGHBOURS[0])]) is None


def test_growth_fits_a_power_law_and_measures_no_size_twice() -> None:
    base, asked = Workload(**SMALL), []  # type: ignore[arg-type]

    def run_one(work: Workload) -> Run:
        asked.append(work)
        units = work.tokens * work.seeds**0.5 * work.d_sae / (base.tokens * base.d_sae)
        return Run(KIT, work, 1, a_run(1.0).result | {"seconds": units}, 0.0)

    grown = growth.measure(base, (1, 2, 4, 8), run_one)
    assert len(asked) == len(set(asked)) == 1 + 3 * 3
    lines = growth.table(grown).splitlines()
    assert lines[2] == "| tokens | seconds | 1.0 | 2.0 | 4.0 | 8.0 | 1.00 |"
    assert lines[5] == "| SAEs | seconds | 1.0 | 1.4 | 2.0 | 2.8 | 0.50 |"
    found = Measurements(base, "abc", 1, [a_run(1.0)], grown, [0.0], 0.0)
    assert len(found.all_runs) == 1 + len(asked)
    assert "## Growth" in markdown(found, "a machine")


def test_more_saes_for_each_layer_are_trained(inputs: Path) -> None:
    timing = kit.one_pass(Workload(**SMALL | {"seeds": 2}), inputs)  # type: ignore[arg-type]
    assert timing.sae_tokens == 2 * 2 * 1024
    assert timing.spent.cpu_seconds > 0 and 0 < timing.outcome.l0 < SMALL["d_sae"]  # type: ignore[operator]


def test_held_out_streams_are_those_that_each_side_trains_on(inputs: Path) -> None:
    rows = torch.randint(0, 128, (4, 32))
    model = load_language_model(str(inputs / MODEL_FOLDER), device="cpu")
    assert residual_streams(inputs, centred=True).mean(-1).abs().max() < 1e-5
    assert model.residual_streams(rows, [0, 1]).mean(-1).abs().max() < 1e-5
    assert residual_streams(inputs, centred=False).mean(-1).abs().max() > 1e-3
    bare = model.hugging_face(rows, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(
        bare - bare.mean(-1, keepdim=True), model.residual_streams(rows, [0])[0], atol=1e-4, rtol=0
    )


def test_outcome_by_hand() -> None:
    vectors = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    features = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])
    assert score(vectors, features, vectors) == (1.5, 1.0)
    assert score(vectors, features, vectors.mean(0).expand(2, 2)) == (1.5, 0.0)


def test_stopwatch_counts_wall_and_cpu_seconds() -> None:
    with stopwatch("cpu") as spent:
        time.sleep(0.05)
    start = process_cpu_seconds()
    with stopwatch("cpu") as busy:
        while process_cpu_seconds() < start + 0.05:
            pass
    assert spent.seconds >= 0.05 and busy.cpu_seconds >= 0.04
    both = spent + busy
    assert both.seconds == spent.seconds + busy.seconds and both.peak_memory_mb == busy.peak_memory_mb > 0


@pytest.mark.skipif(not machine.STAT.exists(), reason="the machine does not say what its cores do")
def test_a_busy_program_is_seen() -> None:
    with running_neighbour("loop"):
        time.sleep(0.2)  # until it has started
        assert (machine.cores_in_use(0.5) or 0) > machine.REST


def test_a_neighbour_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(words: list[str], **options: Any) -> subprocess.Popen:
        started.append(popen(words, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with running_neighbour("loop"):
        assert started[0].args == [sys.executable, "-c", "while True: pass"]
        assert started[0].poll() is None
    assert started[0].returncode
    with running_neighbour(None):
        assert len(started) == 1


def test_own_time_is_no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "busy_core_seconds", lambda: 30.0)
    assert machine.other_cores(10.0, seconds=10.0, own_cpu_seconds=15.0) == 0.5
    assert machine.other_cores(10.0, seconds=10.0, own_cpu_seconds=25.0) == 0.0
    assert machine.other_cores(None, seconds=10.0, own_cpu_seconds=0.0) is None


@pytest.mark.parametrize(("seen", "patience", "last"), [([1.0, 0.5, 0.0], 60, 0.0), ([1.0, 0.5, 0.0], 0, 1.0)])
def test_a_round_waits_for_rest_and_gives_up(
    seen: list[float], patience: float, last: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(seen)
    monkeypatch.setattr(machine, "cores_in_use", lambda look_seconds: next(looks))
    assert machine.wait_for_rest(patience) == last


@pytest.mark.parametrize("wrong", [{"tokens": 1000}, {"experiment_tokens": 0}, {"d_sae": 100}, {"batch_tokens": 100},
                                   {"chunk_tokens": 96}, {"language_model": "none"}, {"layers": 0},
                                   {"context": 0}])  # fmt: skip
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Workload(**{**SMALL, **wrong})


def test_impossible_sizes_are_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="tokens=1000: must be a positive multiple of 512"):
        compare.main([*OPTIONS, "--tokens", "1000", "--results", str(tmp_path)])


def test_the_embedded_model_has_its_own_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'layers': 2.*--language-model random"):
        write_inputs(Workload(layers=2), tmp_path)


def test_failing_competitor_is_named(inputs: Path) -> None:
    missing = Competitor("nobody", "dense_loop", "no_such_measure", peer=False)
    with pytest.raises(RuntimeError, match="dense_loop.no_such_measure failed"):
        run(missing, Workload(**SMALL), inputs, PEERS_PYTHON)  # type: ignore[arg-type]


def test_missing_peers_environment_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make bench"):
        compare.main(["--peers-python", str(tmp_path / "python"), "--results", str(tmp_path)])


def test_the_page_says_what_the_results_say(tmp_path: Path) -> None:
    page = pages.PAGE.read_text(encoding="utf-8")
    assert pages.filled(page) == page, "run `python -m benchmarks.pages`"
    (tmp_path / "a.md").write_text("# Title\n\nText.\n\n## One\n\n| x |\n\n## Settings\n\n- all\n\n## Two\n\nmore\n")
    filled = pages.filled("Before.\n<!-- from a.md -->\nold\n<!-- end -->\nAfter.\n", tmp_path)
    assert re.sub(r"\n+", " ", filled) == (
        "Before. <!-- from a.md --> Text. ### One | x | ### Two more <!-- end --> After. "
    )
