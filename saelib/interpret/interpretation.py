"""What is looked at in a run: its SAEs side by side, the text that they read, and where tables of it lie.

In: a preset and overrides, as for the run itself. Out: an `Interpretation`. Opening one writes nothing; what is made of
it stands under `runs/<run>/interpret/`, which keeps the config that it was made by.
"""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int32

from saelib.interpret.config import InterpretConfig, resolve_interpret_config
from saelib.interpret.lineages import check_looked_at, find_lineages
from saelib.interpret.results_folder import check_results_folder
from saelib.interpret.subjects import OWN, SCRATCH, Lineage, Subject
from saelib.run.identity import check_noted
from saelib.run.parameters import divide
from saelib.run.pinned import PinnedRun
from saelib.run.stored import check_stored
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.presets import resolve_config

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel
    from saelib.results.parted import PartedTable
    from saelib.sae.autoencoder import SparseAutoencoder

PLACE = "interpret"
EXPERIMENT = "experiment"  # its name among the inputs: the config by which the SAEs were trained


class Interpretation(PinnedRun[InterpretConfig]):
    """A run whose SAEs are looked at; use `open_interpretation`."""

    def __init__(self, config: InterpretConfig, experiment: Experiment) -> None:
        super().__init__(config, f"{PLACE}/config.json")
        self.experiment = experiment
        self.interpret_folder = self.folder / PLACE
        self._read[EXPERIMENT] = experiment.config.sha256()
        self._sums: dict[Subject, str] = {}

    def __repr__(self) -> str:
        """One line: run, preset, how many features, which tasks."""
        config = self.config
        features = "all features" if config.features is None else f"{config.features} features of each SAE"
        return f"Interpretation({config.run!r}, preset {config.preset}, {features}, {', '.join(config.circuit_tasks)})"

    def check(self) -> None:
        """Refuse a folder that was made with another config.

        Raises:
            FileExistsError: it was; the message names the fields, and what may be deleted: the SAEs are kept.
            FileNotFoundError: stored results are asked for, and the repository keeps none of this config.
        """
        if self.config.stored:
            check_stored(self.config, PLACE)
            return
        try:
            super().check()
        except FileExistsError as error:
            raise FileExistsError(
                f"{error}; or delete {self.interpret_folder}, and all in it is made again: the SAEs stay"
            ) from None

    def claim(self) -> None:
        """Write the config and what was read so far into the folder, before the first result.

        Raises:
            FileExistsError: as `check`; or the folder is a file, or has results whose config is gone; or the run was
                begun by an earlier release, which did not note its inputs.
            PermissionError: stored results are not written to.
        """
        if not self.config.stored:
            check_results_folder(self.interpret_folder, self.config_path)
            check_noted(self.experiment.config_path)
            self.check()
        self._read |= self.experiment.inputs
        super().claim()

    @property
    def inputs(self) -> dict[str, str]:
        """Content of what results are made from: the inputs of the run, and its config."""
        return self.experiment.inputs | super().inputs

    @property
    def caveat(self) -> str:
        """What the caption of each figure has to add: that of the run."""
        return self.experiment.caveat

    @property
    def model(self) -> "LanguageModel":
        """The run's language model."""
        return self.experiment.model

    @property
    def skipped(self) -> int:
        """Positions at the start of each row that no SAE learned from, and no number here is of."""
        return self.experiment.settled.skipped

    def rows(self) -> Int32[np.ndarray, "rows context"]:
        """What is read for contexts: the run's held-out rows, then `text_rows` of its training text, each once."""
        return self._rows

    @cached_property
    def _rows(self) -> Int32[np.ndarray, "rows context"]:
        config, corpus = self.experiment.config, self.experiment.corpus
        there = (
            self.config.text_rows if corpus.train_tokens is None else corpus.train_tokens // corpus.held_out.shape[1]
        )
        more = self.experiment.training_rows(config.data_seeds[0]).take(0, min(self.config.text_rows, there))
        return np.concatenate([corpus.held_out, more])

    @property
    def held_out_count(self) -> int:
        """How many of `rows()`, the first ones, no SAE was trained on."""
        return len(self.experiment.corpus.held_out)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Whose circuits are looked for."""
        return self.config.circuit_tasks

    def lineages(self) -> list[Lineage]:
        """The transfers whose features are looked at, with what stands beside each; what diverged is left out.

        Raises:
            ValueError: the run has no such layer or arm; the message names what it has.
        """
        return self._lineages(self.config.feature_layers, self.config.feature_seeds)

    def circuit_lineages(self) -> list[Lineage]:
        """The transfers whose circuits are looked at; as `lineages`."""
        return self._lineages(self.config.circuit_layers, self.config.circuit_seeds)

    def all_lineages(self) -> list[Lineage]:
        """Of every layer and replicate, for what is measured of whole SAEs; as `lineages`."""
        return self._lineages(None, self.experiment.config.sae_seeds)

    def _lineages(self, layers: tuple[int, ...] | None, seeds: int) -> list[Lineage]:
        experiment, config = self.experiment, self.config
        plans = experiment.plans("transfer")
        check_looked_at(config, plans)
        return find_lineages(plans, experiment.config, layers, config.feature_arms, seeds, self.has_diverged)

    def at_checkpoints(self, subject: Subject) -> list[Subject]:
        """The same SAE at every checkpoint of its training, the first at 0 tokens; those that diverged left out."""
        tokens = (subject.tokens,) if subject.arm == OWN else self.experiment.phase(_phase(subject)).checkpoints
        ones = [Subject(subject.arm, subject.sae_layer, subject.act_layer, subject.seed, one) for one in tokens]
        return [one for one in ones if not self.has_diverged(one)]

    def folder_of(self, subject: Subject) -> Path:
        """Where the SAE is, or will be."""
        if subject.arm == OWN:
            assert self.experiment.source is not None
            return self.experiment.source.folder
        folders = self.experiment.phase_folders(_phase(subject))
        return folders.sae(subject.arm, subject.sae_layer, subject.seed, subject.tokens)

    def has_diverged(self, subject: Subject) -> bool:
        """Whether its training was stopped before that token count."""
        from saelib.sae.training.divergence import diverged_at

        return subject.arm != OWN and diverged_at(self.folder_of(subject)) is not None

    def sae(self, subject: Subject) -> "SparseAutoencoder":
        """The SAE, its decoder rows of unit norm, on the model's device, for reading.

        Raises:
            FileNotFoundError: it is not trained yet; the message says how to have it.
            DamagedFileError: it is not what was trained there.
        """
        from saelib.sae.folder import load_sae

        if subject.arm == OWN:
            sae = load_sae(self.folder_of(subject), self.model.device)
        else:
            sae = self.experiment.sae(subject.arm, subject.sae_layer, subject.seed, subject.tokens)
        sae.fold_decoder_norms()
        return sae

    def sha256(self, *subjects: Subject) -> str:
        """SHA-256 of what an SAE computes, for the column `sae_sha256`; of several, of theirs together.

        Raises:
            FileNotFoundError: one is not there.
        """
        from saelib.sae.folder import sae_sha256

        for subject in subjects:
            if subject not in self._sums:
                self._sums[subject] = sae_sha256(self.folder_of(subject))
        sums = [self._sums[subject] for subject in subjects]
        return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()

    def table(self, name: str, needed: Iterable[str] = ()) -> "PartedTable":
        """A table of `interpret/` that grows by parts: `<name>/<part>.parquet`, together `<name>.parquet`."""
        from saelib.results.parted import PartedTable

        return PartedTable(self.interpret_folder / name, tuple(needed))

    def origin(self) -> dict[str, str]:
        """Columns that every row of results carries: config, inputs, commit and versions."""
        from saelib.results.provenance import provenance

        return provenance(self.config, self.inputs)


def _phase(subject: Subject) -> str:
    """In which it is trained."""
    return "scratch" if subject.arm == SCRATCH else "transfer"


def open_interpretation(**parameters: Any) -> Interpretation:
    """Open what is looked at in a run: `open_interpretation(preset="tiny", run="mine", features=None)`.

    Nothing is written yet, and nothing trained: that is for `train_phase` to do.

    Raises:
        ValueError: a parameter is unknown to `ExperimentConfig` and `InterpretConfig`, or of the wrong type.
        FileExistsError: the folder holds a run, or results of this room, with another config.
        FileNotFoundError: `stored=True`, and the repository keeps no results of this config.
    """
    of_run, own = divide(parameters, ExperimentConfig, InterpretConfig)
    # The folder is that of the SAEs, which are called after more than the preset where they are fetched.
    config = resolve_interpret_config(**own | {"run": resolve_config(**of_run).run})
    interpretation = Interpretation(config, open_experiment(**of_run))
    interpretation.check()
    return interpretation
