"""The authors' SAEs in place of training, out of a hub-shaped cache of small ones: the evaluation runs on them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saelib.run.reading import DamagedFileError, read_json_object
from saelib.sae.folder import load_sae, sae_sha256
from saelib.sae.reference import plain_scores
from saelib.sae.releases.layout import REPOSITORY, published_sae
from saelib.sae.training.plan import start_sae
from saelib.transfer import convergence, curves, ledger
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.figures import training as training_figure
from saelib.transfer.presets import PRESETS, resolve_config
from saelib.transfer.released import push_saes
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, phase_state, train_phase
from saelib.transfer.tables import read_results, read_training
from saelib.transfer.wording import opening
from tests.helpers.small_models import COMMIT
from tests.helpers.small_releases import known_sae, papers_hub, released, save_as_authors

FEW = {"scratch": {"checkpoints": [0, 500_002_816, 999_997_440]}, "transfer": {"checkpoints": [0, 500_002_816]}}
SMALL: dict[str, Any] = {"preset": "pythia-160m", "saes": "published", "context_length": 64, "expansion_factor": 2,
                         "chunk_rows": 64, "held_out_rows": 4, "evaluation_batch_rows": 2} | FEW  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with a small stand-in of the model, of the data set and of the released SAEs; no network."""
    with papers_hub(tmp_path_factory.mktemp("hub")) as folder:
        yield folder


@pytest.fixture(scope="module")
def fetched(hub: Path) -> Experiment:
    """A finished run of them."""
    experiment = open_experiment(**SMALL, run="fetched")
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)
    return experiment


def test_the_preset_and_one_word_are_enough() -> None:
    config = resolve_config(preset="pythia-160m", saes="published")
    assert config.run == "pythia-160m-published"
    assert config.scratch.checkpoints == (0, *(published_sae("scratch", 0, f"{n}00M").tokens for n in range(1, 10)),
                                          999_997_440)  # fmt: skip
    assert config.transfer.checkpoints[1:] == (100_003_840, 200_003_584, 300_003_328, 400_003_072, 500_002_816)
    assert config.transfer.learning_rate == 1e-5
    assert resolve_config(preset="pythia-160m", saes="published", run="mine").run == "mine"


def test_the_hash_of_a_config_that_trains_is_what_it_was() -> None:
    for config in PRESETS.values():
        assert "saes" not in config._deciding() and "saes_revision" not in config._deciding()
    published = resolve_config(preset="pythia-160m", saes="published")
    assert published.sha256() != published.replace(saes_revision="v1").sha256()
    assert ExperimentConfig(**published.as_dict()) == published


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts": ["copy", "affine"]}, r"starts=\('copy', 'affine'\): set \('copy',\)"),
        ({"distances": [1, 2]}, r"distances=\(1, 2\): set \(1,\)"),
        ({"sae_seeds": 3}, "sae_seeds=3: set 1"),
        ({"preset": "tiny"}, "sae_seeds=5: set 1; schedule='wsd': set 'paper'"),
        ({"target_l0": 50.0}, "target_l0=50.0: set None"),
        ({"layers": [0, 2]}, r"layers=\[0, 2\]: name layers without a gap"),
        (
            {"transfer": {"checkpoints": [0, 1000, 500_002_816]}},
            r"transfer.checkpoints=\[0, 1000, .*choose from",
        ),
        (
            {"scratch": {"checkpoints": [0, 100_003_840]}},
            r"scratch.checkpoints=\[0, 100003840\]: .*the last",
        ),
        ({"saes": "trained", "saes_revision": "v1"}, "saes_revision='v1': of SAEs that are fetched"),
    ],
)
def test_what_was_not_released_is_refused_by_the_config(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resolve_config(**{"preset": "pythia-160m", "saes": "published"} | changes)


def test_each_sae_of_the_run_is_the_released_one_and_says_so(fetched: Experiment) -> None:
    x = torch.randn(7, 32)
    for arm, layer, tokens in (("scratch", 2, 999_997_440), ("scratch", 0, 500_002_816), ("backward", 1, 500_002_816)):
        own, sae = released(arm, layer, tokens), fetched.sae(arm, layer, tokens=tokens)
        assert torch.allclose(sae(x), own(x), atol=1e-5)
        assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(64), atol=1e-5)
        folder = published_sae(arm, layer, tokens).folder
        assert sae.lineage["released"] == {"repository": REPOSITORY, "folder": folder, "commit": COMMIT}
        assert sae.lineage["dataset_path"] == "NeelNanda/pile-small-tokenized-2b"
    assert read_json_object(fetched.config_path)["inputs"]["saes_revision"] == COMMIT
    assert {plan.arm for plan in fetched.plans("transfer")} == {"forward", "backward"}  # no control was released
    assert not (fetched.folder / "resume_points").exists()


def test_at_token_0_a_transfer_is_its_source_and_scratch_is_ours(fetched: Experiment) -> None:
    places = fetched.folder / "saes"
    source = sae_sha256(places / "scratch" / "L0" / "seed42" / "999997440")
    assert sae_sha256(places / "forward" / "L1" / "seed42" / "0") == source
    plan, folders = fetched.plans("scratch")[1], fetched.phase_folders("scratch")
    own = load_sae(places / "scratch" / "L1" / "seed42" / "0")
    assert torch.equal(own.W_enc, start_sae(plan, fetched.model, fetched.settled, folders).W_enc)
    assert own.lineage["released"] == "a random start of this library: the authors released none"


