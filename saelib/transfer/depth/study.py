"""The study as a stage of a run: lambdas, maps, the trainings that it needs of its own, and all scores.

In: an experiment whose config names `depth_source`, with its scratch SAEs trained. Out: files under `runs/<run>/`; what
is finished costs nothing when called again, an interrupted study loses a part at most. What does not fit the model or
the text is refused before anything is trained, when the run begins.
"""

from collections.abc import Mapping, Sequence

from saelib.results.provenance import check_origin
from saelib.run.lock import writing
from saelib.run.progress import progress
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.training.divergence import diverged_at
from saelib.transfer.checks import Results
from saelib.transfer.choices import check_choice
from saelib.transfer.depth.lambdas import ByDepth, depth_lambdas
from saelib.transfer.depth.maps import fit_depth_maps
from saelib.transfer.depth.plans import (
    TRAININGS,
    DepthSae,
    asked_by_part,
    carried,
    training,
    training_config,
    training_folders,
    training_plans,
)
from saelib.transfer.depth.scores import files_of, held_out_rows, made, reading_of, score_part
from saelib.transfer.depth.tables import depth_parts, read_depth
from saelib.transfer.experiment import Experiment
from saelib.transfer.finished import check_own, check_present
from saelib.transfer.maps import check_maps
from saelib.transfer.passes import note_passes, plan_passes, train_passes
from saelib.transfer.scored import check_asked, scorer_of
from saelib.transfer.stages import refresh


def is_asked(experiment: Experiment) -> bool:
    """Whether the run's config asks for the study."""
    return experiment.config.depth_source is not None


def depth_state(experiment: Experiment) -> str:
    """One line: what the study has, whether it was found, or is made now."""
    config = experiment.config
    if not is_asked(experiment):
        return f"Preset {config.preset} asks for no study of distance (`depth_source`), and nothing is shown here."
    if config.stored:
        return "Study of distance: stored results."
    asked, parts = asked_by_part(experiment), depth_parts(experiment.folder)
    size, missing = sum(map(len, asked.values())), [part for part in asked if not parts.has(part)]
    state = f"{len(missing)} of {len(asked)} parts are made now" if missing else "found, finished"
    return f"Study of distance: {size} scores of SAEs at {experiment.model.n_layers} layers; {state}."


def run_depth(experiment: Experiment) -> Results:
    """Make the study, or finish it; returns `depth.parquet` and its rows.

    Raises:
        ValueError: the config asks for none; or as `check_maps` and `fit_depth_maps`.
        FileNotFoundError: the run's scratch SAEs are not trained yet.
        MemoryError: not even one SAE fits into the device's memory.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config, or one of another model, text or library.
        DamagedFileError: a part, an SAE or a map is not what was written.
    """
    experiment.check()
    if experiment.config.stored:
        return read_depth(experiment)
    if not is_asked(experiment):
        raise ValueError("depth_source=None: name the layer whose SAEs shall be carried to all others")
    asked, parts = asked_by_part(experiment), depth_parts(experiment.folder)
    for part in filter(parts.has, asked):
        check_asked(asked[part], parts.scores, part)
    if missing := {part: ones for part, ones in asked.items() if not parts.has(part)}:
        experiment.load_inputs()
        check_maps(experiment, [])
        _check_scratch(experiment, [one for ones in missing.values() for one in ones])
        for part in asked.keys() - missing:
            _check_unchanged(experiment, asked[part], part)
        with writing(experiment):
            _make(experiment, missing)
    results = parts.together()
    check_origin(results.evaluation, parts.scores.path)
    if not parts.is_joined():
        refresh(experiment, parts.join)
    return results


def _check_scratch(experiment: Experiment, asked: Sequence[DepthSae]) -> None:
    """See that the run's own scratch SAEs are there; one that diverged is passed over, with all that it would start."""
    folders = experiment.phase_folders("scratch")
    for folder in dict.fromkeys(one.folder for one in asked if one.folder.is_relative_to(folders.saes / "scratch")):
        if diverged_at(folder) is None:
            check_present(folder, "scratch", folders)
            check_own(folder, "scratch", folders, experiment.inputs)


def _check_unchanged(experiment: Experiment, asked: Sequence[DepthSae], part: str) -> None:
    """Refuse to add to a study whose SAEs or maps have changed since; those that were deleted are taken as they were.

    Raises:
        ValueError: one has; the message names its folder and the remedy.
    """
    table = depth_parts(experiment.folder).read([part])
    for one, known in zip(asked, table["sae_sha256"], strict=True):
        folders = files_of(experiment, one)
        reading = reading_of(experiment, one) if all(folder.is_dir() for folder in folders) else None
        if reading is not None and reading.sae_sha256 != known:
            raise ValueError(
                f"depth/{part}.parquet has no score of {' with '.join(map(str, folders))} as it is now; put it back as "
                f"it was, or delete {experiment.folder / 'depth'} and depth_rows beside it, and all is scored again"
            )


def _make(experiment: Experiment, missing: Mapping[str, Sequence[DepthSae]]) -> None:
    """What is missing, and whatever it needs."""
    numbers, parts = depth_lambdas(experiment), depth_parts(experiment.folder)
    scorer = scorer_of(experiment, held_out_rows(experiment))
    fit_depth_maps(experiment)
    for name in TRAININGS:
        _train(experiment, name, numbers)
    with progress("depth", sum(map(len, missing.values())), unit="SAE") as advance:
        for part, asked in missing.items():
            parts.write(part, score_part(experiment, asked, scorer, numbers))
            advance(len(asked))


def _train(experiment: Experiment, name: str, numbers: ByDepth) -> None:
    """One of the study's own trainings; one that is finished is found again."""
    plans, phase = training_plans(experiment, name, numbers), training(experiment, name)
    if not plans:
        return
    config, folders = training_config(experiment, name), training_folders(experiment, name)
    passes = plan_passes(config, experiment.model, plans, phase, folders.resume)
    note_passes(passes, folders.resume)
    train_passes(experiment, passes, config, phase, folders)


def mapped_sae(
    experiment: Experiment, layer: int, seed: int | None = None, tokens: int | None = None
) -> SparseAutoencoder:
    """The source's SAE, carried to a layer by its map, for reading.

    Args:
        layer: of the model.
        seed: of the replicate; the first one if not given.
        tokens: that the source was trained on, a budget of the study; the end of its training if not given.

    Raises:
        ValueError: the study has no such SAE; the message names what it has.
        FileNotFoundError: the source or the map is not there.
        DamagedFileError: one is not what was written.
    """
    config, replicates = experiment.config, dict(experiment.config.replicates)
    budgets = config.depth_ends
    check_choice("layer", layer, range(experiment.model.n_layers))
    check_choice("seed", seed := config.seed if seed is None else seed, replicates)
    check_choice("tokens", tokens := budgets[-1] if tokens is None else tokens, budgets)
    return made(experiment, carried(experiment, layer, tokens, (seed, replicates[seed]), "affine"))
