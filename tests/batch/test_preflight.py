"""What would fail after hours is found before the first notebook, all of it at once, and nothing is written."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saelib.batch import preflight, preflight_transfer, reproduce
from saelib.batch.preflight import check, check_items, check_model, named_models
from saelib.batch.preflight_transfer import check_experiment, check_transfer
from saelib.batch.settings import settings_from
from saelib.htest import stages
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, make_replies, write_replies
from saelib.htest.config import resolve_htest_config
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item
from saelib.htest.study import Study, open_study
from saelib.interpret.interpretation import open_interpretation
from saelib.transfer.experiment import open_experiment
from tests.helpers.small_studies import Listener, respondent


def faults(htest: str, run: str = "fresh") -> list[str]:
    """The lines of the error over a smoke run with these fields of H-Test."""
    with pytest.raises(ValueError) as refused:
        check(settings_from({"PRESET": "smoke", "RUN": run, "HTEST": htest}))
    return str(refused.value).splitlines()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of all runs that is not made yet."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("SAELIB_RUNS", str(folder))
    return folder


def test_a_sound_run_passes_and_its_folder_is_left_to_the_notebooks(runs: Path) -> None:
    check(settings_from({"PRESET": "smoke", "RUN": "sound"}))
    assert not (runs / "sound").exists()


def test_a_text_of_ones_own_is_read_once_and_its_tokens_are_found_again(elsewhere: Path, tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("\n\n".join(f"Sentence {number} of a text that is too short." for number in range(40)))
    experiment = open_experiment(preset="smoke", run="short", corpus=str(text))
    with pytest.raises(ValueError, match=r"^corpus '.*own.txt' is too short: .* lower held_out_rows"):
        check_experiment(experiment)
    assert [path.name.partition("-")[0] for path in (elsewhere / "cache").iterdir()] == ["corpus"]
    assert not (elsewhere / "short").exists()


@pytest.mark.parametrize(
    ("htest", "message"),
    [
        ("{models: [/nowhere]}", "models: '/nowhere': language model folder /nowhere does not exist; give a folder"),
        ("{models: [embedded], ablation_model: ./gone, fine_tuning_model: ./gone}",
         "ablation_model and fine_tuning_model: './gone': language model folder gone does not exist"),
        ("{family: ['untrained:/nowhere']}", "family: 'untrained:/nowhere': language model folder /nowhere does not"),
        ("{models: ['control:dice']}", "models: 'control:dice': control 'dice' is unknown; choose one of oracle, "),
        ("{models: ['tuned:embedded']}", "models: 'tuned:embedded': language model tuned:embedded: no such folder"),
        ("{judge: 'api:gpt', api_requests: 1}", "judge: 'api:gpt': Model name 'gpt' should be in the format"),
        ("{official: /no/items}", "/no/items: no such file or folder"),
        ("{tasks: [uppercase], fine_tuning_tasks: [rhyme]}",
         "fine_tuning_tasks=['rhyme']: none of them is among tasks=['uppercase']; name one"),
        ("{shots: [4, 60], ablation_shots: [2, 52]}",
         "shots=[4, 60], ablation_shots=[2, 52]: a task has 50 items that are shown as shots; ask with fewer"),
        ("{device: 'cuda:99'}", "device 'cuda:99' is not on this machine; choose one of auto"),
        ("{first_token: <none-such>, family: [embedded]}",
         "models and family and ablation_model and fine_tuning_model: 'embedded': "),
    ],
)  # fmt: skip
def test_what_a_notebook_of_htest_would_stop_at_is_named(htest: str, message: str) -> None:
    (line,) = faults(htest)
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("{feature_layers: [2, 6]}", "feature_layers=[2, 6]: the run has no transfers of [6]; choose from [0, 1, 2, 3"),
        ("{circuit_seeds: 3}", "circuit_seeds=3: the run has 2 replicates"),
        ("{feature_arms: [forward_3]}", "feature_arms=['forward_3']: the run has no transfers of ['forward_3']"),
    ],
)
def test_what_a_notebook_of_features_or_circuits_would_stop_at_is_named(told: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        check(settings_from({"PRESET": "smoke", "RUN": "fresh", "INTERPRET": told}))
    (line,) = str(refused.value).splitlines()
    assert line.startswith(message)


def test_a_fault_of_paper_1_is_named_once() -> None:
    with pytest.raises(ValueError) as refused:
        check(settings_from({"PRESET": "smoke", "RUN": "fresh", "TRANSFER": "{layers: [0, 9]}"}))
    (line,) = str(refused.value).splitlines()
    assert line.startswith("layers=[9]: embedded has layers 0 to 5")


def test_more_items_for_tuning_than_there_are_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(study: Study, task: str, probes: object) -> list[Item]:
        raise ValueError(f"{task}: {study.config.fine_tuning.items} items were asked for, but only 3 are available")

    monkeypatch.setattr(preflight, "training_items", too_many)
    (line,) = faults("{tasks: [rhyme], fine_tuning: {items: 1491}}")
    assert line == ("test_items=10, fine_tuning.items=1491: rhyme: 1491 items were asked for, but only 3 are available")
    check(settings_from({"PRESET": "smoke", "RUN": "fresh", "HTEST": "{tasks: [rhyme], fine_tuning: {items: 1490}}"}))


def test_a_missing_key_is_named_where_requests_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (line,) = faults("{models: ['api:openai/gpt-4o'], api_requests: 5}")
    assert "OPENAI_API_KEY" in line and line.startswith("models: 'api:openai/gpt-4o': ")
    check(settings_from({"PRESET": "smoke", "RUN": "fresh", "HTEST": "{models: ['api:openai/gpt-4o']}"}))


def test_replies_of_others_are_no_reason_to_do_without_a_key(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a model that has replied, or judged, is read from what is there."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    fields, one, two = "models: ['api:openai/one'], judge: 'api:openai/two'", "api:openai/one", "api:openai/two"
    study = open_study(preset="smoke", run="fresh", models=[one], judge=two, api_requests=5)
    (item, *_) = fresh_items(0, test=1)
    condition = stages.condition_of(study, respondent(Listener(), "embedded"), "chat", 0)

    def reply(model: str, **read: Any) -> None:
        asked = replace(condition, model=model)
        replies = make_replies([item], [Prompt("?", ("A", "B"))], asked, [Answer("A")])
        write_replies(study.replies_folder / asked.name() / "x.jsonl", [replace(replies[0], **read)])

    def named() -> list[str]:
        return [line.partition(":")[0] for line in faults(f"{{{fields}, api_requests: 5}}")]

    study.replies_folder.mkdir(parents=True)
    assert named() == ["models", "judge"]
    reply("embedded")
    assert named() == ["models", "judge"]
    reply(one)
    assert named() == ["judge"]
    reply(one, judge=two, verdict="A")
    check(settings_from({"PRESET": "smoke", "RUN": "fresh", "HTEST": f"{{{fields}, api_requests: 5}}"}))


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    lines = faults("{models: [/nowhere, 'control:dice'], official: /no/items, shots: [60], device: 'cuda:99'}")
    starts = ["device 'cuda:99'", "shots=[60]", "/no/items:", "models: '/nowhere'", "models: 'control:dice'"]
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 5


def test_items_of_ones_own_need_dev_items_for_the_shots(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    rows = [f"rhyme,dev,{text},{label}" for text, label in (("cat hat", "A"), ("cat dog", "B"))]
    path.write_text("\n".join(["task,split,text,label", *rows, "rhyme,test,sun fun,A"]) + "\n")
    study = open_study(preset="smoke", run="own", official=str(path), shots=[2], ablation_shots=[0, 2, 4])
    with pytest.raises(ValueError, match="k=4: the dev split holds"):
        check_items(study)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [0, 9]}, "layers=[9]: embedded has layers 0 to 5"),
        ({"layers": [1]}, "layers=[1]: a transfer needs two layers, and this run has scratch SAEs only; name two for "
                          "more. The notebooks compare transfers; for scratch SAEs alone run 11_scratch_saes"),
        ({"distances": [1, 7]}, "distances=[7]: 6 layers are 5 places apart at most; leave them out, or name more"),
        ({"language_model": "/nowhere"}, "language model folder /nowhere does not exist"),
        ({"corpus": "gone.txt"}, "corpus 'gone.txt': no such text file or folder"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not on this machine"),
    ],
)  # fmt: skip
def test_what_a_notebook_of_transfer_would_stop_at_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        check_experiment(open_experiment(preset="smoke", run="unfit", **changes))
    assert str(refused.value).startswith(message)


def test_a_data_set_is_not_cut_by_documents_and_that_is_said_before_it_is_fetched() -> None:
    experiment = open_experiment(preset="smoke", run="cut", corpus="NeelNanda/pile-small-tokenized-2b", rows="within")
    with pytest.raises(ValueError, match="rows='within': those of data set NeelNanda/.* are cut already; leave rows"):
        check_experiment(experiment)
    check_experiment(open_experiment(preset="smoke", run="cut", rows="within"))


def test_rows_longer_than_the_model_reads_are_refused_by_its_config(random_model_folder: Path) -> None:
    experiment = open_experiment(
        preset="smoke", run="unfit", language_model=str(random_model_folder), context_length=256, chunk_rows=4
    )
    with pytest.raises(ValueError, match=r"^context_length=256: .* reads 128 tokens at most$"):
        check_experiment(experiment)


def test_what_a_run_has_read_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saelib.language.loading.load_config", lambda *_: pytest.fail("a model was looked at again"))
    experiment = open_experiment(preset="smoke", run="read")
    experiment.pin("corpus", "a hash")
    check_experiment(experiment)
    study = open_study(preset="smoke", run="read", models=["gone/model"])
    study.pin("model gone/model", "a commit")
    check_model(study, named_models(study.config)[0])


def test_every_model_is_named_once_with_the_fields_that_name_it() -> None:
    config = resolve_htest_config(preset="smoke", models=["tiny", "a/b"], judge="a/b")
    assert named_models(config) == [
        ("untrained:embedded", ("models", "family")),
        ("embedded", ("models", "family", "ablation_model", "fine_tuning_model")),
        ("a/b", ("models", "judge")),
    ]


def test_a_folder_of_runs_that_cannot_be_made_is_named(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere.write_text("a file")
    with pytest.raises(ValueError, match=r"^SAELIB_RUNS='.*' is a file; give a folder"):
        settings_from({"PRESET": "smoke"})
    monkeypatch.setenv("SAELIB_RUNS", str(elsewhere / "below"))
    with pytest.raises(ValueError, match=f"^SAELIB_RUNS: .*below cannot be made, since {elsewhere} is a file"):
        preflight.check_writable()


def test_a_folder_of_runs_that_is_somebody_elses_is_named(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match=f"^SAELIB_RUNS: {elsewhere.parent} is not yours to write in"):
        preflight.check_writable()


def test_make_says_the_faults_starts_nothing_and_writes_nothing(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import snakemake.cli

    monkeypatch.setattr(snakemake.cli, "main", lambda _: pytest.fail("Snakemake was started"))
    for name, value in {"PRESET": "smoke", "RUN": "first", "SEED": "", "HTEST": "{models: [/nowhere]}"}.items():
        monkeypatch.setenv(name, value)
    assert reproduce.main() == 1
    printed = "".join(capfd.readouterr())
    assert "models: '/nowhere': language model folder /nowhere does not exist" in printed
    assert "Traceback" not in printed
    assert not elsewhere.exists()


def test_more_logit_tokens_than_the_model_has_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = SimpleNamespace(num_hidden_layers=6, vocab_size=999)
    monkeypatch.setattr(preflight_transfer, "check_experiment", lambda _: None)
    monkeypatch.setattr(preflight_transfer, "_sizes", lambda _: sizes)
    check_transfer(open_interpretation(preset="smoke", run="fresh", logit_tokens=999))
    with pytest.raises(ValueError, match="^logit_tokens=1000: the vocabulary has 999 tokens; take as many at most"):
        check_transfer(open_interpretation(preset="smoke", run="fresh", logit_tokens=1000))
