"""A run: its config, its folder, its model and corpus, and the stages that the notebooks call.

In: a preset and overrides. Out: files under `runs/<run>/`. A stage that is finished costs nothing when called again;
one that was interrupted goes on where it stopped.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.run.config import claim_config
from saelib.run.files import runs_folder
from saelib.transfer.config import ExperimentConfig, TrainingPhase, resolve_config

if TYPE_CHECKING:
    import pandas as pd

    from saelib.language.corpus.load import Corpus
    from saelib.language.model import LanguageModel
    from saelib.sae.training.trainee import PhaseFolders, SaePlan


@dataclass(frozen=True)
class Candidate:
    """One SAE at one token count, and the layer whose activations it reads: the keys of an evaluation row."""

    arm: str
    source_layer: int | None
    sae_layer: int
    act_layer: int
    seed: int
    tokens: int
    source_tokens: int
    folder: Path


class Experiment:
    """A run on disk; `model` and `corpus` are loaded when first asked for."""

    def __init__(self, config: ExperimentConfig) -> None:
        """Use `open_experiment`, which checks the folder."""
        self.config = config
        self.folder = runs_folder() / config.run

    @cached_property
    def model(self) -> "LanguageModel":
        """The language model that the config names."""
        from saelib.language.model import load_language_model

        return load_language_model(self.config.language_model, self.config.device, revision=self.config.revision)

    @cached_property
    def corpus(self) -> "Corpus":
        """Train and held-out rows of the corpus that the config names."""
        from saelib.language.corpus.load import load_corpus

        config = self.config
        return load_corpus(
            config.corpus, self.model.tokenizer, config.context_length, config.held_out_rows, config.seed
        )

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers that get SAEs.

        Raises:
            ValueError: the config names a layer that the model lacks.
        """
        layers = self.config.layers or tuple(range(self.model.n_layers))
        if wrong := [layer for layer in layers if not 0 <= layer < self.model.n_layers]:
            raise ValueError(f"layers={wrong}: {self.model.name} has layers 0 to {self.model.n_layers - 1}")
        return layers

    def phase(self, name: str) -> TrainingPhase:
        """The config of phase "scratch" or "transfer"."""
        return {"scratch": self.config.scratch, "transfer": self.config.transfer}[name]

    def phase_folders(self, name: str) -> "PhaseFolders":
        """Where a phase keeps SAEs and resume points."""
        from saelib.sae.training.trainee import PhaseFolders

        return PhaseFolders(self.folder / "saes", self.folder / "checkpoints" / name)

    def plans(self, name: str) -> "list[SaePlan]":
        """The SAEs of a phase."""
        from saelib.transfer.plans import scratch_plans, transfer_plans

        return {"scratch": scratch_plans, "transfer": transfer_plans}[name](self.layers, self.config)


def open_experiment(**parameters: Any) -> Experiment:
    """Open a run, or start it: `open_experiment(preset="tiny", run="mine", l1_coefficient=0.5)`.

    Raises:
        ValueError, TypeError: a parameter is unknown, ill-typed or contradicts another (`resolve_config`).
        FileExistsError: the folder holds a run with another config; the message names the fields.
    """
    experiment = Experiment(resolve_config(**parameters))
    claim_config(experiment.folder / "config.json", experiment.config)
    return experiment


def train_phase(experiment: Experiment, name: str) -> "pd.DataFrame":
    """Train all SAEs of phase "scratch" or "transfer", or finish them; returns the phase's training log.

    The logs of the phases together are `training.parquet`.
    """
    from saelib.results.provenance import provenance, table_of, write_table
    from saelib.sae.training.train import train

    path = experiment.folder / "training" / f"{name}.parquet"
    if not path.is_file():
        rows = train(
            experiment.plans(name),
            experiment.phase(name),
            experiment.model,
            experiment.corpus.train,
            experiment.config,
            experiment.phase_folders(name),
        )
        write_table(table_of(rows).assign(phase=name, **provenance(experiment.config)), path)
        write_table(_concatenate(experiment.folder / "training"), experiment.folder / "training.parquet")
    return _read(path)


