"""Prompts are the authors' to the letter, shots alternate, and what a model cannot answer is refused."""

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from saelib.htest.asking.prompts import FORMS, as_seen, choose_shots, render, tokenise
from saelib.htest.items.item import Item
from saelib.language.embedded import EMBEDDED_FOLDER
from tests.helpers.small_models import small_tokenizer


def embedded_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(EMBEDDED_FOLDER, local_files_only=True)


def item(row: int, label: str = "A", text: str | None = None, split: str = "dev") -> Item:
    return Item("uppercase", split, row, text or f"text {row}", label, ("A", "B"), 0, "fresh-2")


DEV = [item(row, "AB"[row % 2]) for row in range(1, 21)]  # rows 1, 3, ... are labelled B
ASKED = item(1, "A", "hEllo", "test")
GEOMETRY = Item("letter_geometry", "test", 1, 'What is "M" upside down?', "W", ("O", "W", "E", "N"), 0, "fresh-2")


def test_the_chat_prompt_is_the_authors() -> None:
    (prompt,) = render([ASKED], choose_shots(DEV, 4), "chat")
    assert prompt.text == (
        'Input: "text 2" Label: A\n'
        'Input: "text 1" Label: B\n'
        'Input: "text 4" Label: A\n'
        'Input: "text 3" Label: B\n'
        "\n"
        'Input: "hEllo" Label: \nA \nB (Respond in one letter and nothing else)'
    )
    assert prompt.answers == ("A", "B")


def test_the_chain_of_thought_prompt_is_the_authors() -> None:
    (prompt,) = render([ASKED], choose_shots(DEV, 2), "chain_of_thought")
    assert prompt.text == (
        'Input: "text 2" Label: A\nInput: "text 1" Label: B\n\n'
        'Now, think out loud step by step and assign label. \nInput: "hEllo" Label: \nA \nB'
    )


def test_the_letter_geometry_prompt_is_the_authors() -> None:
    (prompt,) = render([GEOMETRY], [], "letter_geometry")
    assert prompt.text == 'What is "M" upside down?\nO\nW\nE\nN(Respond in one letter and nothing else)'
    assert prompt.answers == ("O", "W", "E", "N")


def test_a_base_model_completes_a_label() -> None:
    (prompt,) = render([ASKED], choose_shots(DEV, 2), "completion")
    assert prompt.text == 'Input: "text 2" Label: A\nInput: "text 1" Label: B\nInput: "hEllo" Label:'
    assert prompt.answers == (" A", " B")
    assert prompt.text + prompt.answers[0] == prompt.text + " A"


def test_fine_tuning_sees_bare_text() -> None:
    assert render([ASKED], [], "bare")[0] == ("hEllo\n", ("A", "B"))


@pytest.mark.parametrize("form", ["chat", "chain_of_thought", "completion"])
def test_without_shots_the_question_stands_alone(form: str) -> None:
    (prompt,) = render([ASKED], [], form)
    assert not prompt.text.startswith("\n")
    assert prompt.text.count("Input:") == 1


class TestShots:
    def test_alternate_and_end_in_b(self) -> None:
        shots = choose_shots(DEV, 8)
        assert [shot.label for shot in shots] == ["A", "B"] * 4
        assert [shot.row for shot in shots] == [2, 1, 4, 3, 6, 5, 8, 7]

    def test_fewer_are_the_first_of_more(self) -> None:
        assert choose_shots(DEV, 20)[:6] == choose_shots(DEV, 6)

    def test_a_shuffle_is_balanced_and_a_function_of_its_seed(self) -> None:
        first, again, other = (choose_shots(DEV, 10, seed) for seed in (1, 1, 2))
        assert first == again != other
        assert sorted(shot.label for shot in first) == ["A"] * 5 + ["B"] * 5
        assert {choose_shots(DEV, 10, seed)[-1].label for seed in range(10)} == {"A", "B"}

    @pytest.mark.parametrize("k", [3, -2])
    def test_come_in_pairs(self, k: int) -> None:
        with pytest.raises(ValueError, match=f"k={k}: shots come in pairs"):
            choose_shots(DEV, k)

    def test_must_be_there(self) -> None:
        with pytest.raises(ValueError, match=r"k=22: the dev split holds \[10, 10\]"):
            choose_shots(DEV, 22)


@pytest.mark.parametrize(
    ("items", "shots", "form", "message"),
    [
        ([ASKED], [], "haiku", "form 'haiku' is unknown; choose one of chat"),
        ([GEOMETRY], [], "chat", "does not fit items with the options"),
        ([ASKED], [], "letter_geometry", "does not fit items with the options"),
        ([ASKED], DEV[:2], "bare", "form 'bare' has no shots; 2 were given"),
    ],
)
def test_mistakes_are_named(items: list[Item], shots: list[Item], form: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(items, shots, form)


def test_a_chat_template_ends_the_message_and_a_line_break_does_without() -> None:
    tokenizer = small_tokenizer()
    (prompt,) = render([ASKED], [], "chat")
    assert as_seen(prompt, "chat", tokenizer).text == prompt.text + "\n"
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    assert as_seen(prompt, "chat", tokenizer).text == f"<user>{prompt.text}<assistant>"
    (completion,) = render([ASKED], [], "completion")
    assert as_seen(completion, "completion", tokenizer) == completion


class TestTokens:
    @pytest.mark.parametrize("form", sorted(set(FORMS) - {"letter_geometry"}))
    def test_letters_are_single_tokens_after_the_prompt(self, form: str) -> None:
        tokenizer = embedded_tokenizer()
        prompts = [as_seen(prompt, form, tokenizer) for prompt in render([ASKED], [], form)]
        ((ids, answers),) = tokenise(prompts, tokenizer, context=None)
        assert tokenizer.decode(ids) == prompts[0].text
        assert [tokenizer.decode(answer) for answer in answers] == list(prompts[0].answers)
        assert [len(answer) for answer in answers] == [1, 1]

    def test_an_answer_of_two_tokens_is_refused(self) -> None:
        (prompt,) = render([ASKED], [], "completion")
        with pytest.raises(ValueError, match="is 2 tokens after the prompt's end"):
            tokenise([prompt._replace(answers=("\nA", "\nB"))], embedded_tokenizer(), context=None)

    def test_a_prompt_that_grows_into_its_answer_is_refused(self) -> None:
        (prompt,) = render([ASKED], [], "completion")
        joined = prompt._replace(text=prompt.text + " th", answers=("e", "em"))
        with pytest.raises(ValueError, match="to the answer 'e'"):
            tokenise([joined], embedded_tokenizer(), context=None)

    def test_a_prompt_must_fit_the_context_with_its_reply(self) -> None:
        prompts = render([ASKED], [], "completion")
        tokenizer = embedded_tokenizer()
        length = len(tokenise(prompts, tokenizer, context=None)[0][0])
        tokenise(prompts, tokenizer, context=length + 5, room=5)
        with pytest.raises(
            ValueError, match=f"{length} tokens with up to 5 .* exceeds the model's context of {length + 4}"
        ):
            tokenise(prompts, tokenizer, context=length + 4, room=5)

    def test_symbols_may_be_several_tokens(self) -> None:
        symbols = ("Ɛ", "∀", "O", "W")
        asked = Item("letter_geometry", "test", 1, "Which?", "O", symbols, 0, "fresh-2")
        ((_, answers),) = tokenise(render([asked], [], "letter_geometry"), embedded_tokenizer(), context=None)
        assert [len(answer) for answer in answers] == [2, 3, 1, 1]
