"""GGUF files that are whole, and every way of not being so, each told by the file's name."""

import random
from pathlib import Path

import gguf
import numpy as np
import pytest

from saelib.language.gguf.llama import llama_config, llama_weights
from saelib.language.gguf.reading import open_gguf
from saelib.run.reading import DamagedFileError
from tests.helpers.gguf_files import llama, tensors_of, write_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("whole") / "model.gguf").read_bytes()


def test_settings_and_tensors_are_those_that_were_written(tmp_path: Path) -> None:
    model = llama()
    file = open_gguf(write_gguf(tmp_path / "model.gguf", model))
    assert file.get("general.architecture", str) == "llama"
    assert file.get("llama.block_count", int) == 2
    assert file.get("no.such.key", int, 7) == 7
    assert file.shape("blk.1.ffn_up.weight") == (64, 32)
    assert np.array_equal(file.numbers("token_embd.weight"), model.model.embed_tokens.weight.detach().numpy())
    assert file.types == {"F32": 20}


def test_a_setting_that_is_missing_or_of_another_type_is_named(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", llama__block_count="two", without=["llama.embedding_length"])
    file = open_gguf(path)
    with pytest.raises(DamagedFileError, match=r"model\.gguf: llama\.block_count is 'two', not of type int; download"):
        file.get("llama.block_count", int)
    with pytest.raises(DamagedFileError, match=r"model\.gguf lacks llama\.embedding_length; download"):
        file.get("llama.embedding_length", int)


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "cut.gguf"
    for length in [0, 3, 4, 7, 8, 23, *random.Random(0).sample(range(len(whole)), 12), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.gguf"):
            file = open_gguf(path)
            dict(llama_weights(file, llama_config(file)))


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"PK\x03\x04" + bytes(8), r"no GGUF file: it begins with b'PK\\x03\\x04', not with b'GGUF'"),
        (b"GGUF\0\0\0\3", "for big-endian machines"),
        (b"GGUF\1\0\0\0", "version 1, and versions 2 and 3 are read"),
        (b"GGUF\4\0\0\0", "version 4"),
    ],
)
def test_other_files_are_told_by_their_beginning(tmp_path: Path, whole: bytes, start: bytes, told: str) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(start + whole[len(start) :])
    with pytest.raises(ValueError, match=rf"other\.gguf .*{told}"):
        open_gguf(path)


def test_version_2_is_read_as_version_3_is(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "2.gguf"
    path.write_bytes(b"GGUF\2\0\0\0" + whole[8:])
    assert open_gguf(path).types == {"F32": 20}


def test_a_file_written_for_big_endian_machines_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "big.gguf", endian=gguf.GGUFEndian.BIG)
    with pytest.raises(ValueError, match="big-endian"):
        open_gguf(path)


def test_a_type_of_numbers_that_nobody_knows_is_refused(tmp_path: Path, whole: bytes) -> None:
    name = b"output_norm.weight"
    place = whole.index(name) + len(name) + 4 + 8  # behind the number of dimensions, and the one dimension
    path = tmp_path / "unknown.gguf"
    path.write_bytes(whole[:place] + b"\xf0\0\0\0" + whole[place + 4 :])
    with pytest.raises(
        DamagedFileError, match=r"unknown\.gguf is no whole GGUF file \(.*240.* is not a valid.*another quantisation"
    ):
        open_gguf(path)


def test_a_type_that_cannot_be_dequantised_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", tensors={"output_norm.weight": np.ones(32, np.float64)})
    with pytest.raises(ValueError, match=r"output_norm\.weight is of type F64.*such as Q8_0"):
        open_gguf(path).numbers("output_norm.weight")


def test_a_length_that_is_none_is_refused_before_it_fills_the_memory(tmp_path: Path, whole: bytes) -> None:
    key = b"tokenizer.ggml.token_type"
    place = whole.index(key) + len(key) + 4 + 4  # behind the types of the setting and of its entries
    path = tmp_path / "long.gguf"
    path.write_bytes(whole[:place] + (2**40 + 320).to_bytes(8, "little") + whole[place + 8 :])
    with pytest.raises(
        DamagedFileError, match=r"long\.gguf is no whole GGUF file \(a setting .* 1,099,511,628,096 ent"
    ):
        open_gguf(path)


def test_a_file_whose_end_is_zeros_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "zeros.gguf"
    path.write_bytes(whole[:-20_000] + bytes(20_000))
    file = open_gguf(path)
    with pytest.raises(DamagedFileError, match=r"all numbers of tensor blk\.1\.\w+_norm\.weight are 0; download"):
        dict(llama_weights(file, llama_config(file)))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: float) -> None:
    weight = tensors_of(llama())["blk.1.attn_k.weight"].copy()
    weight[3, 5] = number
    file = open_gguf(write_gguf(tmp_path / "model.gguf", tensors={"blk.1.attn_k.weight": weight}))
    with pytest.raises(DamagedFileError, match=r"numbers of tensor blk\.1\.attn_k\.weight are NaN or infinite"):
        dict(llama_weights(file, llama_config(file)))
