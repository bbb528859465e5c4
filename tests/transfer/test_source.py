"""One SAE from elsewhere as the source of all transfers: which plans, where scores begin, and what is refused."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import saelib.transfer
from saelib.run.files import write_json
from saelib.run.manifest import write_manifest
from saelib.run.reading import read_json
from saelib.sae.folder import CONFIG, folder_sha256, load_sae, save_sae
from saelib.sae.mapping import map_sae
from saelib.sae.saved_maps import load_map, map_folder
from saelib.transfer.agreement import agreement_table
from saelib.transfer.convergence import average_curves, normalised_scores, zero_shot_matrix
from saelib.transfer.ledger import compute_ledger
from saelib.transfer.maps import fit_maps
from saelib.transfer.plans import transfer_plans
from saelib.transfer.presets import resolve_config
from saelib.transfer.published import published_results
from saelib.transfer.source import OwnSource
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.tables import read_results
from tests.helpers.pages import fences, section
from tests.helpers.small_saes import scaled, small_sae
from tests.transfer.conftest import TEXT, OpenSmall

PAGE = Path(saelib.transfer.__file__).with_name("README.md")
WIDTH, FEATURES = 32, 64  # of the small model, and of its SAEs in preset smoke


def own_folder(place: Path, hook: str | None = "blocks.1.hook_resid_post", width: int = WIDTH, d_sae: int = FEATURES,
               lineage: dict[str, Any] | None = None, **says: Any) -> Path:  # fmt: skip
    """An SAE whose decoder rows have any norm but 1."""
    metadata = {"model_name": "somebody's"} | ({"hook_name": hook} if hook else {}) | says
    save_sae(scaled(small_sae(width, d_sae, seed=5), torch.linspace(0.5, 2, d_sae)), place, metadata, lineage)
    return place


def test_every_other_layer_starts_from_it_whatever_the_distance() -> None:
    config = resolve_config(preset="smoke", seed=3, starts=("copy", "affine"))
    plans = transfer_plans((0, 1, 2, 4), config, OwnSource(Path("mine"), layer=1, tokens=70))
    moves = {(plan.arm, plan.source_layer, plan.sae_layer) for plan in plans}
    assert moves == {(f"{way}{start}", 1, layer) for start in ("", "_affine")
                     for way, layer in (("backward", 0), ("forward", 2), ("forward", 4))}  # fmt: skip
    assert {(plan.source_arm, plan.source_tokens) for plan in plans} == {("source", 70)}
    assert {(plan.seed, plan.data_seed) for plan in plans} == set(config.replicates)


def test_its_layer_need_not_be_among_those_of_the_run() -> None:
    plans = transfer_plans((0, 4), resolve_config(preset="smoke"), OwnSource(Path("mine"), layer=2, tokens=0))
    assert {(plan.arm, plan.sae_layer) for plan in plans if plan.start == "copy"} == {("backward", 0), ("forward", 4)}


def test_scratch_is_the_name_of_the_run_s_own() -> None:
    assert resolve_config(preset="smoke", source="scratch") == resolve_config(preset="smoke")
    assert resolve_config(preset="smoke", source="mine").sha256() != resolve_config(preset="smoke").sha256()
    with pytest.raises(ValueError, match="source"):
        resolve_config(preset="smoke", source=" ")
    with pytest.raises(ValueError, match=r"distances=\[1, 2\]: with source='mine'.*leave distances out"):
        resolve_config(preset="smoke", source="mine", distances=[1, 2])


@pytest.fixture(scope="module")
def run(open_small: OpenSmall, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run whose source is of layer 2."""
    source = own_folder(tmp_path_factory.mktemp("sae"), "blocks.2.hook_resid_post")
    experiment = open_small(run="own", source=str(source))
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)
    return experiment


def test_copies_begin_with_the_scores_of_the_source(run: Any) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    start = table.query("arm == 'backward' and tokens == 0")
    both = start.merge(table.query("arm == 'source'"), on=["source_layer", "act_layer", "seed"])
    assert sorted(both["act_layer"]) == [0, 0, 1, 1]
    for metric in ("ce_spliced", "mse", "l1", "loss", "l0"):
        assert both[f"{metric}_x"].tolist() == pytest.approx(both[f"{metric}_y"].tolist(), rel=1e-5), metric
    assert set(table.query("arm == 'source'")["act_layer"]) == {0, 1, 2}
    assert not set(table["arm"]) & {"forward", "forward_affine"}  # no layer is deeper


def test_a_start_by_a_map_is_the_source_mapped(run: Any) -> None:
    source = load_sae(run.source.folder)
    source.fold_decoder_norms()
    mapped = map_sae(source, load_map(map_folder(run.folder / "maps", "affine", 2, 0, run.config.data_seeds[0])))
    start, x = run.sae("backward_affine", 0, tokens=0), torch.randn(7, WIDTH)
    assert torch.equal(start(x), mapped(x))


