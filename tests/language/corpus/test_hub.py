"""The paper's own data set by its hub name, offline, against a hub cache that the tests make."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from saelib.language.corpus.hub import HubRows, load_hub_corpus
from saelib.language.corpus.rows import Corpus
from saelib.language.loading import load_language_model
from saelib.run.files import PROJECT
from saelib.run.reading import DamagedFileError
from tests.helpers.small_models import (
    COMMIT,
    CONTEXT,
    cache_hub_model,
    cache_hub_rows,
    random_rows,
    save_small_model,
)

MODEL = "EleutherAI/pythia-160m-deduped"
DATA = "NeelNanda/pile-small-tokenized-2b"
ROWS = random_rows(23)
FILES = {
    "data/train-00000-of-00002-4a058e9eb4389b04.parquet": ROWS[:10],
    "data/train-00001-of-00002-076b5130aef17e90.parquet": ROWS[10:],
}


def opened(hub: Path, context: int = CONTEXT, held_out: int = 3, files: dict[str, np.ndarray] = FILES) -> Corpus:
    if not list(hub.iterdir()):
        cache_hub_rows(hub, DATA, files)
    return load_hub_corpus(DATA, context, held_out)


def test_model_and_rows_load_in_a_process_of_their_own_without_a_network(tmp_path: Path) -> None:
    cache_hub_model(tmp_path / "hub", MODEL)
    cache_hub_rows(tmp_path / "hub", DATA, FILES)
    script = f"""
import json, socket
def refuse(*arguments, **options):
    raise SystemExit(f"reached for the network: {{arguments}}")
