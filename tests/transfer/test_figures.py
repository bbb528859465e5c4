"""Figures are drawn from tables alone, come out the same twice, and are kept as PNG and SVG."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saelib.batch.report import write_report
from saelib.language import figures as model_figures
from saelib.results.figures import CAPTIONS, heat_maps, save_figure
from saelib.transfer.agreement import agreement_table, unmatched_baseline, verdict
from saelib.transfer.config import resolve_config
from saelib.transfer.convergence import Interval, average_curves, first_crossing
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.figures import convergence as transfer_figures
from saelib.transfer.figures import paper as report_figures
from saelib.transfer.published import published_angular_distance, published_evaluation

LAYERS, SEEDS = range(6), range(3)
GRIDS = {"scratch": (0, 16, 32, 64, 128, 256, 384, 512, 640, 768), "transfer": (0, 16, 32, 64, 128, 256, 384)}


def synthetic_evaluation(layers: range = LAYERS, seeds: range = SEEDS) -> pd.DataFrame:
    """A table that looks as a finished run's does: curves that rise to a layer's level from an arm's own start."""
    random = np.random.default_rng(0)
    keys: list[tuple[str, int | None, int, int, int, int]] = []
    for layer, seed in itertools.product(layers, seeds):
        keys += [("scratch", None, layer, layer, seed, tokens) for tokens in GRIDS["scratch"]]
        for arm, source in (("control", None), ("forward", layer - 1), ("backward", layer + 1)):
            if source is None or source in layers:
                keys += [(arm, source, layer, layer, seed, tokens) for tokens in GRIDS["transfer"]]
        keys += [("zero_shot", source, source, layer, seed, 0) for source in layers if source != layer]
    table = pd.DataFrame(keys, columns=["arm", "source_layer", "sae_layer", "act_layer", "seed", "tokens"])
    table = table.astype(dict.fromkeys(("source_layer", "sae_layer", "act_layer"), "Int64"))
    table["tokens"] *= 1000
    moved = table["source_layer"].notna()
    table["source_tokens"] = np.where(moved, max(GRIDS["scratch"]) * 1000, 0)
    far = (table["source_layer"] - table["act_layer"]).abs().fillna(8).astype(float)
    done = np.exp(-table["tokens"] / np.where(moved, 90_000, 130_000))  # 1 at the start, 0 when converged
    lost = 0.024 + 0.002 * table["act_layer"].astype(float) + done * np.where(moved, 0.04 * far, 0.9)
    table["ce_score"] = 1 - lost * random.uniform(0.99, 1.01, len(table))
    table["mse"] = 400 * lost + 8 * table["act_layer"].astype(float)
    table["l0"] = 60 + 10 * table["act_layer"].astype(float) + 300 * done * random.uniform(0.9, 1.1, len(table))
    return table.assign(loss=2 * table["mse"] + table["l0"], explained_variance=1 - lost, ce_clean=3.5)


def synthetic_training() -> pd.DataFrame:
    trained = synthetic_evaluation().query("arm == 'scratch' and tokens > 0")
    return trained.melt(["arm", "sae_layer", "tokens"], ["loss", "mse", "l0"], var_name="metric")


def choice() -> Figure:
    trials = pd.DataFrame({"l1_coefficient": [0.3, 1.0, 3.0], "l0": [200.0, 90, 30], "ce_score": [0.99, 0.97, 0.9],
                           "zero_shot_ce_score": [0.97, 0.93, 0.8], "learning_rate": 2e-3})  # fmt: skip
    other = trials.assign(learning_rate=1e-3, ce_score=trials["ce_score"] - 0.02)
    return model_figures.choice_figure(pd.concat([trials, other]), resolve_config(preset="smoke"))


def both() -> dict[str, pd.DataFrame]:
    return {"paper": published_evaluation(), "this run": synthetic_evaluation()}


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "loss_by_position": lambda: model_figures.loss_figure(5 - np.linspace(0, 1, 255), {"uniform": 8.3, "unigram": 6.1}),
    "residual_norms": lambda: model_figures.norms_figure(np.array([3.0, 5, 9]), range(3)),
    "angular_distance": lambda: heat_maps({"paper": published_angular_distance(), "ours": np.eye(3)},
                                          {"paper": range(12), "ours": range(3)}, ("layer", "layer"), "distance"),
    "choice_of_lambda": choice,
    "training_curves": lambda: model_figures.training_figure(synthetic_training()),
    "convergence": lambda: transfer_figures.convergence_figure(synthetic_evaluation()),
    "average_curves": lambda: transfer_figures.average_figure(synthetic_evaluation()),
    "layer_curves": lambda: transfer_figures.layer_figure(synthetic_evaluation()),
    "final_by_layer": lambda: transfer_figures.final_figure(synthetic_evaluation()),
    "equal_token_gains": lambda: transfer_figures.gains_figure(synthetic_evaluation()),
    "savings": lambda: transfer_figures.savings_figure(synthetic_evaluation()),
    "report_averages": lambda: report_figures.averages_figure(both()),
    "report_normalised": lambda: report_figures.normalised_figure(both()),
}  # fmt: skip


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    return open_experiment(preset="smoke")


