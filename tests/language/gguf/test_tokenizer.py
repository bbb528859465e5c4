"""Tokenizers out of GGUF files, beside the libraries that they were made by."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from saelib.language.gguf.reading import open_gguf
from saelib.language.gguf.tokenizer import LLAMA_3, write_tokenizer
from saelib.language.loading import load_tokenizer
from saelib.language.tokenizing import document_separator, end_of_text, frame
from saelib.run.reading import DamagedFileError
from tests.helpers.gguf_files import TEMPLATE, small_vocabulary, write_gguf
from tests.helpers.small_models import small_tokenizer

TEXTS = ["ban ted 1987", "king  us\n\n  3.50 7%\n", " uniting, sane's caneD 12345", "Ünïted ☃ 中文 ½", "", "  "]


def written(folder: Path, **settings: Any) -> PreTrainedTokenizerFast:
    """The tokenizer of a file, as transformers loads it from the folder."""
    path = write_gguf(folder / "model.gguf", **settings)
    (folder / "written").mkdir()
    write_tokenizer(open_gguf(path), folder / "written")
    return PreTrainedTokenizerFast.from_pretrained(folder / "written")


def same(found: PreTrainedTokenizerFast, wanted: Any) -> None:
    for text in TEXTS:
        assert found(text, add_special_tokens=False)["input_ids"] == wanted(text), text


def test_gpt_2s_kind_encodes_as_the_tokenizer_that_it_was(tmp_path: Path) -> None:
    found, wanted = written(tmp_path), small_tokenizer()
    same(found, lambda text: wanted(text)["input_ids"])
    for text in TEXTS:
        assert found.decode(found(text)["input_ids"]) == text
    assert found("<|endoftext|>")["input_ids"] == [0]
    assert (found.bos_token_id, found.eos_token_id, found.chat_template) == (0, 0, TEMPLATE)


def trained(cut: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """A byte-level BPE of `TEXTS` that has merged whatever `cut` left together, digits among it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = cut, decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False, min_frequency=1)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def vocabulary_of(tokenizer: Tokenizer) -> dict[str, Any]:
    model = json.loads(tokenizer.to_str())["model"]
    return {
        "tokenizer__ggml__tokens": sorted(model["vocab"], key=model["vocab"].__getitem__),
        "tokenizer__ggml__token_type": [1] * len(model["vocab"]),
        "tokenizer__ggml__merges": [" ".join(pair) for pair in model["merges"]],
    }


def test_smollms_kind_cuts_at_every_digit(tmp_path: Path) -> None:
    plain = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    found = written(tmp_path, **vocabulary_of(plain), tokenizer__ggml__pre="smollm")
    wanted = found.convert_tokens_to_ids([*"1987"])
    assert found("1987")["input_ids"] == wanted
    assert plain.encode("1987").ids != wanted  # its merges know more than one digit
    assert found("ban")["input_ids"] == plain.encode("ban").ids


def test_llama_3s_kind_is_transformers_conversion_of_its_tiktoken_file(tmp_path: Path) -> None:
    assert TikTokenConverter("").pattern == LLAMA_3
    split = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain = trained(pre_tokenizers.Sequence([split, byte_level]))
    found = written(tmp_path, **vocabulary_of(plain), tokenizer__ggml__pre="llama-bpe")
    same(found, lambda text: plain.encode(text).ids)
    assert frame(found).first == [0]  # llama.cpp puts BOS in front where the file does not say


def test_a_word_of_llama_3_that_is_a_token_needs_no_merges(tmp_path: Path) -> None:
    vocabulary = vocabulary_of(trained(pre_tokenizers.ByteLevel(add_prefix_space=False)))
    vocabulary["tokenizer__ggml__tokens"][-1] = "zebra"
    vocabulary["tokenizer__ggml__merges"] = vocabulary["tokenizer__ggml__merges"][:1]
    found = written(tmp_path, **vocabulary, tokenizer__ggml__pre="llama-bpe")
    assert found("zebra", add_special_tokens=False)["input_ids"] == [len(vocabulary["tokenizer__ggml__tokens"]) - 1]


