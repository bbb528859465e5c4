"""Texts of single tokens."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from saelib.interpret.pieces import Pieces
from saelib.language.loading import load_language_model
from tests.helpers.small_models import small_tokenizer


@pytest.mark.parametrize("text", ["The list is empty.", "  two blanks\n\tand a tab", "<script>alert('x')</script>"])
def test_pieces_of_a_text_are_the_text(text: str) -> None:
    for tokenizer in (small_tokenizer(), load_language_model("embedded", "cpu").tokenizer):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert "".join(Pieces(tokenizer)(ids)) == text


def test_a_blank_in_front_is_kept_where_a_tokenizer_drops_the_first() -> None:
    backend = Tokenizer(models.WordLevel({"▁the": 0, "▁list": 1, "a": 2, "[UNK]": 3, "▁": 4}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")  # drops the blank of a text's first token
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    assert tokenizer.decode([0]) == "the"
    assert Pieces(tokenizer)([0, 1]) == [" the", " list"]


def test_a_part_of_a_sign_and_an_id_without_text_are_shown_as_such() -> None:
    tokenizer = small_tokenizer()
    parts = tokenizer.encode("é", add_special_tokens=False)
    assert Pieces(tokenizer)(parts) == ["\N{REPLACEMENT CHARACTER}"] * 2
    assert Pieces(tokenizer)([len(tokenizer) + 7]) == [f"<{len(tokenizer) + 7}>"]