def kept(experiment: Experiment, name: str) -> list[bytes]:
    return [(experiment.folder / "figures" / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_kept_as_png_and_svg_and_shown_with_its_caption(name: str, experiment: Experiment) -> None:
    before = dict(mpl.rcParams)
    image = save_figure(experiment, name, DRAWINGS[name]())
    png, svg = kept(experiment, name)
    assert png.startswith(b"\x89PNG") and b"<svg" in svg
    assert len(png) < 170_000  # all figures of a notebook stay below 700 kB
    assert image.data == png
    assert image.alt == CAPTIONS[name]
    assert dict(mpl.rcParams) == before


def test_every_caption_has_a_figure() -> None:
    own = {name for name in CAPTIONS if not name.startswith("htest_")}  # those: tests/htest/test_htest_figures.py
    assert own == {*DRAWINGS, "zero_shot_matrix"}  # which is drawn as the angular distances are


@pytest.mark.parametrize("name", ["convergence", "angular_distance"])
def test_a_figure_drawn_again_is_the_same_byte_for_byte(name: str, experiment: Experiment) -> None:
    contents = []
    for _ in range(2):
        save_figure(experiment, name, DRAWINGS[name]())
        contents.append(kept(experiment, name))
    assert contents[0] == contents[1]


@pytest.mark.parametrize("draw", [
    transfer_figures.convergence_figure, transfer_figures.average_figure, transfer_figures.layer_figure,
    transfer_figures.final_figure, transfer_figures.gains_figure, transfer_figures.savings_figure,
])  # fmt: skip
def test_one_seed_and_one_pair_of_layers_are_enough(draw: Callable[[pd.DataFrame], Figure]) -> None:
    draw(synthetic_evaluation(range(2), range(1))).savefig(io.BytesIO(), dpi=20)


def test_a_figure_without_a_caption_is_refused(experiment: Experiment) -> None:
    with pytest.raises(ValueError, match="mystery.*no caption"):
        save_figure(experiment, "mystery", choice())
    assert not (experiment.folder / "figures").exists()


def test_the_main_figure_names_the_crossing_that_the_curves_have() -> None:
    evaluation = synthetic_evaluation()
    figure = transfer_figures.convergence_figure(evaluation)
    curves = average_curves(evaluation, ["ce_score"])
    for axis, direction in zip(figure.axes, ("forward", "backward"), strict=True):
        chosen = curves[curves["direction"] == direction]
        transfer = chosen[chosen["arm"] == direction].sort_values("tokens")
        scratch = chosen[chosen["arm"] == "scratch"].sort_values("tokens")["mean"].iloc[-1]
        crossing = first_crossing(transfer["tokens"].to_list(), transfer["mean"].to_list(), scratch, "rises")
        notes = " ".join(text.get_text() for text in axis.texts)
        assert "finished scratch: 768 thousand tokens" in notes
        assert np.isfinite(crossing)
        assert f"after\n{crossing / 1000:.3g} thousand new tokens" in notes


def test_bars_are_drawn_from_zero_and_have_the_tables_heights() -> None:
    evaluation = synthetic_evaluation()
    axis = transfer_figures.final_figure(evaluation).axes[0]
    end = evaluation[(evaluation["arm"] == "scratch") & (evaluation["tokens"] == 768_000)]
    wanted = 1 - end.groupby("act_layer")["ce_score"].mean()
    heights = [bar.get_height() for bar in axis.containers[1]]
    assert np.allclose(heights, wanted)
    assert axis.get_ylim()[0] == 0


def test_verdicts() -> None:
    assert verdict("sign", 0.1, Interval(0.2, 0.1, 0.3, 3)) == "yes"
    assert verdict("sign", 0.1, Interval(-0.2, -0.3, -0.1, 3)) == "no"
    assert verdict("sign", 0.1, Interval(0.2, -0.1, 0.5, 3)) == "open"
    assert verdict("half", 0.1, Interval(0.2, float("nan"), float("nan"), 1)) == "yes"


def test_the_paper_agrees_with_itself() -> None:
    table = agreement_table(published_evaluation(), published_evaluation())
    assert (table["agrees"] == "yes").all()
    assert np.allclose(table["paper"], table["mean"])


def test_unmatched_baseline_is_the_papers_dashed_line() -> None:
    table = unmatched_baseline(published_evaluation())
    assert table["scratch"].round(4).tolist() == [0.9607, 0.9599, 0.9621]
    assert table["transfer"].round(4).tolist()[1:] == [0.9590, 0.9620]


def test_the_report_holds_the_notebook_without_code_and_every_figure(experiment: Experiment) -> None:
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    with pytest.raises(FileNotFoundError, match="09_report"):
        write_report(experiment.folder)
    save_figure(experiment, "residual_norms", DRAWINGS["residual_norms"]())
    notebook = new_notebook(cells=[new_markdown_cell("# Findings"), new_code_cell("secret_call()")])
    (experiment.folder / "notebooks").mkdir()
    write(notebook, experiment.folder / "notebooks" / "09_report.ipynb")
    page = write_report(experiment.folder).read_text(encoding="utf-8")
    assert "Findings" in page and "secret_call" not in page
    assert f'alt="{CAPTIONS["residual_norms"]}"' in page and "data:image/png;base64," in page
    assert 'src="http' not in page and "src='http" not in page
