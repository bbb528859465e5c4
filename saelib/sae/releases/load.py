"""Released SAEs for reading: those of the paper's authors, and anybody's that SAELens reads and that compute alike.

In: an arm, a layer and a number of tokens; or a release and the name of an SAE in it. Out: a `SparseAutoencoder` whose
`lineage` says where it comes from (`released`): repository, folder and commit.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.run.reading import read_json_object
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import CONFIG, COPY, load_sae
from saelib.sae.releases.hub import commit_of, fetched_folder
from saelib.sae.releases.layout import REPOSITORY, published_sae
from saelib.sae.releases.local import local_folder
from saelib.sae.releases.table import place_of
from saelib.sae.sae_lens import describe

if TYPE_CHECKING:
    import torch

RELEASED = "released"  # in a lineage: repository, folder and commit


def load_published(
    arm: str,
    layer: int,
    tokens: str | int | None = None,
    revision: str | None = None,
    device: "str | torch.device" = "cpu",
    repository: str = REPOSITORY,
) -> SparseAutoencoder:
    """An SAE of the paper's authors: `load_published("forward", layer=3, tokens="500M")`.

    Args:
        arm: "scratch" ("no transfer" in the paper), "forward" or "backward".
        layer: whose residual stream it reads; a forward transfer has its source in the layer before.
        tokens: "100M", "200M", ...; the end of training if not given.
        revision: branch, tag or commit of the repository; the main branch if not given.
        repository: another one of the same layout.

    Returns:
        Its `lineage` has what `PublishedSae.lineage` knows, what its config says of model and text, and `released`.

    Raises:
        FileNotFoundError: it is not in the hub's cache and cannot be fetched.
        ValueError: nothing of this name was released; or the folder holds an SAE of another layer, or one that this
            library would compute differently.
        DamagedFileError: a file is not what was fetched.
    """
    one = published_sae(arm, layer, tokens)
    commit = commit_of(repository, revision)
    folder = fetched_folder(repository, one.folder, commit)
    sae = load_sae(folder, device)
    if (says := sae.lineage.get("sae_layer", layer)) != layer:
        raise ValueError(f"{folder / CONFIG}: hook_name says layer {says}, and the folder {one.folder} layer {layer}")
    sae.lineage |= one.lineage | {RELEASED: _released(repository, one.folder, commit)}
    return sae


def load_release(
    release: str | Path,
    sae_id: str = "",
    revision: str | None = None,
    table: Path | str | None = None,
    device: "str | torch.device" = "cpu",
) -> SparseAutoencoder:
    """An SAE by SAELens's names: `load_release("gpt2-small-res-jb", "blocks.8.hook_resid_pre")`.

    Args:
        release: a name out of SAELens's list; a repository on the hub, `owner/name`; or a folder on this machine.
        sae_id: of the SAE in that list, or its folder in the repository or folder.
        revision: branch, tag or commit of the repository.
        table: SAELens's list (`pretrained_saes.yaml`); None takes that of an installed `sae_lens`.

    Raises:
        FileNotFoundError: it is not there, or cannot be fetched; or `table` is no file.
        ValueError: `release` or `sae_id` is no name; the list has no such name; or the folder holds an SAE that this
            library would compute differently: the message names the key and its value.
        DamagedFileError: a file is not what was written or fetched.
    """
    if (local := local_folder(release, sae_id)) is not None:
        return load_sae(local, device)
    release = str(release)
    place = place_of(release, sae_id, table)
    commit = commit_of(place.repository, revision)
    folder = fetched_folder(place.repository, place.folder, commit)
    lineage = _overridden(folder / CONFIG, place.overrides, release)
    sae = load_sae(folder, device)
    sae.lineage |= lineage | {RELEASED: _released(place.repository, place.folder, commit)}
    return sae


def _overridden(path: Path, overrides: Mapping[str, Any], release: str) -> dict[str, Any]:
    """What an SAE's config says of model and text with what SAELens's list says in its place.

    Raises:
        ValueError: with that it would be another function; names the key.
    """
    if not overrides:
        return {}
    own = read_json_object(path, COPY)
    try:
        plain, other = describe(own), describe(_without(own, overrides) | dict(overrides))
    except ValueError as error:
        raise ValueError(f"release {release}, {path.parent.name}, as SAELens's list has it: {error}") from None
    if plain[:4] != other[:4]:
        raise ValueError(
            f"release {release}, {path.parent.name}: SAELens's list changes what its config computes, from {plain[:4]} "
            f"to {other[:4]} (architecture, d_in, d_sae, apply_b_dec_to_input); such SAEs are not read here"
        )
    return other.lineage


def _without(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what is overridden, in its metadata too: both values would contradict each other."""
    kept = {name: value for name, value in config.items() if name not in overrides}
    if isinstance(metadata := kept.get("metadata"), dict):
        kept["metadata"] = {name: value for name, value in metadata.items() if name not in overrides}
    return kept


def _released(repository: str, folder: str, commit: str) -> dict[str, str]:
    return {"repository": repository, "folder": folder, "commit": commit}
