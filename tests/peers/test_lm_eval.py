"""lm-evaluation-harness on the exported task group: its log-probabilities are the local engine's."""

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.htest_work import QUIET, largest_difference, lm_eval_command, read_samples
from saelib.htest.asking.lm_eval_export import export
from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.asking.replies import Condition
from saelib.htest.items.item import Item
from saelib.htest.respondents import open_respondent
from saelib.language.embedded import EMBEDDED_FOLDER
from tests.helpers.framed_tokenizers import framed_tokenizer, random_model, save
from tests.helpers.made_items import made_items

SHOTS, TASK_NAMES = 4, ("uppercase", "rhyme")
ODD = ('a "quoted" word', "{{ prompt }} {% raw %}", "naïve  Ünïcode \\n", "ends in a blank ")


@pytest.fixture(scope="module")
def items() -> list[Item]:
    from dataclasses import replace

    dev = [item for task in TASK_NAMES for item in made_items(8, "dev", task)]
    test = [item for task in TASK_NAMES for item in made_items(6, "test", task)]
    odd = [replace(item, text=text, row=100 + place) for place, (item, text) in enumerate(zip(test, ODD, strict=False))]
    return [*dev, *test, *odd]


def ours(items: list[Item], model: str) -> dict[str, list[float]]:
    respondent = open_respondent(model, items, device="cpu")
    engine, first = respondent.engine, respondent.settings("completion")
    condition = Condition(model=model, form="completion", k=SHOTS, max_tokens=0, **first)
    found: dict[str, list[float]] = {}
    for task in TASK_NAMES:
        dev, test = ([item for item in items if (item.task, item.split) == (task, split)] for split in ("dev", "test"))
        answers = engine(test, render(test, choose_shots(dev, SHOTS), "completion"), condition)
        found |= {
            item.key: list((answer.log_probabilities or {}).values())
            for item, answer in zip(test, answers, strict=True)
        }
    return found


def llama_with_bos(folder: Path) -> Path:
    """A random model of Llama's shape whose tokenizer writes a BOS token before every text."""
    return save(random_model(framed_tokenizer()), folder)


@pytest.mark.parametrize("model", ["embedded", "llama with BOS"])
def test_log_probabilities_are_those_of_lm_eval(
    model: str, items: list[Item], tmp_path: Path, peers_python: Path
) -> None:
    if not (peers_python.parent / "lm_eval").exists():
        pytest.skip(f"no lm_eval beside {peers_python}: `make peers` installs it")
    group = export(tmp_path / "export", items, SHOTS, tasks=TASK_NAMES)
    results = tmp_path / "results"
    folder = EMBEDDED_FOLDER if model == "embedded" else llama_with_bos(tmp_path / "model")
    command = lm_eval_command(peers_python, folder, tmp_path / "export", group, 4, results)
    environment = os.environ | QUIET | {"OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "datasets")}
    done = subprocess.run(
        list(map(str, command)), env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = read_samples(results)
    assert len(theirs) == 2 * 6 + len(ODD)
    assert largest_difference(ours(items, str(folder)), theirs) < 1e-4
    assert "htest_k4_uppercase" in done.stdout