def test_the_whole_evaluation_runs_on_them(fetched: Experiment) -> None:
    evaluation = read_results(fetched).evaluation
    # 3 layers: 3 x 3 of scratch, 2 x 2 forward, 2 x 2 backward, 6 read elsewhere
    assert evaluation.groupby("arm").size().to_dict() == {"scratch": 9, "forward": 4, "backward": 4, "zero_shot": 6}
    row = evaluation.query("arm == 'forward' and act_layer == 2 and tokens == 500002816").iloc[0]
    plain = plain_scores(fetched.model, released("forward", 2, 500_002_816), 2, fetched.corpus.held_out, 0)
    assert row["ce_score"] == pytest.approx(plain.ce_score, abs=1e-3)
    assert row["mse"] == pytest.approx(plain.mse, rel=1e-3)
    copied = evaluation.query("arm == 'forward' and act_layer == 1 and tokens == 0")["ce_score"].item()
    read = evaluation.query("arm == 'zero_shot' and sae_layer == 0 and act_layer == 1")["ce_score"].item()
    assert copied == read
    matched = curves.matched(evaluation, "forward")
    assert matched.layers == (1, 2)
    assert len(convergence.layer_curves(read_results(fetched), ["ce_score"]))
    assert set(ledger.compute_ledger(fetched)["arm"]) == {"scratch", "forward", "backward"}
    assert ledger.wall_times(fetched.folder / "resume_points").empty
    assert "the paper's authors have released" in fetched.caveat
    said = opening(fetched.config)
    assert said.endswith("Here the SAEs are those that the paper's authors have released, trained on the first rows "
                         "of the data set too.")  # fmt: skip


def test_the_log_is_what_they_lose_on_training_rows(fetched: Experiment) -> None:
    log = read_training(fetched)
    assert set(log["metric"]) == {"loss", "mse", "l1", "l0"} and set(log["phase"]) == {"scratch", "transfer"}
    found = log.query("arm == 'backward' and sae_layer == 0").set_index("metric")["value"]
    sae, rows = released("backward", 0, 500_002_816), fetched.corpus.train.take(0, 2)
    x = fetched.model.residual_streams(torch.from_numpy(rows).long(), [0])[0].flatten(0, 1)
    features = torch.relu(x @ sae.W_enc + sae.b_enc)
    error = features @ sae.W_dec + sae.b_dec - x
    assert found["mse"] == pytest.approx(error.square().sum(1).mean().item(), rel=1e-4)
    assert found["l0"] == (features > 0).sum(1).float().mean().item()
    assert found["loss"] == pytest.approx(found["mse"] + found["l1"], rel=1e-6)  # lambda is 1
    assert training_figure(log).figure.axes


def test_what_is_there_is_found_again_and_what_is_lacking_fetched(fetched: Experiment, tmp_path, monkeypatch) -> None:
    shutil.copytree(fetched.folder, tmp_path / "runs" / "again")
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    config = tmp_path / "runs" / "again" / "config.json"
    config.write_text(config.read_text().replace('"run": "fetched"', '"run": "again"'))
    experiment = open_experiment(**SMALL, run="again")
    assert "found 3 SAEs" in phase_state(experiment, "scratch")
    shutil.rmtree(experiment.folder / "training")
    (experiment.folder / "training.parquet").unlink()
    lost = experiment.folder / "saes" / "scratch" / "L1" / "seed42" / "500002816"
    kept = lost.with_name("999997440")
    before, was = sae_sha256(lost), kept.stat().st_mtime_ns
    shutil.rmtree(lost)
    assert "3 SAEs of 999,997,440 tokens each are fetched now" in phase_state(experiment, "scratch")
    log = train_phase(experiment, "scratch")
    assert sae_sha256(lost) == before and kept.stat().st_mtime_ns == was
    assert np.array_equal(log["value"], read_training(fetched).query("phase == 'scratch'")["value"])
    (kept / "lineage.json").write_text("{}")
    shutil.rmtree(experiment.folder / "training")
    with pytest.raises(DamagedFileError, match="lineage.json is not what manifest.json says"):
        train_phase(open_experiment(**SMALL, run="again"), "scratch")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model_name": "gpt2-small"},
            "L0 of 999997440 tokens was trained on gpt2-small, and the run's",
        ),
        ({"activation_fn_str": "topk"}, "activation_fn_str is 'topk'"),
    ],
)
def test_an_sae_of_another_kind_is_refused_by_name(hub: Path, empty_runs: Path, changes: dict, words: str) -> None:
    folder = hub / f"models--{REPOSITORY.replace('/', '--')}" / "snapshots" / COMMIT / "L0"
    with exchanged(folder, **changes), pytest.raises(ValueError, match=words):
        train_phase(open_experiment(**SMALL, layers=[0, 1]), "scratch")


def test_a_size_that_does_not_fit_is_refused_with_both(hub: Path, empty_runs: Path) -> None:
    with pytest.raises(ValueError, match="d_in 32 and d_sae 64; the run's model and expansion_factor want 32 and 128"):
        train_phase(open_experiment(**SMALL | {"expansion_factor": 4}), "scratch")


def test_a_revision_that_is_not_there_is_refused_before_anything_is_written(hub: Path, empty_runs: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"SAEs {REPOSITORY} at revision v9: not in the Hugging Face cache"):
        train_phase(open_experiment(**SMALL, saes_revision="v9"), "scratch")
    assert not empty_runs.exists()


def test_saes_of_others_are_not_sent_as_ours(fetched: Experiment) -> None:
    with pytest.raises(ValueError, match="the SAEs of this run were released by others"):
        push_saes(fetched, "me/saes")


@contextmanager
def exchanged(folder: Path, **changes: Any) -> Iterator[None]:
    """An SAE of the cache with another config, for as long as a test needs it."""
    files = {path: path.read_bytes() for path in folder.glob("*.*")}
    save_as_authors(folder, known_sae(32, 64), 0, **changes)
    yield
    for path, content in files.items():
        path.write_bytes(content)
