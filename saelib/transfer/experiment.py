"""A run of paper 1 on disk: its config, its folder, its model and corpus, its plans and its SAEs.

In: a preset and overrides. Out: an `Experiment`. Opening one writes nothing; what is computed for it (`stages`) claims
its folder `runs/<run>/`.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from saelib.language.corpus.load import load_corpus
from saelib.run.identity import check_noted
from saelib.run.pinned import PinnedRun
from saelib.sae.config import TrainingPhase
from saelib.transfer.config import ExperimentConfig, resolve_config

if TYPE_CHECKING:
    from saelib.language.corpus.rows import Corpus, TokenRows
    from saelib.language.model import LanguageModel
    from saelib.sae.autoencoder import SparseAutoencoder
    from saelib.sae.training.plan import PhaseFolders, SaePlan
    from saelib.transfer.source import OwnSource


PHASES = ("scratch", "transfer")


class Experiment(PinnedRun[ExperimentConfig]):
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

    def load_inputs(self) -> None:
        """Read model and text, before anything is computed from them.

        Raises:
            FileExistsError: the run was made from others, or by an earlier release, which did not note from which.
            FileNotFoundError, ValueError: they cannot be read, or do not fit the config.
        """
        check_noted(self.config_path)
        _ = self.corpus, self.source  # and with them the model, whose tokenizer cuts the text
        if self.source is not None:
            self.source.compare_rows(self.corpus.prepend_bos)

    @cached_property
    def model(self) -> "LanguageModel":
        """The language model that the config names.

        Raises:
            ValueError: rows of `context_length` tokens are longer than it can read.
            FileExistsError: the run was made from another model of that name.
        """
        from saelib.language.loading import load_language_model, pinned_revision

        config = self.config
        revision = pinned_revision(config.language_model, config.revision, self.inputs.get("language_model"))
        model = load_language_model(config.language_model, config.device, revision)
        self.pin("language_model", model.revision)
        if model.n_ctx is not None and config.context_length > model.n_ctx:
            raise ValueError(f"context_length={config.context_length}: {model.name} reads {model.n_ctx} tokens at most")
        return model

    @cached_property
    def corpus(self) -> "Corpus":
        """Training rows, in the first replicate's order, and held-out rows of the corpus that the config names.

        Raises:
            FileExistsError: the run was made from another text of that name.
        """
        config, model = self.config, self.model
        corpus = load_corpus(
            config.corpus,
            model.tokenizer,
            config.context_length,
            config.held_out_rows,
            config.data_seeds[0],
            config.prepend_bos,
            model.vocabulary,
            self.inputs.get("corpus_revision"),
        )
        self.pin("corpus", corpus.sha256)
        if corpus.revision is not None:
            self.pin("corpus_revision", corpus.revision)
        return corpus

    @cached_property
    def source(self) -> "OwnSource | None":
        """The SAE that the config names as the source of all transfers; None where these start from scratch SAEs.

        Raises:
            FileNotFoundError, ValueError: as `transfer.source.read_source`.
            FileExistsError: the run was made from another SAE of that name.
        """
        from saelib.sae.folder import folder_sha256
        from saelib.transfer.source import read_source

        if self.config.source is None:
            return None
        source = read_source(self.config.source, self.config, self.model)
        self.pin("source", folder_sha256(source.folder))
        return source

    def training_rows(self, data_seed: int) -> "TokenRows":
        """Training rows in the order of a replicate; a hub data set has one order, shuffled within chunks only."""
        return self.corpus.in_order(data_seed)

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers that get SAEs.

        Raises:
            ValueError: the config names a layer that the model lacks, or a distance that no two of the layers have.
        """
        layers = tuple(range(self.model.n_layers)) if self.config.layers is None else self.config.layers
        if wrong := [layer for layer in layers if not 0 <= layer < self.model.n_layers]:
            raise ValueError(f"layers={wrong}: {self.model.name} has layers 0 to {self.model.n_layers - 1}")
        # A single layer has no transfers at all: its scratch SAEs may be all that is wanted.
        if len(layers) > 1 and (far := [distance for distance in self.config.distances if distance >= len(layers)]):
            raise ValueError(
                f"distances={far}: {len(layers)} layers are {len(layers) - 1} places apart at most; "
                "leave them out, or name more layers"
            )
        return layers

    @property
    def d_sae(self) -> int:
        """Features of each SAE."""
        return self.config.expansion_factor * self.model.d_model

    @cached_property
    def l1_coefficients(self) -> dict[int, float]:
        """lambda of each layer: the config's, or what `trials.choose_lambda` has kept for the run.

        Raises:
            FileNotFoundError: it is to be chosen, and is not yet.
            FileExistsError: the run was made with others.
        """
        from saelib.transfer.lambdas import INPUT, is_chosen, lambda_path, lambdas_sha256, read_lambdas

        if not is_chosen(self.config):
            return dict.fromkeys(self.layers, self.config.l1_coefficient)
        coefficients = read_lambdas(lambda_path(self.folder))
        self.pin(INPUT, lambdas_sha256(coefficients))
        return coefficients

    def phase(self, name: str) -> TrainingPhase:
        """The config of phase "scratch" or "transfer".

        Raises:
            ValueError: another name.
        """
        _check_choice("phase", name, PHASES)
        return {"scratch": self.config.scratch, "transfer": self.config.transfer}[name]

    def phase_folders(self, name: str) -> "PhaseFolders":
        """Where a phase keeps SAEs and resume points."""
        from saelib.sae.training.plan import PhaseFolders

        source = self.source.folder if name == "transfer" and self.source else None
        return PhaseFolders(self.folder / "saes", self.folder / "resume_points" / name, self.folder / "maps", source)

    def plans(self, name: str) -> "list[SaePlan]":
        """The SAEs of a phase."""
        from saelib.transfer.plans import scratch_plans, transfer_plans

        _check_choice("phase", name, PHASES)
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
            FileNotFoundError: it is planned and not trained yet; the message says how to train it.
            FileExistsError: the folder has meanwhile been claimed by a run with another config.
        """
        from saelib.sae.folder import load_sae

        phases = {plan.arm: name for name in PHASES for plan in self.plans(name)}
        _check_choice("arm", arm, phases)
        name = phases[arm]
        plans, checkpoints = [plan for plan in self.plans(name) if plan.arm == arm], self.phase(name).checkpoints
        seed, tokens = self.config.seed if seed is None else seed, checkpoints[-1] if tokens is None else tokens
        _check_choice("layer", layer, (plan.sae_layer for plan in plans), arm)
        _check_choice("seed", seed, (plan.seed for plan in plans), arm)
        _check_choice("tokens", tokens, checkpoints, arm)
        self.check()
        folder = self.phase_folders(name).sae(arm, layer, seed, tokens)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not there yet; train it with `saelib.train_phase(experiment, {name!r})`"
            )
        return load_sae(folder, self.model.device)

    def source_of(self, plan: "SaePlan") -> "SparseAutoencoder":
        """The finished SAE that a transfer starts from, for reading."""
        from saelib.sae.folder import load_sae
        from saelib.sae.training.plan import source_folder

        return load_sae(source_folder(plan, self.phase_folders("transfer")), self.model.device)


def _check_choice(name: str, value: object, choices: Iterable[object], arm: str = "") -> None:
    """Refuse a value that is none of the choices."""
    known = list(dict.fromkeys(choices))
    if type(value) not in map(type, known) or value not in known:
        whose = f"the SAEs of the arm {arm} have" if arm else "this run has"
        raise ValueError(f"{name}={value!r}: {whose} {name} {', '.join(map(str, known))}")


def open_experiment(**parameters: Any) -> Experiment:
    """Open a run, or one to come: `open_experiment(preset="tiny", run="mine", l1_coefficient=0.5)`.

    Nothing is written yet: a run claims its folder with its first result.

    Raises:
        ValueError: a parameter is unknown, of the wrong type or contradicts another (`resolve_config`).
        FileExistsError: the folder holds a run with another config; the message names the fields.
    """
    experiment = Experiment(resolve_config(**parameters))
    experiment.check()
    return experiment
