"""The SAEs of a run at their places: is one there, is it the one that belongs there, and what to do where it is not.

In: the folder of an SAE, and those of its phase. Out: nothing, or an error that names the folder and the remedy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from saelib.results.parted import PartedTable
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.reading import DamagedFileError, read_json_object
from saelib.sae.folder import CONFIG, LINEAGE, WEIGHTS, check_sae
from saelib.sae.training.divergence import diverged_at
from saelib.sae.training.plan import OWN_SOURCE, PhaseFolders, SaePlan, check_sources, source_folder
from saelib.transfer.checks import NEEDED


def logs_of(run_folder: Path) -> PartedTable:
    """The training logs of a run, a part for each phase, which is written last: then the phase is finished."""
    return PartedTable(run_folder / "training", NEEDED)


def check_present(folder: Path, phase: str, folders: PhaseFolders, who: str = "") -> None:
    """See that an SAE of a run is there.

    Args:
        folder: of the SAE.
        phase: in which it is trained.
        folders: of that phase.
        who: needs it, as the beginning of the message.

    Raises:
        FileNotFoundError: it is not; the message says how to have it, or that nobody can.
    """
    if lacking := [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]:
        what = f": {lacking[0]}" if folder.is_dir() else ""
        raise FileNotFoundError(f"{who}{folder}{what} is not there: {_how_to_have(folder, phase, folders)}")


def check_own(folder: Path, phase: str, folders: PhaseFolders, inputs: Mapping[str, str]) -> None:
    """Refuse an SAE of the run that is not the one which belongs there: by place, config, inputs and checksums.

    SAEs from elsewhere may be of any.

    Args:
        inputs: content of what the run is made from.

    Raises:
        DamagedFileError: a file was changed, or it is another SAE; the message says how to have the right one.
        FileExistsError: it was made from another model, text or library than the run.
    """
    expected = folders.expected(folder)
    if expected is None:
        return
    try:
        check_sae(folder, expected)
    except DamagedFileError as error:
        raise DamagedFileError(f"{error}; {_how_to_have(folder, phase, folders)}") from error
    if (folder / LINEAGE).is_file():
        check_inputs(f"{folder} was", read_json_object(folder / LINEAGE).get(INPUTS, {}), inputs)


def check_kept(saes: Iterable[Path], phase: str, folders: PhaseFolders) -> None:
    """See that SAEs of a phase which were scored before are there whole, or were deleted whole.

    Raises:
        FileNotFoundError: a folder is there, and not whole.
    """
    for folder in saes:
        if folder.is_dir():
            check_present(folder, phase, folders)


def check_starts(plans: Iterable[SaePlan], folders: PhaseFolders, own: PhaseFolders, inputs: Mapping[str, str]) -> None:
    """See that the SAEs from which transfers start are there and their own; one that diverged is nobody's source.

    Args:
        folders: of the transfers.
        own: of the run's scratch SAEs.
        inputs: as of `check_own`.
    """
    for plan in plans:
        if plan.source_arm == OWN_SOURCE:
            check_sources([plan], folders)
        elif plan.source_arm is not None and diverged_at(folder := source_folder(plan, folders)) is None:
            check_present(folder, "scratch", own, f"source of {plan.name}: ")
            check_own(folder, "scratch", own, inputs)


def _how_to_have(folder: Path, phase: str, folders: PhaseFolders) -> str:
    """How to have an SAE of a phase that is not there."""
    if (step := diverged_at(folder)) is not None:
        return f"its training diverged at step {step}, and it has no checkpoints from there on"
    logs = logs_of(folders.saes.parent)
    if not logs.has(phase):
        return f"train it with `saelib.train_phase(experiment, {phase!r})`"
    return (
        f"delete {logs.place(phase)} and the folders {folders.resume}*, and train the phase {phase} again: it gives "
        "the same SAEs"
    )