def test_tables_of_such_a_run(run: Any) -> None:
    results = read_results(run)
    curves = average_curves(results, ["loss_ratio", "l0"], resamples=99)
    assert set(curves["arm"]) == {"backward", "backward_affine", "scratch"}
    scores = normalised_scores(results.evaluation)
    assert scores.query("arm == 'backward' and tokens == 0")["normalised"].abs().max() < 1e-3
    assert zero_shot_matrix(results.evaluation).shape == (3, 3)  # of scratch SAEs alone
    claims = agreement_table(published_results(), results, resamples=99)["claim"]
    assert not claims.str.contains("forward|backward").any()  # of shares of its tokens, which nobody knows
    ledger = compute_ledger(run, fit_maps(run, run.plans("transfer"))).set_index("arm")
    assert (ledger["source_flops"] == 0).all() and (ledger["total_with_source"] == ledger["total_flops"]).all()


def test_the_run_is_pinned_to_its_source(run: Any, open_small: OpenSmall) -> None:
    folder = run.source.folder
    assert read_json(run.folder / "config.json")["inputs"]["source"] == folder_sha256(folder)
    before = read_json(folder / CONFIG)
    write_json(folder / CONFIG, before | {"apply_b_dec_to_input": True})
    with pytest.raises(ValueError, match="cfg.json is not what manifest.json says"):
        open_small(run="own", source=str(folder)).plans("transfer")
    write_manifest(folder)
    with pytest.raises(FileExistsError, match="source"):
        open_small(run="own", source=str(folder)).plans("transfer")
    write_json(folder / CONFIG, before)
    write_manifest(folder)


def test_one_transfer_needs_no_scratch_phase(empty_runs: Path, open_small: OpenSmall, tmp_path: Path) -> None:
    source = own_folder(tmp_path / "sae", "blocks.1.hook_resid_pre", lineage={"tokens": 300, "source_tokens": 40})
    experiment = open_small(run="one", source=str(source), layers=[2], starts=["affine"], sae_seeds=1)
    train_phase(experiment, "transfer")
    sae = experiment.sae("forward_affine", 2)
    assert {name: sae.lineage[name] for name in ("source_arm", "source_layer", "source_tokens", "tokens")} == {
        "source_arm": "source", "source_layer": 0, "source_tokens": 340, "tokens": 2048}  # fmt: skip
    assert not (experiment.folder / "saes" / "scratch").exists()


def test_the_example_of_the_page_runs(empty_runs: Path, random_model_folder: Path, tmp_path: Path) -> None:
    (example,) = fences(section(PAGE.read_text(encoding="utf-8"), "An SAE of your own as the source"), "python")
    (tmp_path / "prose.txt").write_text(TEXT)
    small = {"preset": "smoke", "language_model": str(random_model_folder), "corpus": str(tmp_path / "prose.txt")}
    for old, new in (('preset="tiny"', ", ".join(f"{name}={value!r}" for name, value in small.items())),
                     ("path/to/sae", str(own_folder(tmp_path / "sae"))), ("[3]", "[2]"), (", 3)", ", 2)")):  # fmt: skip
        assert old in example
        example = example.replace(old, new)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["sae"].lineage["source_layer"] == 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"hook": None}, r"its cfg\.json \(hook_name\) does not say"),
        ({"hook": "blocks.7.hook_resid_post"}, "says layer 7, and .* has 0 to 2"),
        ({"hook": "blocks.1.hook_mlp_out"}, r"cfg\.json: hook_name is 'blocks\.1\.hook_mlp_out'"),
        ({"width": 48}, "its d_in is 48, .* has d_model 32"),
        ({"d_sae": 96}, "its d_sae is 96, the run's SAEs have 64 features; set expansion_factor=3"),
        ({"d_sae": 70}, "its d_sae is 70, the run's SAEs have 64 features; no expansion_factor"),
    ],
)
def test_a_source_that_does_not_fit_leaves_the_name_free(
    empty_runs: Path, open_small: OpenSmall, tmp_path: Path, made: dict[str, Any], message: str
) -> None:
    experiment = open_small(run="bad", source=str(own_folder(tmp_path / "sae", **made)))
    with pytest.raises(ValueError, match=f"source='.*sae': .*{message}"):
        train_phase(experiment, "scratch")
    assert not experiment.folder.exists()


@pytest.mark.parametrize(
    ("says", "warned"),
    [
        ({"model_name": "EleutherAI/other"}, "that it was trained on EleutherAI/other, and the run's"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": False}}, "keeps its mean over d_model"),
        ({"hook": "model.layers.1"}, "keeps its mean over d_model"),
        ({"prepend_bos": True}, "says prepend_bos=True, so that it has seen rows with the BOS token"),
        ({}, None),
    ],
)
def test_a_source_of_other_streams_is_warned_of(
    empty_runs: Path, open_small: OpenSmall, tmp_path: Path, random_model_folder: Path, says: dict[str, Any],
    warned: str | None,
) -> None:  # fmt: skip
    """It is as wide as the model; that it is the same one under another path says the end of its name."""
    named = {"model_name": f"somebody/{random_model_folder.name.upper()}"} | says
    experiment = open_small(run="doubtful", source=str(own_folder(tmp_path / "sae", **named)))
    if warned is None:
        with warnings.catch_warnings(action="error"):
            experiment.load_inputs()
        return
    with pytest.warns(UserWarning, match=warned) as said:
        experiment.load_inputs()
    assert len(said) == 1


@pytest.mark.parametrize("source", ["nowhere", "forward"])
def test_a_source_that_is_not_there_is_named(empty_runs: Path, open_small: OpenSmall, source: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"source='{source}': .* give the folder of an SAE, or 'scratch'"):
        train_phase(open_small(run="bad", source=source), "scratch")
