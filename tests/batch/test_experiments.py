"""The list of the papers' experiments: what agrees is said from the recorded values, and README quotes it."""

import re
from typing import Any

from saelib.batch.experiments import EXPERIMENTS, experiments_table, linked
from saelib.batch.notebooks import NOTEBOOKS
from saelib.htest.config import FAMILIES
from saelib.results.notebook import VERDICT_SIGNS
from saelib.transfer.claims import claims_of
from saelib.transfer.directions import DIRECTIONS

SIZES = [FAMILIES["pythia"][0], FAMILIES["pythia"][-1]]
CHANGED = {"difference": 0.016, "low": -0.007, "high": 0.039}


def values(**changes: Any) -> dict[str, Any]:
    """Small ones, by hand."""
    lines = [("forward", 1, "loss", 0.4), ("backward", 1, "loss", 0.6), ("backward", 2, "loss", 0.1),
             ("backward", 1, "joint", 0.2)]  # fmt: skip
    saved = [dict(zip(("direction", "distance", "target", "mean"), line, strict=True)) for line in lines]
    others = {"start": "copy", "low": 0.3, "high": 0.7, "arrived": 20, "saes": 25}
    zero_shot = {"claim": "Untrained neighbours: a - b", "paper": 0.062, "mean": 0.017, "low": 0.01, "high": 0.02}
    claims = [{"claim": verdict, "agrees": verdict} for verdict in ("yes", "no", "open", "-")]
    first = {"model": "small", "accuracy": {"mean": 0.507, "low": 0.486, "high": 0.529}}
    geometry = {"model": "small", "mean": 0.18, "low": 0.11, "high": 0.27}
    return {
        "13_convergence": {"savings": [line | others for line in saved]},
        "90_report": {"agreement": [zero_shot | {"agrees": "yes"}, *claims]},
        "10_language_model": {"angular_distance": [[0, 0.2, 0.1], [0.2, 0, 0.4], [0.1, 0.4, 0]]},
        "12_layer_transfer": {},
        "20_features": {},
        "21_circuits": {},
        "31_htest_accuracy": {"models": ["small"], "main": [first, first | {"accuracy": {}}]},
        "32_htest_shots_and_size": {"members": SIZES, "overall": {"shots": CHANGED, "size": CHANGED}},
        "33_htest_chain_of_thought": {"no_answer": 0.4, "overall": {"chain_of_thought": CHANGED}},
        "34_htest_fine_tuning": {"overall": {"tuning": CHANGED, "tuning_with_shots": CHANGED}},
        "35_htest_letter_geometry": {"letter_geometry": [geometry]},
        **changes,
    }


def agrees(notebook: str, **changes: Any) -> str:
    table = experiments_table(values(**changes)).drop_duplicates("notebook").set_index("notebook")
    return str(table.loc[notebook, "what agrees"])


def test_what_agrees_by_hand() -> None:
    assert agrees("13_convergence") == (
        "new tokens saved by copies, held-out objective: forward 40% (30% to 70%), backward 60% (30% to 70%); "
        "CE-loss score at no more L0: backward 20% (30% to 70%)"
    )
    assert agrees("12_layer_transfer").endswith("0.017 (0.010 to 0.020); the paper 0.062")
    assert agrees("90_report") == "2 of 5 claims agree, 1 do not, 1 are open, 1 not measured"
    assert agrees("10_language_model").startswith("a neighbour is the closest for 1 of 3 layers; mean 0.30, ")
    assert agrees("31_htest_accuracy") == "small: 50.7% (48.6% to 52.9%)"
    assert agrees("32_htest_shots_and_size").endswith(f"; {SIZES[1]} minus {SIZES[0]}: 0.016 (-0.007 to 0.039)")
    assert agrees("33_htest_chain_of_thought") == "with minus without: 0.016 (-0.007 to 0.039)"
    assert agrees("35_htest_letter_geometry") == "small: 18% (11% to 27%), guessing 25%"