def test_sentencepieces_kind_encodes_as_sentencepiece(tmp_path: Path) -> None:
    sentences = ["the united king was sane", "a cane for the king", "12 sane kings, 1987"] * 20
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=320, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, minloglevel=2,
        hard_vocab_limit=False,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    count = pieces.get_piece_size()
    found = written(
        tmp_path,
        tokenizer__ggml__model="llama",
        tokenizer__ggml__tokens=[pieces.id_to_piece(place) for place in range(count)],
        tokenizer__ggml__scores=[float(pieces.get_score(place)) for place in range(count)],
        tokenizer__ggml__token_type=[2, 3, 3, *[6 if pieces.is_byte(place) else 1 for place in range(3, count)]],
        tokenizer__ggml__bos_token_id=1,
        tokenizer__ggml__eos_token_id=2,
        tokenizer__ggml__unknown_token_id=0,
        without=["tokenizer.ggml.merges", "tokenizer.ggml.pre"],
    )
    same(found, pieces.encode)
    for text in [*TEXTS, "the kings\n"]:
        assert found.decode(found(text, add_special_tokens=False)["input_ids"]) == text
    assert found("a king")["input_ids"] == [1, *pieces.encode("a king")]  # llama.cpp puts BOS in front


def test_tokens_are_put_around_a_text_as_the_file_says(tmp_path: Path) -> None:
    both = {"tokenizer__ggml__add_bos_token": True, "tokenizer__ggml__add_eos_token": True}
    found = written(tmp_path, **both, tokenizer__ggml__eos_token_id=1)
    assert found("ban")["input_ids"] == [0, *small_tokenizer()("ban")["input_ids"], 1]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"tokenizer__ggml__model": "bert"}, "has a tokenizer of kind 'bert'; known: gpt2, llama"),
        ({"tokenizer__ggml__pre": "tekken"}, r"cuts text by rule tokenizer\.ggml\.pre='tekken'; known: gpt-2, smollm"),
        ({"without": ["tokenizer.ggml.pre"]}, r"tokenizer\.ggml\.pre=''"),
        ({"without": ["tokenizer.ggml.tokens"]}, r"lacks tokenizer\.ggml\.tokens"),
        ({"without": ["tokenizer.ggml.merges"]}, r"lacks tokenizer\.ggml\.merges"),
        ({"tokenizer__ggml__tokens": [1, 2]}, r"tokenizer\.ggml\.tokens is no list of texts"),
        ({"tokenizer__ggml__tokens": ["a", "a", "b"]}, "1 tokens stand there twice"),
        ({"tokenizer__ggml__token_type": [1, 3]}, "2 token types for 320 tokens"),
        ({"tokenizer__ggml__merges": ["a b", "zzz y"]}, "merge '.*' is not of its tokens"),
        ({"tokenizer__ggml__eos_token_id": 320}, "eos_token_id is 320, of 320 tokens"),
        ({"tokenizer__ggml__model": "llama"}, r"lacks tokenizer\.ggml\.scores"),
        ({"tokenizer__ggml__model": "llama", "tokenizer__ggml__scores": [0.5]}, "1 scores for 320 tokens"),
    ],
)
def test_a_tokenizer_that_is_not_known_or_not_whole_is_refused(tmp_path: Path, said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.gguf.*{told}"):
        written(tmp_path, **said)


def test_more_tokens_than_embeddings_are_refused(tmp_path: Path) -> None:
    tokens = [*small_vocabulary()["tokenizer.ggml.tokens"], "one more"]
    types = [1] * len(tokens)
    path = write_gguf(tmp_path / "model.gguf", tokenizer__ggml__tokens=tokens, tokenizer__ggml__token_type=types)
    with pytest.raises(DamagedFileError, match=r"model\.gguf has 321 tokens and 320 rows of embeddings"):
        load_tokenizer(str(path))


def test_a_chat_model_separates_documents_by_another_token_than_turns(tmp_path: Path) -> None:
    types = np.where(np.arange(320) < 3, 3, 1).tolist()
    found = written(tmp_path, tokenizer__ggml__eos_token_id=2, tokenizer__ggml__token_type=types)
    assert (end_of_text(found), document_separator(found)) == (2, 0)
