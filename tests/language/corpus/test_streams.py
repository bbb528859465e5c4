"""Documents as token ids, and the cache that keeps them: what makes it start afresh, and what it never believes."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from saelib.language.corpus.streams import TokenStreams, cached_streams, tokenize
from saelib.language.corpus.text import Document, split_of
from tests.helpers.python_tokenizer import LetterTokenizer
from tests.helpers.small_models import small_tokenizer

TOKENIZER = small_tokenizer()
DOCUMENTS = [Document(f"{number}", [f"ban ted {number}", "king"]) for number in range(60)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs" / "cache"


def test_documents_are_joined_by_the_end_of_text_token_on_their_side() -> None:
    wanted: dict[str, list[int]] = {"train": [], "held_out": []}
    for document in DOCUMENTS:
        text = "\n".join(document.paragraphs)
        wanted[split_of(document)] += [*TOKENIZER(text)["input_ids"], TOKENIZER.eos_token_id]
    streams = tokenize(iter(DOCUMENTS), TOKENIZER)
    assert wanted["held_out"] and streams.train.tolist() == wanted["train"]
    assert streams.held_out.tolist() == wanted["held_out"]
    assert streams.train.dtype == np.int32
    assert [len(stream) for stream in tokenize([], TOKENIZER)] == [0, 0]


def test_documents_are_tokenised_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = tokenize(DOCUMENTS, TOKENIZER), []

    class Counting:
        eos_token, eos_token_id = "</s>", TOKENIZER.eos_token_id

        def __call__(self, texts: list[str], **options: object) -> dict[str, list[list[int]]]:
            sizes.append(sum(map(len, texts)))
            return TOKENIZER(texts, **options)

    monkeypatch.setattr("saelib.language.corpus.streams.BATCH_CHARACTERS", 100)
    assert tokenize(DOCUMENTS, Counting()).sha256 == whole.sha256
    assert len(sizes) > 5 and max(sizes) < 130


def test_nothing_is_added_around_a_document() -> None:
    """What a tokenizer adds comes with the rows."""
    tokenizer = LetterTokenizer("kingbated ")
    assert tokenize([Document("a", ["king"])], tokenizer).train.tolist() == [3, 4, 5, 6, 1]


def test_documents_of_a_chat_model_are_not_separated_by_the_end_of_a_turn() -> None:
    tokenizer = small_tokenizer()
    plain = tokenize(DOCUMENTS, tokenizer)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>"})
    assert tokenize(DOCUMENTS, tokenizer).sha256 != plain.sha256
    tokenizer.chat_template = "{{ message['content'] }}<|im_end|>"
    assert tokenize(DOCUMENTS, tokenizer).sha256 == plain.sha256


def stream_of(tokenizer: LetterTokenizer, documents: list[Document] = DOCUMENTS) -> TokenStreams:
    return cached_streams({"text": "same"}, lambda: documents, tokenizer)


def test_a_tokenizer_without_end_of_text_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"tokenizer 'LetterTokenizer' has no end-of-text token"):
        stream_of(LetterTokenizer("king", eos_token=None))


def test_tokenizers_that_differ_share_no_rows(cache: Path) -> None:
    """Each finds its own rows in the cache, not those that another one left there."""
    other_end, python, more = small_tokenizer(), LetterTokenizer("kingbated "), small_tokenizer()
    other_end.eos_token = "!"
    more.add_tokens(["ted"])
    every = [TOKENIZER, other_end, more, python, LetterTokenizer("gnikbated "), LetterTokenizer("king")]
    for tokenizer in [*every, *every]:
        assert stream_of(tokenizer).sha256 == tokenize(DOCUMENTS, tokenizer).sha256
    assert len(list(cache.iterdir())) == len(every)


def refuse() -> Iterator[Document]:
    raise AssertionError("read although cached")


def test_what_decides_the_text_the_code_or_the_format_makes_it_start_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_streams({"text": "a"}, lambda: DOCUMENTS, TOKENIZER)
    assert cached_streams({"text": "a"}, refuse, TOKENIZER).sha256 == first.sha256
    with pytest.raises(AssertionError):
        cached_streams({"text": "b"}, refuse, TOKENIZER)
    for name, value in {"FORMAT_VERSION": 0, "HELD_OUT_SHARE": 0.1, "metadata.version": lambda name: "0"}.items():
        with monkeypatch.context() as patch, pytest.raises(AssertionError):
            patch.setattr(f"saelib.language.corpus.streams.{name}", value)
            cached_streams({"text": "a"}, refuse, TOKENIZER)
    assert cached_streams({"text": "a"}, refuse, TOKENIZER).sha256 == first.sha256


def half_zero(folder: Path) -> None:
    path = folder / "tokens.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def cut(folder: Path) -> None:
    path = folder / "tokens.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def gone(folder: Path) -> None:
    (folder / "tokens.safetensors").unlink()


def no_hash(folder: Path) -> None:
    (folder / "corpus.json").write_text("[]")


def no_json(folder: Path) -> None:
    (folder / "corpus.json").write_bytes(b"\xff{")


@pytest.mark.parametrize("damage", [half_zero, cut, gone, no_hash, no_json])
def test_damaged_rows_are_made_again_with_a_warning(cache: Path, damage: Callable[[Path], None]) -> None:
    first = cached_streams({"text": "a"}, lambda: DOCUMENTS, TOKENIZER)
    (folder,) = cache.iterdir()
    whole = hashlib.sha256((folder / "tokens.safetensors").read_bytes()).digest()
    damage(folder)
    with pytest.warns(UserWarning, match=f"{folder} is damaged and is made again"):
        again = cached_streams({"text": "a"}, lambda: DOCUMENTS, TOKENIZER)
    assert again.sha256 == first.sha256
    assert hashlib.sha256((folder / "tokens.safetensors").read_bytes()).digest() == whole
    assert cached_streams({"text": "a"}, refuse, TOKENIZER).sha256 == first.sha256


def test_whole_rows_of_another_text_are_not_believed(cache: Path) -> None:
    """A folder that was copied over another one fits its own hash."""
    wanted = cached_streams({"text": "a"}, lambda: DOCUMENTS, TOKENIZER)
    (a,) = cache.iterdir()
    cached_streams({"text": "b"}, lambda: DOCUMENTS[:30], TOKENIZER)
    (b,) = set(cache.iterdir()) - {a}
    shutil.rmtree(a)
    shutil.copytree(b, a)
    with pytest.warns(
        UserWarning, match=rf"{a} is damaged .*tokens\.safetensors is not what corpus\.json beside it says"
    ):
        again = cached_streams({"text": "a"}, lambda: DOCUMENTS, TOKENIZER)
    assert again.sha256 == wanted.sha256
