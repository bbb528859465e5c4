"""A run's SAEs for others: which of them, their scores beside them, as a repository on the Hugging Face Hub.

In: a finished run. Out: an `Upload`, with a page about them (`model_card`); it is sent only where that is asked for.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from saelib.sae.releases.hub import check_repository
from saelib.sae.releases.push import Upload, send, upload_of
from saelib.transfer.checks import has_diverged
from saelib.transfer.choices import PHASES, check_choice
from saelib.transfer.finished import check_own, check_present
from saelib.transfer.model_card import model_card
from saelib.transfer.released_config import PUBLISHED
from saelib.transfer.tables import read_results

if TYPE_CHECKING:
    from pathlib import Path

    from saelib.transfer.experiment import Experiment

KEYS = ["arm", "sae_layer", "seed", "tokens"]


def push_saes(
    experiment: "Experiment",
    repository: str,
    arms: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    tokens: int | None = None,
    dry_run: bool = True,
    private: bool = True,
    licence: str = "mit",
) -> Upload:
    """What a run's SAEs would be on the hub; with `dry_run=False` they are sent there.

    An SAE lies at `<arm>/L<layer>/seed<seed>`, at a checkpoint of your choice in a folder of that number of tokens
    below. Those that have diverged are left out.

    Args:
        repository: `owner/name`; it is made if it is not there.
        arms: "scratch", "forward", ...; all if not given.
        layers: all if not given.
        tokens: a checkpoint; the end of training if not given.
        private: whether a repository that is made now is seen by its owner alone.
        licence: under which you give them, as the hub abbreviates it.

    Returns:
        The files and the page; its `commit` is None where nothing was sent.

    Raises:
        ValueError: the run has no such SAEs, or they are not its own; or the repository's name is none.
        FileNotFoundError: the run is not finished, or an SAE is not there: the message says how to have it.
        DamagedFileError: an SAE is not what was trained there.
        HubError: the hub did not take them.
    """
    check_repository(repository)
    config = experiment.config
    if config.saes == PUBLISHED:
        raise ValueError(f"saes={PUBLISHED!r}: the SAEs of this run were released by others, and are on the hub")
    if config.stored:
        raise FileNotFoundError(f"{experiment.folder} holds no SAEs, only numbers; leave out stored=True to train them")
    saes = _chosen(experiment, arms, layers, tokens)
    folders = {row["place"]: _folder(experiment, row) for row in saes.to_dict("records")}
    experiment.load_inputs()  # the page says what they were made from
    upload = upload_of(repository, folders, model_card(experiment, repository, saes, licence))
    return upload if dry_run else send(upload, private)


def _chosen(
    experiment: "Experiment", arms: Sequence[str] | None, layers: Sequence[int] | None, tokens: int | None
) -> pd.DataFrame:
    """Their rows of the evaluation, each with its place."""
    whole = read_results(experiment).evaluation
    every = own = whole[(whole["sae_layer"] == whole["act_layer"]) & whole["arm"].isin(_phases(experiment))]
    for name, column, asked in (("arm", "arm", arms), ("layer", "sae_layer", layers)):
        if asked is None:
            continue
        if isinstance(asked, str) or not isinstance(asked, Collection):
            raise ValueError(f"{name}s={asked!r}: should be a list, [{asked!r}], or None for all")
        for one in asked:
            check_choice(name, one, every[column].tolist())
        own = own[own[column].isin(asked)]
    if tokens is not None:
        check_choice("tokens", tokens, every["tokens"].tolist())
    wanted = own.groupby("arm")["tokens"].transform("max") if tokens is None else tokens
    chosen = own[(own["tokens"] == wanted) & ~has_diverged(own)]
    if chosen.empty:
        raise ValueError(f"there is no SAE to send: arms={arms}, layers={layers}, without those that diverged")
    end = "" if tokens is None else f"/{tokens}"
    places = [f"{row.arm}/L{row.sae_layer}/seed{row.seed}{end}" for row in chosen[KEYS].itertuples()]
    return chosen.assign(place=places).reset_index(drop=True)


def _phases(experiment: "Experiment") -> dict[str, str]:
    """The phase that trains each arm."""
    return {plan.arm: name for name in PHASES for plan in experiment.plans(name)}


def _folder(experiment: "Experiment", row: "dict[str, object]") -> "Path":
    """Of an SAE, which is there and its own."""
    arm, layer, seed, tokens = (row[name] for name in KEYS)
    phase = _phases(experiment)[str(arm)]
    folders = experiment.phase_folders(phase)
    folder = folders.sae(str(arm), int(str(layer)), int(str(seed)), int(str(tokens)))
    check_present(folder, phase, folders)
    check_own(folder, phase, folders, experiment.inputs)
    return folder
