"""Chat templates of every manner that is met: what they want is found by trial, and the text is right to the letter."""

import pytest

from saelib.htest.asking.chat_templates import end_of_turn, named_arguments, read_chat_template
from saelib.htest.asking.prompts import Prompt, as_seen, tokenise
from tests.helpers.framed_tokenizers import BOS, END_OF_TURN, framed_tokenizer, sentencepiece_tokenizer

TURNS = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>\n{{ m.content }}<|turn_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)
PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}<|turn_end|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
DROPS_SYSTEM = TURNS.replace("<{{ m.role }}>\n", "{% if m.role == 'system' %}{% continue %}{% endif %}<{{ m.role }}>\n")
DEMANDS_SYSTEM = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}" + TURNS
THINKS = TURNS.replace(
    "<assistant>\n{% endif %}",
    "<assistant>\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}",
)
PREFIXED = TURNS.replace("<assistant>\n{% endif %}", "<assistant>\nAnswer: {% endif %}")
DATED = "Today: {{ strftime_now('%d %b %Y') }}\n" + TURNS
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
NO_PROMPT = "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}<|turn_end|>\n{% endfor %}"
SINGLE = "{% if messages | length > 1 %}{{ raise_exception('one question') }}{% endif %}<q>{{ messages[0].content }}<a>"


def chat(template: str, system: str = "", **arguments: object):
    tokenizer = framed_tokenizer()
    tokenizer.chat_template = template
    return read_chat_template(tokenizer, system, arguments)


@pytest.mark.parametrize(
    ("template", "system", "text"),
    [
        (TURNS, "", f"{BOS}<user>\nHi?{END_OF_TURN}\n<assistant>\n"),
        (TURNS, "Be good.", f"{BOS}<system>\nBe good.{END_OF_TURN}\n<user>\nHi?{END_OF_TURN}\n<assistant>\n"),
        (PARTS, "", f"<user>Hi?{END_OF_TURN}<assistant>"),
        (PARTS, "Be good.", f"<system>Be good.{END_OF_TURN}<user>Hi?{END_OF_TURN}<assistant>"),
        (NO_SYSTEM, "", f"{BOS}<user>\nHi?{END_OF_TURN}\n<assistant>\n"),
        (NO_SYSTEM, "Be good.", f"{BOS}<user>\nBe good.\n\nHi?{END_OF_TURN}\n<assistant>\n"),
        (DROPS_SYSTEM, "Be good.", f"{BOS}<user>\nBe good.\n\nHi?{END_OF_TURN}\n<assistant>\n"),
        (DEMANDS_SYSTEM, "", f"{BOS}<system>\n{END_OF_TURN}\n<user>\nHi?{END_OF_TURN}\n<assistant>\n"),
        (PREFIXED, "", f"{BOS}<user>\nHi?{END_OF_TURN}\n<assistant>\nAnswer: "),
        (LLAMA_2, "", "[INST] Hi? [/INST]"),
        (NO_PROMPT, "", f"<user>\nHi?{END_OF_TURN}\n<assistant>\n"),
        (SINGLE, "", "<q>Hi?<a>"),
    ],
)
def test_the_text_is_the_templates_own(template: str, system: str, text: str) -> None:
    assert chat(template, system).render("Hi?") == text


def test_arguments_reach_the_template() -> None:
    assert chat(THINKS, enable_thinking=False).render("Hi?").endswith("<assistant>\n<think>\n\n</think>\n\n")
    assert chat(THINKS).render("Hi?").endswith("<assistant>\n")


def test_only_arguments_that_a_template_names_are_its_own() -> None:
    tokenizer = framed_tokenizer()
    tokenizer.chat_template = THINKS
    assert named_arguments(tokenizer, {"enable_thinking": False, "enable": 1}) == {"enable_thinking": False}


def test_a_template_that_writes_the_date_writes_the_same_one_every_day() -> None:
    assert chat(DATED).render("Hi?").startswith("Today: 26 Jul 2024\n")
    assert chat("{{ date_string }}" + TURNS, date_string="1 May 2020").render("Hi?").startswith("1 May 2020")


@pytest.mark.parametrize(
    ("template", "before"),
    [(TURNS, ""), (PARTS, ""), (LLAMA_2, " "), (NO_PROMPT, ""), (SINGLE, ""), (THINKS, ""), (PREFIXED, "")],
)
def test_an_answer_begins_as_the_assistants_own_turn(template: str, before: str) -> None:
    assert chat(template, enable_thinking=False).before_answer == before


def test_a_turn_of_the_assistant_ends_by_the_templates_own_token() -> None:
    learnt = chat(TURNS)
    assert end_of_turn(learnt) == [learnt.tokenizer.convert_tokens_to_ids(END_OF_TURN)]
    assert end_of_turn(chat(SINGLE)) == []


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", "renders nothing"),
        ("{% if add_generation_prompt %}<assistant>{% endif %}", "does not show the message"),
        ("{% if messages[0].content is string %}-{% else %}{{ messages[0].content }}{% endif %}", "does not show"),
        ("{{ raise_exception('out of order') }}", "TemplateError: out of order"),
        ("{{ messages[0].content.text.more }}", "UndefinedError"),
        ("{% if %}", "TemplateSyntaxError"),
    ],
)
def test_a_template_that_cannot_be_used_is_named_with_its_model(template: str, problem: str) -> None:
    tokenizer = framed_tokenizer()
    tokenizer.name_or_path, tokenizer.chat_template = "someone/model", template or " "
    with pytest.raises(ValueError, match=rf"someone/model.*{problem}.*form='completion'"):
        read_chat_template(tokenizer)


def seen_tokens(template: str, tokenizer) -> tuple[list[str], list[list[str]]]:
    tokenizer.chat_template = template
    prompt = as_seen(Prompt("Say A or B", ("A", "B")), "chat", tokenizer)
    ((ids, answers),) = tokenise([prompt], tokenizer, None)
    return tokenizer.convert_ids_to_tokens(ids), [tokenizer.convert_ids_to_tokens(answer) for answer in answers]


def test_sentencepiece_answers_are_those_of_the_assistants_turn() -> None:
    _, answers = seen_tokens(LLAMA_2, sentencepiece_tokenizer())
    assert answers == [["▁A"], ["▁B"]]
    _, answers = seen_tokens("{{ messages[0].content }}\n{% if messages[1] %}{{ messages[1].content }}{% endif %}",
                             sentencepiece_tokenizer())  # fmt: skip
    assert answers == [["A"], ["B"]]


def test_a_blank_that_belongs_to_the_answers_word_goes_to_the_answer() -> None:
    prompt, answers = seen_tokens(PREFIXED.replace("{{ bos_token }}", ""), framed_tokenizer())
    assert "".join(prompt).endswith("Answer:")
    assert answers == [["ĠA"], ["ĠB"]] or answers == [[" A"], [" B"]]


def test_the_templates_own_first_token_is_not_doubled() -> None:
    prompt, _ = seen_tokens(TURNS, framed_tokenizer())
    assert prompt.count(BOS) == 1
    assert prompt[0] == BOS
