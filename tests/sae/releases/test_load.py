"""Released SAEs out of a hub cache, a list of releases, or a folder: the same function, or refused by name."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml

from saelib.run.reading import DamagedFileError
from saelib.sae.folder import load_sae, save_sae
from saelib.sae.releases.layout import REPOSITORY
from saelib.sae.releases.load import load_published, load_release
from saelib.sae.releases.table import place_of
from tests.helpers.faulty_hub import serve_hub
from tests.helpers.release_hub import serve_releases
from tests.helpers.small_models import COMMIT
from tests.helpers.small_releases import cache_published, cache_repository, known_sae, released, save_as_authors

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
RELEASES = {
    "mine": {"repo_id": "some/saes", "model": "m", "conversion_func": None,
             "saes": [{"id": "three", "path": "folders/L3"}, {"id": "L4"}]},
    "loaded": {"repo_id": "some/saes", "model": "m", "config_overrides": {"dataset_path": "other/text"},
               "saes": [{"id": "three", "path": "folders/L3"}]},
    "scaled": {"repo_id": "some/saes", "model": "m",
               "config_overrides": {"normalize_activations": "constant_norm_rescale"},
               "saes": [{"id": "three", "path": "folders/L3"}]},
    "shifted": {"repo_id": "some/saes", "model": "m", "config_overrides": {"apply_b_dec_to_input": True},
                "saes": [{"id": "three", "path": "folders/L3"}]},
    "gemma": {"repo_id": "google/gemma-scope", "model": "gemma", "conversion_func": "gemma_2",
              "saes": [{"id": "three", "path": "layer_3"}]},
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pretrained_saes.yaml"
    path.write_text(yaml.safe_dump(RELEASES))
    return path


def test_an_sae_of_the_authors_is_read_with_where_it_comes_from(hub: Path) -> None:
    cache_published(hub)
    sae = load_published("forward", layer=1, tokens="300M")
    own = released("forward", 1, 300_003_328)
    x = torch.randn(5, 32)
    assert torch.equal(sae(x), own(x))
    assert sae.lineage["released"] == {"repository": REPOSITORY, "folder": "forward/L1/300M", "commit": COMMIT}
    told = {name: sae.lineage[name] for name in ("arm", "sae_layer", "source_layer", "tokens", "source_tokens")}
    assert told == {"arm": "forward", "sae_layer": 1, "source_layer": 0, "tokens": 300_003_328,
                    "source_tokens": 999_997_440}  # fmt: skip
    assert sae.lineage["model_name"] == "pythia-160m-deduped"
    assert "forward" in repr(sae)


def test_what_is_not_in_the_cache_is_named_with_the_remedy(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"SAEs {REPOSITORY}: not in the Hugging Face cache.*hf download"):
        load_published("forward", layer=1)
    shutil.rmtree(cache_published(hub) / "forward" / "L1" / "500M")
    with pytest.raises(FileNotFoundError, match=f"forward/L1/500M/cfg.json is not in the.*hf download {REPOSITORY} "
                       f"forward/L1/500M/cfg.json --revision {COMMIT}"):  # fmt: skip
        load_published("forward", layer=1)
    with pytest.raises(FileNotFoundError, match="at revision v2: not in the Hugging Face cache"):
        load_published("forward", layer=1, revision="v2")
    assert load_published("scratch", layer=1, revision=COMMIT).lineage["tokens"] == 999_997_440


@pytest.mark.parametrize(
    ("threshold", "changes", "words"),
    [
        (0.5, {}, "thresholds up to 0.5"),
        (0.0, {"activation_fn_str": "topk"}, "activation_fn_str is 'topk'"),
        (0.0, {"normalize_activations": "layer_norm"}, "normalize_activations is 'layer_norm'"),
        (0.0, {"hook_name": "blocks.2.hook_resid_post", "hook_layer": 2}, "says layer 2, and the folder .* layer 1"),
        (0.0, {"hook_name": "blocks.1.hook_mlp_out"}, "only SAEs of residual streams"),
    ],
)
def test_what_would_be_computed_differently_is_refused_by_name(hub: Path, threshold, changes, words: str) -> None:
    folder = cache_published(hub) / "forward" / "L1" / "500M"
    save_as_authors(folder, known_sae(32, 64), 1, threshold, **changes)
    with pytest.raises(ValueError, match=words):
        load_published("forward", layer=1)


def test_a_release_is_found_by_the_list_as_its_own_repository_or_as_a_folder(hub: Path, table: Path) -> None:
    snapshot, sae = cache_repository(hub, "some/saes"), known_sae()
    save_as_authors(snapshot / "folders" / "L3", sae, 3)
    by_list = load_release("mine", "three", table=table)
    by_name = load_release("some/saes", "folders/L3")
    by_folder = load_release(str(snapshot), "folders/L3")
    for one in (by_list, by_name, by_folder):
        assert torch.equal(one(X), sae(X))
    assert by_list.lineage == by_name.lineage
    assert by_list.lineage["released"] == {"repository": "some/saes", "folder": "folders/L3", "commit": COMMIT}
    assert load_release(str(snapshot / "folders" / "L3"))(X).equal(sae(X))
    assert load_release("loaded", "three", table=table).lineage["dataset_path"] == "other/text"


def test_a_repository_that_is_one_sae_has_no_folder(hub: Path) -> None:
    save_as_authors(cache_repository(hub, "some/one"), known_sae(), 3)
    assert load_release("some/one").lineage["released"]["folder"] == ""


@pytest.mark.parametrize(
    ("release", "sae_id", "words"),
    [
        ("mine", "five", "sae_id='five': release mine has three, L4"),
        ("unknown", "three", "release='unknown': .*pretrained_saes.yaml does not name it; give table="),
        ("gemma", "three", "conversion_func 'gemma_2'"),
        ("scaled", "three", "release scaled, .*normalize_activations is 'constant_norm_rescale'"),
        ("shifted", "three", "SAELens's list changes what its config computes"),
        ("some/saes", "../L3", "folder '../L3' is none inside a repository"),
        ("some/saes", "L3\n", r"folder 'L3\\n' is none inside a repository"),
    ],
)
def test_what_the_list_does_not_have_or_changes_is_refused(hub, table: Path, release: str, sae_id: str, words) -> None:
    save_as_authors(cache_repository(hub, "some/saes") / "folders" / "L3", known_sae(), 3)
    with pytest.raises(ValueError, match=words):
        load_release(release, sae_id, table=table)


def test_lists_of_older_versions_are_read_and_damaged_ones_named(tmp_path: Path) -> None:
    older, damaged = tmp_path / "older.yaml", tmp_path / "damaged.yaml"
    older.write_text(yaml.safe_dump({"SAE_LOOKUP": RELEASES}))
    assert place_of("mine", "L4", older) == ("some/saes", "L4", {})
    for content in ("mine: [", "mine: {repo_id: x}", "- mine"):
        damaged.write_text(content)
        with pytest.raises(DamagedFileError, match="damaged.yaml is no list of releases"):
            place_of("mine", "L4", damaged)


@pytest.mark.parametrize(("name", "words"), [("absent.yaml", "there is no such file"), ("folder", "is a folder")])
def test_a_list_that_is_no_file_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"table='.*{name}': {words}; give .*pretrained_saes.yaml"):
        load_release("mine", "L4", table=str(tmp_path / name))


def test_a_known_release_needs_no_list() -> None:
    place = place_of("gpt2-small-res-jb", "blocks.8.hook_resid_pre")
    assert place == ("jbloom/GPT2-Small-SAEs-Reformatted", "blocks.8.hook_resid_pre", {})


def test_a_file_of_the_cache_that_was_changed_is_refused(hub: Path) -> None:
    snapshot = cache_repository(hub, "some/saes")
    weights = save_as_authors(snapshot / "L3", known_sae(), 3) / "sae_weights.safetensors"
    blob = hub / "models--some--saes" / "blobs" / ("0" * 64)  # the cache names a large file by its SHA-256
    blob.parent.mkdir()
    weights.rename(blob)
    weights.symlink_to(blob)
    with pytest.raises(DamagedFileError, match="was changed since it was fetched; run `hf download some/saes L3/"):
        load_release("some/saes", "L3")


def test_a_folder_of_our_own_is_read_as_everywhere(tmp_path: Path) -> None:
    save_sae(known_sae(), tmp_path / "mine", {"hook_name": "blocks.2.hook_resid_post"}, {"arm": "scratch"})
    assert load_release(str(tmp_path / "mine")).lineage == load_sae(tmp_path / "mine").lineage
    (tmp_path / "mine" / "cfg.json").write_text(json.dumps({"architecture": "gated"}))
    with pytest.raises(DamagedFileError, match="cfg.json is not what manifest.json says"):
        load_release(str(tmp_path / "mine"))


@pytest.mark.parametrize("release", ["{folder}/no", "./no", "../no", "~/no/such", "a/b/c", "C:\\saes"])
def test_a_path_where_nothing_is_is_no_name(tmp_path: Path, release: str) -> None:
    with pytest.raises(FileNotFoundError, match="release='.*': there is no such folder"):
        load_release(release.format(folder=tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_release(Path(release.format(folder=tmp_path)))


def test_what_can_be_no_folder_is_said_so(tmp_path: Path) -> None:
    config = save_as_authors(tmp_path / "made", known_sae(), 3) / "cfg.json"
    with pytest.raises(FileNotFoundError, match="cfg.json': is a file; give the folder that it is in"):
        load_release(config)
    with pytest.raises(FileNotFoundError, match="cannot be a folder .File name too long"):
        load_release("x" * 5000)
    with pytest.raises(FileNotFoundError, match="cannot be a folder .Could not determine home"):
        load_release("~nobody-of-this-name/saes")


@pytest.mark.parametrize("release", ["", " ", None, 5, b"saes", ["saes"]])
def test_a_release_is_a_name_or_a_path(release: Any) -> None:
    with pytest.raises(ValueError, match="release=.*: should be a name of SAELens's list, a repository"):
        load_release(release)


@pytest.mark.parametrize("sae_id", ["../other", "/etc", "a/../../b"])
def test_an_sae_is_inside_its_folder(tmp_path: Path, sae_id: str) -> None:
    with pytest.raises(ValueError, match=f"sae_id='{sae_id}': is no folder inside {tmp_path}"):
        load_release(tmp_path, sae_id)


@pytest.mark.parametrize("sae_id", [None, 5])
def test_an_sae_has_a_name(tmp_path: Path, sae_id: Any) -> None:
    for release in (tmp_path, "some/saes"):
        with pytest.raises(ValueError, match="sae_id=.*: should be the name of an SAE, or its folder in the release"):
            load_release(release, sae_id)


@pytest.mark.parametrize("revision", [5, "", b"main"])
def test_a_revision_is_a_name(revision: Any) -> None:
    with pytest.raises(ValueError, match="revision=.*: should be a branch, tag or commit, or None"):
        load_published("scratch", 3, "500M", revision=revision)


@pytest.mark.enable_socket
def test_a_hub_that_says_nothing_is_an_error_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saelib.language.hub.SILENT_SECONDS", 0.3)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    with serve_releases(tmp_path, monkeypatch) as hub, serve_hub(faults=["stall"] * 99) as stalled:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", stalled.address)
        began = time.monotonic()
        with pytest.raises(FileNotFoundError, match="SAEs some/saes: not in the .*timed out.*hf download some/saes`"):
            load_release("some/saes", "L3")
        assert time.monotonic() - began < 5
        assert not hub.sent


@pytest.mark.enable_socket
def test_what_was_fetched_once_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_as_authors(tmp_path / "made", known_sae(), 3)
    with serve_releases(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["some/saes"] = {f"L3/{path.name}": path.read_bytes() for path in folder.iterdir()}
        hub.commits.append("a" * 40)
        first = load_release("some/saes", "L3")
        hub.repositories.clear()
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        huggingface_hub.close_session()
        again = load_release("some/saes", "L3")
    assert first.lineage == again.lineage and torch.equal(first(X), again(X))
    assert first.lineage["released"]["commit"] == "a" * 40