socket.socket.connect = socket.getaddrinfo = refuse
from saelib.language.corpus.load import load_corpus
from saelib.language.loading import load_language_model
import torch
model = load_language_model({MODEL!r}, "cpu")
corpus = load_corpus({DATA!r}, model.tokenizer, {CONTEXT}, 3, seed=0)
tokens = torch.from_numpy(corpus.train.take(0, 2)).long()
stream = model.residual_streams(tokens, [1])[0]
print(json.dumps([model.name, model.revision, corpus.sources, tokens.tolist(), stream.tolist()]))
"""
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT)}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    name, revision, sources, tokens, stream = json.loads(done.stdout.splitlines()[-1])
    assert (name, revision) == (MODEL, COMMIT)
    assert sources == {"data_set": DATA, "revision": COMMIT}
    assert np.array_equal(tokens, ROWS[3:5])
    local = load_language_model(str(save_small_model(tmp_path / "same")), "cpu")
    assert torch.allclose(local.residual_streams(torch.tensor(tokens), [1])[0], torch.tensor(stream), atol=1e-6)


def test_first_rows_are_held_out_and_training_rows_follow_in_order(hub: Path) -> None:
    corpus = opened(hub)
    assert np.array_equal(corpus.held_out, ROWS[:3])
    assert np.array_equal(corpus.train.take(0, 20), ROWS[3:])
    assert corpus.held_out.dtype == corpus.train.take(0, 1).dtype == np.int32
    assert corpus.train_tokens is None


@pytest.mark.parametrize("context", [CONTEXT, CONTEXT // 4])
def test_rows_depend_on_their_position_alone(hub: Path, context: int) -> None:
    held_out = 3
    rows = ROWS.reshape(-1, context)[held_out:]
    used = opened(hub, context, held_out).train
    for start, count in [(0, 3), (2, 9), (1, 1), (0, len(rows)), (len(rows) - 4, 9), (7, 0), (3 * len(rows) + 2, 5)]:
        expected = rows[np.arange(start, start + count) % len(rows)]
        assert np.array_equal(used.take(start, count), expected)
        assert np.array_equal(opened(hub, context, held_out).train.take(start, count), expected)


def test_only_files_that_are_read_are_fetched(hub: Path) -> None:
    snapshot = cache_hub_rows(hub, DATA, FILES)
    fetched: list[str] = []

    def fetch(file: str) -> Path:
        fetched.append(file)
        return snapshot / file

    rows = HubRows(DATA, sorted(FILES), fetch, CONTEXT)
    rows.take(0, 10)
    assert set(fetched) == {sorted(FILES)[0]}
    rows.take(10, 1)
    assert set(fetched) == set(FILES)


def test_hash_follows_rows_held_out_and_name(hub: Path, tmp_path_factory: pytest.TempPathFactory,
                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    first = opened(hub)
    assert first.sha256 == opened(hub).sha256 != opened(hub, held_out=4).sha256
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(other))
    assert opened(other, files={name: rows[::-1] for name, rows in FILES.items()}).sha256 != first.sha256


def test_a_revision_can_be_named(hub: Path) -> None:
    cache_hub_rows(hub, DATA, FILES)
    (hub / f"datasets--{DATA.replace('/', '--')}" / "refs" / "main").unlink()
    assert load_hub_corpus(f"{DATA}@{COMMIT}", CONTEXT, 3).sources["revision"] == COMMIT
    with pytest.raises(FileNotFoundError, match=f"corpus '{DATA}'.*Face cache"):
        load_hub_corpus(DATA, CONTEXT, 3)


def test_listing_kept_by_the_hub_library_is_used(hub: Path) -> None:
    """After one look at the hub all file names are known; a file that is missing then is named, not skipped."""
    lost = sorted(FILES)[1]
    snapshot = cache_hub_rows(hub, DATA, FILES)
    (snapshot / lost).unlink()
    from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

    entry = TreeCacheEntry(size=1, blob_id="0" * 40, lfs_sha256=None, lfs_size=None, xet_hash=None)
    write_tree_cache(str(snapshot.parents[1]), COMMIT, dict.fromkeys([*FILES, "README.md"], entry))
    train = load_hub_corpus(DATA, CONTEXT, 3).train
    assert np.array_equal(train.take(0, 7), ROWS[3:10])
    with pytest.raises(FileNotFoundError, match=f"{lost} is not in the Hugging Face cache.*--repo-type dataset"):
        train.take(0, 8)


def test_incomplete_cache_without_a_listing_is_refused(hub: Path) -> None:
    cache_hub_rows(hub, DATA, {name: rows for name, rows in FILES.items() if "00001-of" in name})
    with pytest.raises(ValueError, match=r"1 of 00002 files .* run once where there is a network"):
        load_hub_corpus(DATA, CONTEXT, 3)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"data/train.parquet": random_rows(5, 48)}, "rows of 48 tokens cannot .*context_length=64; set .*=48"),
        ({"data/train.parquet": random_rows(3)}, "has 3 rows of 64 tokens, of which 3 are held out; lower"),
        ({"a/train.parquet": ROWS, "b/train.parquet": ROWS}, r"several configurations \(a, b\)"),
        ({"data/readme.txt": ROWS}, "no parquet files.*@refs/convert/parquet"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(hub: Path, files: dict[str, np.ndarray], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        opened(hub, files=files)


def test_rows_of_unequal_length_are_refused(hub: Path) -> None:
    ragged = np.empty(12, object)
    ragged[:] = [np.arange(CONTEXT if row < 8 else 2 * CONTEXT) for row in range(12)]
    corpus = opened(hub, files={"data/train.parquet": ragged})  # the first row group is as it should be
    with pytest.raises(ValueError, match="rows of 128 and of 64 tokens; all rows must be equally long"):
        corpus.train.take(0, 12)


def test_column_of_another_name_is_refused(hub: Path) -> None:
    snapshot = cache_hub_rows(hub, DATA, FILES)
    file = snapshot / sorted(FILES)[0]
    parquet.write_table(parquet.read_table(file).rename_columns(["input_ids"]), file)
    with pytest.raises(ValueError, match="has no column 'tokens' but input_ids; .*then corpus='data/.*parquet:COLUMN'"):
        load_hub_corpus(DATA, CONTEXT, 3)


def with_ids(hub: Path, rows: np.ndarray, first: list[int] | None = None, bos: int | None = None) -> Corpus:
    cache_hub_rows(hub, DATA, {"data/train.parquet": rows})
    return load_hub_corpus(DATA, CONTEXT, 3, first or [], 320, bos)


@pytest.mark.parametrize("wrong", [320, -1, 2**32 + 5])
def test_ids_beyond_the_model_are_refused_where_they_are_taken(hub: Path, wrong: int) -> None:
    """In training rows too, and before a large id is folded into a small one."""
    rows = ROWS.astype(np.int64)
    rows[9, 5] = wrong
    snapshot = cache_hub_rows(hub, DATA, {"data/train.parquet": ROWS})
    table = pyarrow.table({"tokens": pyarrow.array(list(rows), pyarrow.list_(pyarrow.int64()))})
    parquet.write_table(table, snapshot / "data" / "train.parquet", row_group_size=4)
    train = load_hub_corpus(DATA, CONTEXT, 3, vocabulary=320).train
    assert np.array_equal(train.take(0, 5), ROWS[3:8])
    with pytest.raises(ValueError, match=f"train.parquet, holds token id {wrong}, the model knows 320 ids; take"):
        train.take(5, 1)


def test_missing_ids_are_refused(hub: Path) -> None:
    snapshot = cache_hub_rows(hub, DATA, {"data/train.parquet": ROWS})
    table = pyarrow.table({"tokens": [[1, None] * (CONTEXT // 2)] * 9})
    parquet.write_table(table, snapshot / "data" / "train.parquet")
    with pytest.raises(ValueError, match="rows in which a token id is missing"):
        load_hub_corpus(DATA, CONTEXT, 3)


def test_rows_get_what_they_begin_with_in_front_where_they_lack_it(hub: Path) -> None:
    rows = ROWS.copy()
    rows[::2, 0] = 7
    rows[1::2, 0] = 9
    corpus = with_ids(hub, rows, first=[7], bos=7)
    wanted = rows.copy()
    wanted[1::2] = np.concatenate([np.full((11, 1), 7), rows[1::2, :-1]], axis=1)
    assert np.array_equal(np.concatenate([corpus.held_out, corpus.train.take(0, 20)]), wanted)
    assert corpus.prepend_bos
    assert corpus.sha256 != load_hub_corpus(DATA, CONTEXT, 3).sha256


def test_rows_that_are_taken_as_they_are_say_whether_they_begin_with_bos(hub: Path) -> None:
    rows = ROWS.copy()
    rows[:, 0] = 7
    assert with_ids(hub, rows, bos=7).prepend_bos
    assert not load_hub_corpus(DATA, CONTEXT, 3, bos=8).prepend_bos
    assert not load_hub_corpus(DATA, CONTEXT, 3).prepend_bos
    assert not load_hub_corpus(DATA, CONTEXT // 2, 3, bos=7).prepend_bos  # every second half begins in the middle


@pytest.mark.parametrize("damage", ["cut", "empty", "half zero"])
def test_a_damaged_file_is_named_with_the_command_that_fetches_it_again(hub: Path, damage: str) -> None:
    path = cache_hub_rows(hub, DATA, {"data/train.parquet": ROWS}) / "data" / "train.parquet"
    content, half = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes({"cut": content[:half], "empty": b"", "half zero": content[:half] + bytes(half)}[damage])
    told = rf"train\.parquet is no whole parquet file of data set {DATA} .*hf download {DATA} data/.* --force-download"
    with pytest.raises(DamagedFileError, match=told):
        load_hub_corpus(DATA, CONTEXT, 3)


def test_a_file_that_the_cache_names_by_its_sum_is_compared_with_it(hub: Path) -> None:
    """A token id that changed on the disk is a token id."""
    path = cache_hub_rows(hub, DATA, {"data/train.parquet": ROWS}) / "data" / "train.parquet"
    blob = hub / hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(blob)
    path.symlink_to(blob)
    assert np.array_equal(load_hub_corpus(DATA, CONTEXT, 3).held_out, ROWS[:3])
    parquet.write_table(pyarrow.table({"tokens": list(ROWS[::-1])}), blob)
    with pytest.raises(DamagedFileError, match=rf"data set {DATA}: {path} was changed; run `hf download"):
        load_hub_corpus(DATA, CONTEXT, 3)