def test_what_was_not_tested_is_said_to_be_so() -> None:
    silent = {"33_htest_chain_of_thought": {"no_answer": 0.9875}}
    assert agrees("33_htest_chain_of_thought", **silent) == "not tested: 99% of the replies hold no answer"
    assert agrees("12_layer_transfer", **{"90_report": {"agreement": []}}) == "not measured"
    twins = {
        "32_htest_shots_and_size": {"members": ["untrained:a", "a"], "overall": {"shots": CHANGED, "size": CHANGED}}
    }
    assert agrees("32_htest_shots_and_size", **twins).endswith("; size not tested")
    few = {"34_htest_fine_tuning": {"tasks": ["rhyme"], "overall": {"tuning": CHANGED, "tuning_with_shots": CHANGED}}}
    assert agrees("34_htest_fine_tuning", **few).startswith("tuned minus untuned (1 task: rhyme), with shots: 0.016")


def test_a_thought_whose_answers_are_missing_is_told_apart() -> None:
    changed = {"chain_of_thought": {"difference": -0.2, "low": -0.25, "high": -0.15}}
    right = {"right_of_answered": {"chat": 0.5, "chain_of_thought": 0.52}, "overall": changed}
    recorded = {"33_htest_chain_of_thought": right | {"no_answer": 0.2, "no_answer_in_chat": 0.0}}
    assert agrees("33_htest_chain_of_thought", **recorded) == (
        "with minus without: -0.200 (-0.250 to -0.150) (no answer counts as wrong, 20% against 0%; right of those with "
        "one: 0.52 against 0.50)"
    )
    recorded = {"33_htest_chain_of_thought": right | {"no_answer": 0.45, "no_answer_in_chat": 0.0}}
    assert agrees("33_htest_chain_of_thought", **recorded).startswith("not tested: a guess in place of each missing")


def test_every_row_has_a_verdict_and_those_that_ran_say_where_and_what() -> None:
    names = {notebook.name for notebook in NOTEBOOKS}
    assert len({experiment.what for experiment in EXPERIMENTS}) == len(EXPERIMENTS) == 15
    for experiment in EXPERIMENTS:
        word = experiment.here.partition(":")[0]
        assert word in VERDICT_SIGNS
        assert (word == "no") == (experiment.agrees is None) == (experiment.notebook not in names)


def test_a_run_on_the_papers_own_model_says_so() -> None:
    other, own = (experiments_table(values(), papers_model)["here"] for papers_model in (False, True))
    changed = other != own
    assert changed.sum() == 8
    assert set(own[changed]) == {"✓ yes: the paper's model"}
    assert set(other[changed]) == {"◐ in part: another model"}


def test_the_markdown_links_each_notebook() -> None:
    links = re.findall(r"\[`(\w+)`\]\(notebooks/(\w+)\.ipynb\)", linked(experiments_table(values())))
    assert links == [(experiment.notebook,) * 2 for experiment in EXPERIMENTS if experiment.notebook]


def test_the_claim_that_the_zero_shot_row_reads_is_one_of_the_claims() -> None:
    assert [claim for claim in claims_of([*DIRECTIONS]) if claim.text.startswith("Untrained neighbours")]


def test_a_report_without_the_notebook_of_the_matrix_has_its_row_from_the_claims() -> None:
    numbers = {"paper": 0.062, "mean": 0.017, "low": 0.01, "high": 0.02}
    claims = [{"claim": "Untrained neighbours: a - b", "agrees": "yes"} | numbers]
    table = experiments_table({"90_report": {"agreement": claims}}).set_index("experiment of the papers")
    told = "CE-loss score, layer after minus layer before: 0.017 (0.010 to 0.020); the paper 0.062"
    assert table.loc["zero-shot matrix", "what agrees"] == told
    assert table.loc["letter geometry", "what agrees"] == "not measured"
