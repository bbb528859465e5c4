"""The examples of `help(saelib)` and of README run as they stand, on the small preset and a small text."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

import saelib
from saelib.transfer.experiment import Experiment
from tests.helpers.pages import fences, read_page

TEXT = "\n\n".join(
    f"Paragraph {number} tells of {number * 7} small things, and of nothing else." for number in range(3000)
)


def run(code: str, *replacements: tuple[str, str]) -> dict[str, Any]:
    """Run an example, some words of it replaced; the names that it leaves."""
    for old, new in replacements:
        assert old in code, f"the example has no {old} any more"
        code = code.replace(old, new)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def typed(docstring: str) -> list[str]:
    """Examples in a docstring: what stands behind `>>>`, line upon line."""
    blocks = re.findall(r"(?:^ *(?:>>>|\.\.\.) .*\n)+", docstring, re.MULTILINE)
    return ["\n".join(re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", block, re.MULTILINE)) for block in blocks]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What stands in for the preset in examples; runs lie in a folder of their own."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "prose.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(folder / "runs"))
        yield f'preset="smoke", run="mine", corpus={str(folder / "prose.txt")!r}, layers=[0, 1, 3], sae_seeds=1'


@pytest.fixture(scope="module")
def layer_transfer(small: str) -> dict[str, Any]:
    example, *_ = typed(saelib.__doc__ or "")
    return run(example, ('preset="smoke", run="mine"', small))


def test_what_help_says_to_type_first_for_layer_transfer(layer_transfer: dict[str, Any]) -> None:
    experiment, table, sae = (layer_transfer[name] for name in ("experiment", "table", "sae"))
    plans = experiment.plans("transfer")
    assert len(table) == len(plans) * len(experiment.config.transfer.checkpoints)  # one row for each, as is said there
    arms = {"forward", "backward", "forward_affine", "backward_affine"}
    assert {plan.arm for plan in plans} == arms == set(table["arm"])
    assert sae.lineage["sae_layer"] == 1


def test_what_help_says_to_type_first_for_features(layer_transfer: dict[str, Any], small: str) -> None:
    _, example, _ = typed(saelib.__doc__ or "")
    *_, last = example.splitlines()
    names = run(example, ('preset="smoke", run="mine"', small), (last, f"found = {last}"))
    table = names["found"].table
    assert "".join(names["found"].tokens).endswith("The list is empty.")
    assert len(table) and table["activation"].min() > 0
    sae = layer_transfer["experiment"].sae("forward_affine", 3)
    assert table["feature"].between(0, sae.d_sae - 1).all()


def test_what_help_says_to_type_first_for_htest(small: str) -> None:
    _, _, example = typed(saelib.__doc__ or "")
    names = run(example)
    assert {reply.condition.k for reply in names["replies"]} == {4}
    assert {reply.condition.model for reply in names["replies"]} == {"embedded"}


def test_the_example_of_readme(layer_transfer: dict[str, Any], small: str) -> None:
    mine: Experiment = layer_transfer["experiment"]
    folder = mine.phase_folders("scratch").sae("scratch", 3, mine.config.seed, mine.config.scratch.tokens)
    (example,) = fences(read_page("README.md"), "python")
    names = run(example, ('preset="tiny"', small), ('"path/to/sae_folder"', repr(str(folder))))
    ours, yours = names["scores"]
    assert ours.ce_clean == yours.ce_clean
    assert ours.ce_score != yours.ce_score
    finished = layer_transfer["table"].query("arm == 'forward' and act_layer == 3 and seed == @mine.config.seed")
    assert ours.ce_score == pytest.approx(finished.set_index("tokens")["ce_score"][mine.config.transfer.tokens])
