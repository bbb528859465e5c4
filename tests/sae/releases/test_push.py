"""SAEs sent to a hub on loopback, and read from there again; a dry run sends nothing."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from saelib.language.hub import HubError
from saelib.run.reading import DamagedFileError
from saelib.sae.folder import save_sae
from saelib.sae.releases.hub import is_repository
from saelib.sae.releases.load import load_release
from saelib.sae.releases.push import Upload, public_name, send, upload_of
from tests.helpers.release_hub import serve_releases
from tests.helpers.small_releases import known_sae, save_as_authors

CARD = "---\nlicense: mit\n---\n\n# Two SAEs\n"
X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    folders = {}
    for layer in (2, 3):
        metadata = {"model_name": "/home/me/models/small", "hook_name": f"blocks.{layer}.hook_resid_post",
                    "dataset_path": "owner/text"}  # fmt: skip
        folders[f"forward/L{layer}/seed0"] = tmp_path / f"L{layer}"
        save_sae(known_sae(seed=layer), tmp_path / f"L{layer}", metadata, {"arm": "forward", "sae_layer": layer})
    return upload_of("me/saes", folders, CARD)


def test_a_dry_run_says_what_would_be_sent(upload: Upload) -> None:
    shown = str(upload)
    assert shown.startswith("me/saes: 7 files, 0.0") and "nothing was sent; dry_run=False sends it" in shown
    assert "forward/L2/seed0/sae_weights.safetensors (0.00 MB)" in shown
    assert upload.card == CARD and upload.commit is None
    assert upload.size == sum(len(content) if isinstance(content, bytes) else content.stat().st_size
                              for content in upload.files.values())  # fmt: skip


def test_no_folder_of_this_machine_is_sent(upload: Upload) -> None:
    sent = upload.files["forward/L2/seed0/cfg.json"]
    assert isinstance(sent, bytes)
    config = json.loads(sent)
    assert (config["metadata"]["model_name"], config["metadata"]["dataset_path"]) == ("small", "owner/text")
    assert not any(b"/home" in content for content in upload.files.values() if isinstance(content, bytes))


@pytest.mark.parametrize(
    ("name", "public"),
    [("/home/me/a.gguf", "a.gguf"), ("~/texts/", "texts"), ("C:\\models\\m", "m"), ("./m", "m"), ("a/b/c", "c"),
     ("owner/name", "owner/name"), ("embedded", "embedded"), ("blocks.3.hook_resid_post", "blocks.3.hook_resid_post")],
)  # fmt: skip
def test_paths_are_cut_and_names_stay(name: str, public: str) -> None:
    assert public_name(name) == public


def test_the_same_files_in_a_folder_are_read_back(upload: Upload, tmp_path: Path) -> None:
    folder = upload.write(tmp_path / "written")
    assert (folder / "README.md").read_text() == CARD
    assert torch.equal(load_release(str(folder), "forward/L3/seed0")(X), known_sae(seed=3)(X))


def test_what_stands_in_a_folder_is_not_written_over(upload: Upload, tmp_path: Path) -> None:
    folder, file = tmp_path / "mine", tmp_path / "notes.txt"
    folder.mkdir()
    upload.write(folder)  # empty
    changed = Upload(upload.repository, {**upload.files, "README.md": b"# Another page\n"})
    assert (changed.write(folder) / "README.md").read_text() == "# Another page\n"  # what was written here before
    (folder / "thesis.tex").write_text("years of work")
    file.write_text("mine")
    for place in (folder, file, tmp_path / "L2"):
        with pytest.raises(FileExistsError, match=rf"{place.name} .*; name a folder that is not there"):
            upload.write(place)
    (folder / "README.md").rename(tmp_path / "README.md")
    shutil.rmtree(folder / "forward")
    (folder / "thesis.tex").rename(folder / "README.md")  # alone, it is no upload
    with pytest.raises(FileExistsError):
        upload.write(folder)
    assert (folder / "README.md").read_text() == "years of work"
    assert file.read_text() == "mine"
    assert load_release(str(tmp_path / "L2"))(X).equal(known_sae(seed=2)(X))


def test_an_earlier_upload_of_other_saes_stays(upload: Upload, tmp_path: Path) -> None:
    folder = upload.write(tmp_path / "written")
    with pytest.raises(FileExistsError, match="name a folder that is not there"):
        upload_of("me/saes", {"forward/L2/seed0": tmp_path / "L2"}, CARD).write(folder)
    assert (folder / "forward" / "L3" / "seed0" / "cfg.json").is_file()


def test_an_sae_of_others_is_sent_only_if_it_can_be_read(tmp_path: Path) -> None:
    folder = save_as_authors(tmp_path / "authors", known_sae(), 3)
    assert upload_of("me/saes", {"L3": folder}, CARD).files["L3/sae_weights.safetensors"]
    save_as_authors(folder, known_sae(), 3, 0.5)
    with pytest.raises(ValueError, match="thresholds up to 0.5"):
        upload_of("me/saes", {"L3": folder}, CARD)
    (folder / "sae_weights.safetensors").write_bytes(b"cut off")
    with pytest.raises(DamagedFileError, match="sae_weights.safetensors"):
        upload_of("me/saes", {"L3": folder}, CARD)


@pytest.mark.enable_socket
def test_what_is_sent_is_fetched_again_and_not_sent_twice(upload: Upload, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("saelib.sae.releases.push.FILES", 5)
    with serve_releases(tmp_path / "cache", monkeypatch) as hub:
        sent = send(upload)
        assert sent.commit == hub.commits[-1] and f"sent as commit {sent.commit}" in str(sent)
        assert hub.private == {"me/saes": True}
        assert [len(files) for files in hub.sent] == [5, 2]
        assert hub.sent[-1][-1] == "README.md"  # the page comes when all is there
        assert hub.repositories["me/saes"].keys() == upload.files.keys()
        sae = load_release("me/saes", "forward/L3/seed0")
        assert torch.equal(sae(X), known_sae(seed=3)(X))
        assert sae.lineage["released"] == {"repository": "me/saes", "folder": "forward/L3/seed0", "commit": sent.commit}
        assert send(upload).commit == sent.commit and len(hub.sent) == 2
        with pytest.raises(
            FileNotFoundError, match="SAEs me/saes: there is no forward/L9/seed0/cfg.json; what is read"
        ):
            load_release("me/saes", "forward/L9/seed0")


@pytest.mark.enable_socket
def test_a_hub_that_refuses_is_quoted_without_the_token(upload: Upload, tmp_path: Path, monkeypatch) -> None:
    with serve_releases(tmp_path / "cache", monkeypatch) as hub:
        monkeypatch.setenv("HF_TOKEN", "hf_another0123456789")
        with pytest.raises(HubError, match="upload to me/saes: the hub did not take it .*403.*log in by `hf auth login`"
                           ) as caught:  # fmt: skip
            send(upload)
        assert "hf_another" not in f"{caught.value}{caught.value.__cause__!r}"
        assert hub.repositories == {}


def test_what_cannot_be_sent_is_refused_before(upload: Upload, tmp_path: Path) -> None:
    folder = tmp_path / "L2"
    with pytest.raises(ValueError, match="repository 'saes': a name on the hub is owner/name"):
        upload_of("saes", {"a": folder}, CARD)
    with pytest.raises(ValueError, match="there is no SAE to send"):
        upload_of("me/saes", {}, CARD)
    (folder / "lineage.json").write_text("{}")
    with pytest.raises(DamagedFileError, match="lineage.json is not what"):
        upload_of("me/saes", {"a": folder}, CARD)
    with pytest.raises(FileNotFoundError, match="absent is not an SAE folder"):
        upload_of("me/saes", {"a": tmp_path / "absent"}, CARD)


@pytest.mark.parametrize(
    "place",
    ["", ".", "./", "/a", "..", "../a", "a/../b", "a\n", "a\x00b", "a\\b", ".git", "a/.git/b", ".gitattributes",
     "README.md", "README.md/a", "a/cfg.json"],
)  # fmt: skip
def test_a_place_that_is_no_folder_of_a_repository_is_refused(tmp_path: Path, upload: Upload, place: str) -> None:
    with pytest.raises(ValueError, match=f"place {re.escape(repr(place))} is none inside a repository"):
        upload_of("me/saes", {place: tmp_path / "L2"}, CARD)


def test_a_place_is_written_in_one_way_and_held_by_one_sae(tmp_path: Path, upload: Upload) -> None:
    first, second = tmp_path / "L2", tmp_path / "L3"
    files = upload_of("me/saes", {"./a//b/": first}, CARD).files
    assert set(files) == {"README.md", "a/b/cfg.json", "a/b/lineage.json", "a/b/sae_weights.safetensors"}
    with pytest.raises(ValueError, match="place './a' is taken by another SAE"):
        upload_of("me/saes", {"a": first, "./a": second}, CARD)


@pytest.mark.parametrize("name", ["../..", "a/..", "-/-", "./a", "a/.", "a/-b", "a.../b.", "a/b..c", "a/b--c",
                                  "a/b.git", "a", "a/b/c", "a/b\n", "a/" + 97 * "b", ""])  # fmt: skip
def test_what_the_hub_takes_for_no_name_is_none(name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    assert not is_repository(name)
    if name.count("/") == 1 and not name.endswith("\n"):  # the hub's own rule knows names without an owner too
        with pytest.raises(HFValidationError):
            validate_repo_id(name)


@pytest.mark.parametrize("name", ["a/b", "jbloom/GPT2-Small-SAEs-Reformatted", "me_2/saes_", "m.e/v1.0", "0/1"])
def test_what_the_hub_takes_for_a_name_is_one(name: str) -> None:
    assert is_repository(name)
