"""H-Test figures are drawn from tables alone, have captions, and show the tables' numbers."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saelib.htest.figures import accuracy as figures
from saelib.htest.figures import beneath as bias_figures
from saelib.htest.scoring.accuracy import accuracy_table, judgements
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.figures import CAPTIONS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of

MODELS = ("untrained:embedded", "embedded", "EleutherAI/pythia-1.4b-deduped")
CONTROLS = {"oracle": lambda item: item.label, "constant_a": lambda _: "A", "constant_b": lambda _: "B",
            "coin": lambda item: "AB"[item.row // 2 % 2], "shortcut": lambda item: "AB"[item.row % 2]}  # fmt: skip


@cache
def judged_models() -> pd.DataFrame:
    replies = [reply for place, model in enumerate(MODELS) for k in (0, 4, 14, 28, 50)
               for reply in noisy_replies(0.3 * place, -2.0 + k / 40, seed=place, model=model, k=k)]  # fmt: skip
    return judgements(replies)


@cache
def judged_controls() -> pd.DataFrame:
    return judgements(
        [reply for name, say in CONTROLS.items() for reply in replies_of(say, 60, TASKS, model=f"control:{name}", k=50)]
    )


def one_condition() -> pd.DataFrame:
    return judged_models().query("model == @MODELS[2] and k == 4")


def by_model() -> pd.DataFrame:
    judged = pd.concat([judged_controls(), judged_models().query("k == 50")])
    return accuracy_table(judged, ["model", "task"])


def curve() -> pd.DataFrame:
    seen, rows = np.array([0, 120, 250, 500, 1000, 2000, 3000]), []
    for place, task in enumerate(TASKS):
        for probe, ceiling in {"seen words": 0.95, "fresh words": 0.6 + 0.04 * place, "training": 1.0}.items():
            learnt = (ceiling - 0.5) * (1 - np.exp(-seen / (300 + 200 * place)))
            rows.append(pd.DataFrame({"task": task, "probe": probe, "items_seen": seen, "accuracy": 0.5 + learnt}))
    return pd.concat(rows, ignore_index=True)


def shortcuts() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows: list[tuple] = []
    for version in ("official-4787987", "fresh-1"):
        for place, task in enumerate(TASKS):
            for feature in ("characters", "words", "non-letters"):
                strong = version.startswith("official") and place % 3 == 0
                dev = random.uniform(0.6, 1.0) if strong else random.uniform(0.5, 0.58)
                rows.append((version, task, feature, dev, dev - 0.03, 0.5))
        rows.append((version, LETTER_GEOMETRY, "rarest option", None, 0.61 if version[0] == "o" else 0.22, 0.25))
    table = pd.DataFrame(rows, columns=["version", "task", "feature", "dev_accuracy", "test_accuracy", "chance"])
    return table.astype(dict.fromkeys(("dev_accuracy", "test_accuracy", "chance"), "Float64"))


def geometry() -> pd.DataFrame:
    items = [make_item(row, LETTER_GEOMETRY) for row in range(1, 91)]
    replies = [make_reply(item, item.options[item.row * (place + 3) % 4], model=model)
               for place, model in enumerate(MODELS) for item in items]  # fmt: skip
    replies += [make_reply(item, item.label, model="control:shortcut") for item in items]
    table = accuracy_table(judgements(replies), ["version", "model", "task"])
    released = table.assign(version="official-4787987", reader="likelier", **{name: table[name] * 0.9 for name in
                            ("accuracy", "low", "high")})  # fmt: skip
    return pd.concat([table, released], ignore_index=True)


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "htest_accuracy_heat_map": lambda: figures.accuracy_heat_map(by_model()),
    "htest_shots": lambda: figures.shots_figure(accuracy_table(judged_models(), ["model", "k", "task"])),
    "htest_letter_bias": lambda: bias_figures.letter_bias_figure(one_condition()),
    "htest_ranking": lambda: bias_figures.accuracy_and_ranking_figure(accuracy_table(one_condition(), ["task"])),
    "htest_family": lambda: figures.family_figure(by_model(), "likelier"),
    "htest_fine_tuning": lambda: figures.learning_curve_figure(curve()),
    "htest_shortcuts": lambda: bias_figures.shortcut_figure(shortcuts()),
    "htest_letter_geometry": lambda: bias_figures.geometry_figure(geometry()),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_drawn_and_has_a_caption(name: str) -> None:
    stream = io.BytesIO()
    DRAWINGS[name]().savefig(stream, dpi=50)
    assert stream.getvalue().startswith(b"\x89PNG")
    assert CAPTIONS[name]


def test_every_caption_has_a_figure() -> None:
    assert {name for name in CAPTIONS if name.startswith("htest_")} == set(DRAWINGS)


def test_the_heat_maps_cells_are_the_tables_accuracies() -> None:
    table = by_model()
    axis = figures.accuracy_heat_map(table).axes[0]
    shown = [text.get_text() for text in axis.texts]
    strict = table[table["reader"] == "strict"].set_index(["task", "model"])["accuracy"]
    names = [*MODELS, *(f"control:{name}" for name in CONTROLS)]
    wanted = [f"{strict[task, name]:.2f}" for task in TASKS for name in names]
    wanted += [f"{strict[:, name].mean():.2f}" for name in names]
    assert shown == wanted
    assert [label.get_text() for label in axis.get_xticklabels()][3:5] == ["oracle", "constant A"]


def test_models_are_shown_by_short_names() -> None:
    names = {"EleutherAI/pythia-70m-deduped": "pythia-70m-deduped", "api:openai/gpt-4o": "gpt-4o",
             "control:constant_b": "constant B", "control:coin": "coin", "untrained:embedded": "untrained embedded",
             "embedded": "embedded"}  # fmt: skip
    assert {name: figures.shown_model(name) for name in names} == names


def test_the_thick_line_over_shots_is_the_mean_of_the_thin_ones() -> None:
    table = accuracy_table(judged_models(), ["model", "k", "task"])
    axis = figures.shots_figure(table).axes[1]
    thin = np.array([line.get_ydata() for line in axis.lines if line.get_label() == "one task"])
    (thick,) = (line for line in axis.lines if str(line.get_label()).startswith("mean"))
    assert thin.shape == (10, 5)
    assert np.allclose(thick.get_ydata(), thin.mean(axis=0))


def test_a_replier_that_ranks_well_but_prefers_b_shows_as_such() -> None:
    axis = bias_figures.accuracy_and_ranking_figure(accuracy_table(one_condition(), ["task"])).axes[0]
    accuracy, balanced, auroc = (container[0].get_xdata()[-1] for container in axis.containers)
    assert accuracy < 0.6 < 0.7 < balanced < auroc


@pytest.mark.parametrize("name", ["htest_shots", "htest_family", "htest_ranking"])
def test_one_task_and_one_model_are_enough(name: str) -> None:
    judged = judgements(noisy_replies(1.0, 0.0, tasks=["rhyme"]))
    table = accuracy_table(judged, ["model", "k", "task"])
    draw = {"htest_shots": figures.shots_figure, "htest_family": figures.family_figure,
            "htest_ranking": bias_figures.accuracy_and_ranking_figure}[name]  # fmt: skip
    draw(table).savefig(io.BytesIO(), dpi=20)
    bias_figures.letter_bias_figure(judged).savefig(io.BytesIO(), dpi=20)


def test_a_figure_of_several_conditions_in_one_is_refused() -> None:
    table = accuracy_table(judged_models(), ["model", "k", "task"])
    with pytest.raises(ValueError, match="'strict' has several rows for one task and model"):
        figures.accuracy_heat_map(table)
    with pytest.raises(ValueError, match="they differ in model, k"):
        bias_figures.letter_bias_figure(judged_models())
    with pytest.raises(ValueError, match="no margins"):
        bias_figures.letter_bias_figure(judged_controls())
    with pytest.raises(ValueError, match="'likelier' has no rows"):
        figures.family_figure(accuracy_table(judged_controls(), ["model", "task"]), "likelier")
