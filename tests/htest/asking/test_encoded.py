"""What a local model reads under a condition: its first token, its template, and nothing twice."""

from dataclasses import replace

import pytest

from saelib.htest.asking.encoded import encode_prompts, first_ids, first_token_text
from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import Condition
from tests.helpers.framed_tokenizers import BOS, framed_tokenizer, sentencepiece_tokenizer
from tests.helpers.made_items import letter_tokenizer, made_items
from tests.htest.asking.test_chat_templates import TURNS

COMPLETION = Condition(model="small", form="completion", k=0, max_tokens=1)


def test_the_first_token_is_the_one_that_the_tokenizer_puts_before_a_text() -> None:
    assert first_token_text(framed_tokenizer()) == BOS
    assert first_token_text(sentencepiece_tokenizer()) == "<s>"
    assert first_token_text(letter_tokenizer()) == ""  # it names a BOS and writes none, as GPT-2's does


def test_a_setting_overrides_the_tokenizer() -> None:
    assert first_token_text(framed_tokenizer(), "none") == ""
    assert first_token_text(letter_tokenizer(), "<|endoftext|>") == "<|endoftext|>"
    with pytest.raises(ValueError, match="first token '<bos>' is no token"):
        first_token_text(letter_tokenizer(), "<bos>")


@pytest.mark.parametrize("form", ["completion", "bare", "chat", "chain_of_thought"])
def test_prompts_outside_a_template_begin_with_it_and_are_what_the_tokenizer_encodes(form: str) -> None:
    tokenizer = framed_tokenizer()
    prompts = render(made_items(3), [], form)
    asked = replace(COMPLETION, form=form, first_token=BOS)
    found = encode_prompts(prompts, asked, tokenizer, None)
    ends = "" if form in ("completion", "bare") else "\n"
    assert [ids for ids, _ in found.ids] == [tokenizer(prompt.text + ends)["input_ids"] for prompt in prompts]
    assert found.rendered == [None] * 3
    without = encode_prompts(prompts, replace(asked, first_token=""), tokenizer, None)
    assert [ids for ids, _ in found.ids] == [first_ids(tokenizer, BOS) + ids for ids, _ in without.ids]
    assert [answers for _, answers in found.ids] == [answers for _, answers in without.ids]


def test_the_context_has_room_for_the_first_token() -> None:
    tokenizer, prompts = framed_tokenizer(), render(made_items(1), [], "completion")
    length = len(encode_prompts(prompts, COMPLETION, tokenizer, None).ids[0][0])
    encode_prompts(prompts, COMPLETION, tokenizer, length + 1)
    with pytest.raises(ValueError, match=rf"a prompt of {length + 1} tokens with up to 1 .* context of {length + 1}"):
        encode_prompts(prompts, replace(COMPLETION, first_token=BOS), tokenizer, length + 1)


def test_a_template_makes_the_whole_text_which_is_kept() -> None:
    tokenizer = framed_tokenizer()
    tokenizer.chat_template = TURNS
    prompts = render(made_items(2), [], "chat")
    asked = replace(COMPLETION, form="chat", first_token=BOS, system="Be good.")
    found = encode_prompts(prompts, asked, tokenizer, None)
    for prompt, rendered, (ids, _) in zip(prompts, found.rendered, found.ids, strict=True):
        assert rendered is not None
        assert f"<system>\nBe good.<|turn_end|>\n<user>\n{prompt.text}<|turn_end|>\n" in rendered
        assert ids.count(tokenizer.bos_token_id) == 1  # the template's own
        assert tokenizer.decode(ids) == rendered
