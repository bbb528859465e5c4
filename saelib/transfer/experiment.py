"""A run of paper 1 on disk: its config, its folder, its model and corpus, its plans and its SAEs.

In: a preset and overrides. Out: an `Experiment`. Opening one writes nothing; what is computed for it (`stages`) claims
its folder `runs/<run>/`.
"""

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from saelib.language.origin import notes_on
from saelib.run.identity import check_noted
from saelib.run.library import INPUT as LIBRARY
from saelib.run.library import code_digest
from saelib.sae.config import TrainingPhase
from saelib.transfer.choices import PHASES as PHASES
from saelib.transfer.choices import check_choice, choose_sae
from saelib.transfer.computing import COMPUTING
from saelib.transfer.inputs import ReadingRun
from saelib.transfer.presets import resolve_config
from saelib.transfer.released_config import CAVEAT, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saelib.sae.autoencoder import SparseAutoencoder
    from saelib.sae.training.plan import PhaseFolders, SaePlan


class Experiment(ReadingRun):
    """A run on disk, opened by `open_experiment`; `model` and `corpus` are loaded when first asked for."""

    def __repr__(self) -> str:
        """One line: run, preset, model, text, and how many SAEs."""
        config = self.config
        layers = "all layers" if config.layers is None else f"layers {', '.join(map(str, config.layers))}"
        return (
            f"Experiment({config.run!r}, preset {config.preset}, language model {config.language_model}, "
            f"corpus {config.corpus}, {layers}, {config.sae_seeds} replicates)"
        )

    def claim(self) -> None:
        """Write the config and what was read so far into the folder, before the first result.

        Raises:
            ValueError: the config does not fit its model.
            FileExistsError: as `check`.
        """
        if not self.config_path.is_file():
            _ = self.layers  # a config that the model refuses claims nothing
        super().claim()

    @property
    def caveat(self) -> str:
        """What the caption of each of its figures has to add: of which weights, whose results, what diverged."""
        from saelib.transfer.divergence import left_out

        model, whose = notes_on([self.config.language_model]), CAVEAT if self.config.saes == PUBLISHED else ""
        return "; ".join(filter(None, (model, whose, super().caveat, left_out(self.folder))))

    def load_inputs(self) -> None:
        """Read model and text, before anything is computed from them; with this library, which is an input as well.

        Raises:
            FileExistsError: the run was made from others, or by another library, or by an earlier release, which did
                not note from which.
            FileNotFoundError, ValueError: they cannot be read, or do not fit the config.
        """
        check_noted(self.config_path, *([LIBRARY] if self._has_computed else []))
        self.pin(LIBRARY, code_digest(*COMPUTING))
        _ = self.corpus, self.source, self.release  # and with them the model, whose tokenizer cuts the text
        if self.source is not None:
            self.source.compare_rows(self.corpus)

    @property
    def _has_computed(self) -> bool:
        """Whether anything is there that depends on who computed it; values of notebooks alone do not."""
        return any((self.folder / name).exists() for name in ("maps", "saes", "resume_points", "lambda_trials"))

    @property
    def d_sae(self) -> int:
        """Features of each SAE."""
        return self.config.expansion_factor * self.model.d_model

    @cached_property
    def l1_coefficients(self) -> dict[int, float]:
        """lambda of each layer, in the model's own units: the config's, or what `trials.choose_lambda` has kept.

        Raises:
            FileNotFoundError: it is to be chosen, and is not yet.
            FileExistsError: the run was made with others.
        """
        from saelib.transfer import lambdas

        if lambdas.is_chosen(self.config):
            return lambdas.pinned(self, lambdas.LAMBDA)
        return {layer: self.config.l1_coefficient * scale for layer, scale in self.activation_scales.items()}

    @cached_property
    def activation_scales(self) -> dict[int, float]:
        """What the residual stream of each layer is divided by while SAEs train on it; 1 where it is not.

        Raises:
            FileNotFoundError: it is to be measured, and is not yet.
            FileExistsError: the run was made with others.
        """
        from saelib.transfer import lambdas

        asked = self.config.activation_scale
        if asked == "norm":
            return lambdas.pinned(self, lambdas.SCALE)
        return dict.fromkeys(self.layers, 1.0 if asked == "none" else float(asked))

    def with_scales(self, plans: "Sequence[SaePlan]") -> "list[SaePlan]":
        """Plans that know what the residual streams of their layers are divided by, where these are divided."""
        if self.config.activation_scale == "none":
            return list(plans)
        return [replace(plan, activation_scale=self.activation_scales[plan.sae_layer]) for plan in plans]

    def phase(self, name: str) -> TrainingPhase:
        """The config of phase "scratch" or "transfer".

        Raises:
            ValueError: another name.
        """
        check_choice("phase", name, PHASES)
        return {"scratch": self.config.scratch, "transfer": self.config.transfer}[name]

    def phase_folders(self, name: str) -> "PhaseFolders":
        """Where a phase keeps SAEs and resume points."""
        from saelib.sae.training.plan import PhaseFolders

        return PhaseFolders(
            saes=self.folder / "saes",
            resume=self.folder / "resume_points" / name,
            maps=self.folder / "maps",
            source=self.source.folder if name == "transfer" and self.source else None,
            config_sha256=self.config.sha256(),
        )

    def plans(self, name: str) -> "list[SaePlan]":
        """The SAEs of a phase."""
        from saelib.transfer.plans import scratch_plans, transfer_plans

        check_choice("phase", name, PHASES)
        if name == "scratch":
            return scratch_plans(self.layers, self.config)
        return transfer_plans(self.layers, self.config, self.source)

    def sae(self, arm: str, layer: int, seed: int | None = None, tokens: int | None = None) -> "SparseAutoencoder":
        """A trained SAE of the run, for reading: `experiment.sae("forward", 3)`; its `lineage` says who it is.

        Args:
            arm: "scratch", "forward", "backward", "forward_affine", ... (`directions.Arm.name`), "control".
            layer: whose residual stream it learned.
            seed: the first one if not given.
            tokens: a checkpoint of its phase; the end of training if not given.

        Raises:
            ValueError: the run has no such SAE in its plans; the message names what it has.
            FileNotFoundError: it is planned and not there; the message says how to have it.
            DamagedFileError: it is not what was trained there.
            FileExistsError: the folder has meanwhile been claimed by a run with another config.
        """
        from saelib.sae.folder import load_sae
        from saelib.transfer.finished import check_present

        seed, plans = self.config.seed if seed is None else seed, {name: self.plans(name) for name in PHASES}
        checkpoints = {name: self.phase(name).checkpoints for name in PHASES}
        name, tokens = choose_sae(plans, checkpoints, arm, layer, seed, tokens)
        self.check()
        if self.config.stored:
            raise FileNotFoundError(f"{self.folder} holds no SAEs, only numbers; leave out stored=True to train them")
        folders = self.phase_folders(name)
        folder = folders.sae(arm, layer, seed, tokens)
        check_present(folder, name, folders)
        return load_sae(folder, self.model.device, folders.expected(folder))

    def source_of(self, plan: "SaePlan") -> "SparseAutoencoder":
        """The finished SAE that a transfer starts from, for reading."""
        from saelib.sae.folder import load_sae
        from saelib.sae.training.plan import source_folder

        folders = self.phase_folders("transfer")
        folder = source_folder(plan, folders)
        return load_sae(folder, self.model.device, folders.expected(folder))


def open_experiment(**parameters: Any) -> Experiment:
    """Open a run, or one to come: `open_experiment(preset="tiny", run="mine", l1_coefficient=0.5)`.

    Nothing is written yet: a run claims its folder with its first result.

    Raises:
        ValueError: a parameter is unknown, of the wrong type or contradicts another (`resolve_config`).
        FileExistsError: the folder holds a run with another config; the message names the fields.
        FileNotFoundError: `stored=True`, and the repository keeps no results of this config.
    """
    experiment = Experiment(resolve_config(**parameters))
    experiment.check()
    experiment.introduce()
    return experiment
