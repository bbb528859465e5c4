"""The folder made from a GGUF file: once, whole or not at all, and never believed when it is not what was written."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from saelib.language.gguf import folder as made
from saelib.language.gguf.folder import gguf_folder, gguf_record
from saelib.language.loading import load_language_model, load_tokenizer
from saelib.language.saved import hash_of_files, weight_files
from saelib.run.files import PROJECT, sha256_of_file
from tests.helpers.gguf_files import llama, write_gguf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "model.gguf", general__name="A small one", general__license="mit")


def test_the_record_says_what_it_was_made_from(path: Path, cache: Path) -> None:
    folder = gguf_folder(path)
    record = gguf_record(path)
    assert [found.name for found in cache.glob("gguf-*")] == [folder.name]
    assert record["source"] == "model.gguf" and record["source_sha256"] == sha256_of_file(path)
    assert (record["name"], record["licence"]) == ("A small one", "mit")
    assert (record["architecture"], record["types"]) == ("llama", {"F32": 20})
    assert load_language_model(str(path), "cpu").revision == record["folder_sha256"]


def test_it_is_made_once_and_found_again(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = gguf_folder(path)
    monkeypatch.setattr(made, "open_gguf", None)  # what cannot be called is not called
    assert gguf_folder(path) == folder
    moved = path.rename(tmp_path / "moved.gguf")
    assert gguf_folder(moved) == folder
    assert len(load_tokenizer(str(moved))) == 320


def test_another_file_of_the_same_name_is_another_model(path: Path) -> None:
    first = load_language_model(str(path), "cpu")
    write_gguf(path, llama())
    second = load_language_model(str(path), "cpu")
    assert first.revision != second.revision


def lose(folder: Path) -> None:
    weight_files(folder)[-1].unlink()


def flip(folder: Path) -> None:
    weights = weight_files(folder)[0]
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def cut(folder: Path) -> None:
    record = folder / made.RECORD
    record.write_bytes(record.read_bytes()[:-9])


def other_words(folder: Path) -> None:
    record = folder / made.RECORD
    record.write_text(record.read_text().replace("mit", "gpl"))


def other_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ 'a lie' }}")


@pytest.mark.parametrize("damage", [lose, flip, cut, other_words, other_template])
def test_a_damaged_folder_is_made_again(path: Path, damage: Callable[[Path], None]) -> None:
    folder = gguf_folder(path)
    wanted = {found.name: found.read_bytes() for found in folder.iterdir()}
    damage(folder)
    with pytest.warns(UserWarning, match=r"gguf-\w+-1 is damaged and is made again"):
        assert gguf_folder(path) == folder
    assert {found.name: found.read_bytes() for found in folder.iterdir()} == wanted


def test_what_fails_half_way_leaves_nothing(path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(made, "_write_shard", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        gguf_folder(path)
    assert [found.name for found in cache.iterdir() if not found.name.endswith(".lock")] == []
    monkeypatch.undo()
    monkeypatch.setenv("SAELIB_RUNS", str(cache.parent))
    assert load_language_model(str(path), "cpu").n_layers == 2


def test_weights_are_written_a_part_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_language_model(str(path), "cpu").hugging_face.state_dict()
    shutil.rmtree(gguf_folder(path))
    monkeypatch.setattr(made, "SHARD_BYTES", 20_000)
    folder = gguf_folder(path)
    sizes = [found.stat().st_size for found in weight_files(folder)]
    assert len(sizes) > 3 and sorted(folder.glob("*.safetensors")) == weight_files(folder)
    found = load_language_model(str(path), "cpu").hugging_face.state_dict()
    assert all(np.array_equal(found[name], weight) for name, weight in whole.items())


def test_two_processes_at_once_make_it_once(path: Path, cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from saelib.language.gguf import folder as made; fill = made._fill; "
        "made._fill = lambda *given: (print('made'), fill(*given)); print(made.gguf_folder(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) for _ in range(2)]
    said = [process.communicate()[0].split() for process in both]
    assert sorted(chain(*said)) == sorted(["made", str(gguf_folder(path)), str(gguf_folder(path))])
    assert [found.name for found in cache.iterdir() if found.name.endswith(".temporary")] == []


def test_a_file_is_hashed_once_a_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, hashed = gguf_folder(path), []

    def counting(found: Path) -> str:
        hashed.append(found.name)
        return sha256_of_file(found)

    monkeypatch.setattr("saelib.language.saved._SETTLED", -1e9)  # files of this test are new
    monkeypatch.setattr("saelib.language.saved.sha256_of_file", counting)
    first = hash_of_files(gguf_folder(path))
    assert hash_of_files(gguf_folder(path)) == first
    assert sorted(hashed) == sorted(set(hashed)) and "model-00001.safetensors" in hashed
    (folder / "chat_template.jinja").write_text("{{ 'another' }}")
    assert hash_of_files(folder) != first


@pytest.mark.parametrize("name", ["none.gguf", "./none.GGUF", "~/none.gguf"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"GGUF file .*none\.(gguf|GGUF) does not exist"):
        load_language_model(name, "cpu")


def test_a_gguf_file_has_no_revision(path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.gguf' is on this machine and has no revision 'main'"):
        load_language_model(str(path), "cpu", revision="main")


def test_a_folder_whose_name_ends_so_is_a_folder(path: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(gguf_folder(path), tmp_path / "folder.gguf")
    assert load_language_model(str(folder), "cpu").n_layers == 2