def evaluate_phase(experiment: Experiment, name: str) -> "pd.DataFrame":
    """Score every SAE of a phase at every checkpoint; returns the phase's rows of `evaluation.parquet`."""
    folders = experiment.phase_folders(name)
    return _evaluate_in_parts(
        experiment,
        {
            f"{name}-{tokens:012d}": [
                Candidate(
                    arm=plan.arm,
                    source_layer=plan.source_layer,
                    sae_layer=plan.sae_layer,
                    act_layer=plan.sae_layer,
                    seed=plan.seed,
                    tokens=tokens,
                    source_tokens=plan.source_tokens,
                    folder=folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens),
                )
                for plan in experiment.plans(name)
            ]
            for tokens in experiment.phase(name).checkpoints
        },
    )


def evaluate_zero_shot(experiment: Experiment) -> "pd.DataFrame":
    """Score every finished scratch SAE on the activations of every other layer, untrained there."""
    folders, tokens = experiment.phase_folders("scratch"), experiment.config.scratch.tokens
    candidates = [
        Candidate(
            arm="zero_shot",
            source_layer=plan.sae_layer,
            sae_layer=plan.sae_layer,
            act_layer=layer,
            seed=plan.seed,
            tokens=0,
            source_tokens=tokens,
            folder=folders.sae("scratch", plan.sae_layer, plan.seed, tokens),
        )
        for plan in experiment.plans("scratch")
        for layer in experiment.layers
        if layer != plan.sae_layer
    ]
    return _evaluate_in_parts(experiment, {"zero_shot": candidates} if candidates else {})


def _evaluate_in_parts(experiment: Experiment, parts: dict[str, list[Candidate]]) -> "pd.DataFrame":
    """Evaluate part by part, so that an interrupted evaluation loses one part; refresh `evaluation.parquet`."""
    import pandas as pd

    from saelib.results.provenance import check_paired, write_table
    from saelib.run.progress import progress

    folder = experiment.folder / "evaluation"
    paths = {part: folder / f"{part}.parquet" for part in parts}
    missing = [part for part, path in paths.items() if not path.is_file()]
    with progress("evaluation", sum(len(parts[part]) for part in missing), unit="SAE") as advance:
        for part in missing:
            write_table(_evaluation_rows(experiment, parts[part]), paths[part])
            advance(len(parts[part]))
    if missing:
        whole = _concatenate(folder)
        check_paired(whole)
        write_table(whole, experiment.folder / "evaluation.parquet")
    return pd.concat([_read(path) for path in paths.values()], ignore_index=True)


def _evaluation_rows(experiment: Experiment, candidates: list[Candidate]) -> "pd.DataFrame":
    from saelib.language.corpus.load import hash_tokens
    from saelib.results.provenance import provenance, table_of
    from saelib.sae.evaluation import evaluate
    from saelib.sae.folder import load_sae

    config, held_out = experiment.config, experiment.corpus.held_out
    saes = [(load_sae(candidate.folder, experiment.model.device), candidate.act_layer) for candidate in candidates]
    scores = evaluate(saes, experiment.model, held_out, config.evaluation_batch_rows)
    rows = []
    for candidate, score in zip(candidates, scores, strict=True):
        keys = {key: value for key, value in asdict(candidate).items() if key != "folder"}
        rows.append(keys | asdict(score) | {"loss": score.mse + config.l1_coefficient * score.l1})
    return table_of(rows).assign(
        eval_sha256=hash_tokens({"held_out": held_out}),
        eval_tokens=held_out.size,
        corpus_sha256=experiment.corpus.sha256,
        **provenance(config),
    )


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(path)


def _concatenate(folder: Path) -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([_read(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)
