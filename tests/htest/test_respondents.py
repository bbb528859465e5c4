"""Every name means somebody: a local model in the form that suits it, its untrained twin, a control, or an API."""

from pathlib import Path

import pytest
import torch

from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import Condition
from saelib.htest.engines.api import ApiEngine
from saelib.htest.respondents import ApiSettings, local_respondent, open_respondent, token_counter, untrained_twin
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.made_items import letter_tokenizer, made_items
from tests.helpers.small_models import small_model

TEMPLATE = "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}<assistant>"


@pytest.fixture(scope="module")
def embedded() -> LanguageModel:
    return load_language_model("embedded", "cpu")


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return dict(model.hugging_face.state_dict())


def alike(one: LanguageModel, other: LanguageModel) -> bool:
    return all(torch.equal(weight, weights(other)[name]) for name, weight in weights(one).items())


def test_a_control_says_what_its_name_says() -> None:
    items = made_items(4)
    control = open_respondent("control:constant_b", items)
    assert (control.name, control.revision, control.form) == ("control:constant_b", "", "chat")
    condition = Condition(model=control.name, form="chat", k=0)
    answers = control.engine(items, render(items, [], "chat"), condition)
    assert [answer.reply for answer in answers] == ["B"] * 4


def test_an_unknown_control_is_named() -> None:
    with pytest.raises(ValueError, match="control 'genius' is unknown; choose one of oracle"):
        open_respondent("control:genius", made_items(4))


def test_a_model_without_a_chat_template_goes_on_with_the_text_and_one_with_it_chats() -> None:
    model = LanguageModel("small", "abc", small_model(), letter_tokenizer())
    assert local_respondent(model, "mine").form == "completion"
    assert local_respondent(model, "mine", "chat").form == "chat"
    model.tokenizer.chat_template = TEMPLATE
    chatting = local_respondent(model, "mine")
    assert (chatting.name, chatting.revision, chatting.form) == ("mine", "abc", "chat")
    assert local_respondent(model, "mine", "completion").form == "completion"


def test_the_embedded_model_answers_by_its_own_weights(embedded: LanguageModel) -> None:
    found = open_respondent("embedded", [], device="cpu")
    assert (found.name, found.revision, found.form) == ("embedded", embedded.revision, "completion")
    items = made_items(2)
    prompts = render(items, [], "completion")
    answers = found.engine(items, prompts, Condition(model="embedded", form="completion", k=0, max_tokens=0))
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = embedded.tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        letters = [embedded.tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in (" A", " B")]
        with torch.inference_mode():
            chances = embedded.hugging_face(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[letters]
        assert list((answer.log_probabilities or {}).values()) == pytest.approx(chances.tolist(), abs=1e-4)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        open_respondent(str(tmp_path / "nowhere"), [])


def test_the_untrained_twin_has_the_shape_of_the_model_and_none_of_its_weights(embedded: LanguageModel) -> None:
    before = {name: weight.clone() for name, weight in weights(embedded).items()}
    twin = untrained_twin(embedded, seed=0)
    shapes = [{name: tuple(weight.shape) for name, weight in weights(model).items()} for model in (embedded, twin)]
    assert shapes[0] == shapes[1]
    matrices = [name for name, weight in before.items() if weight.ndim == 2]
    assert matrices
    assert not any(torch.allclose(weights(twin)[name], before[name], atol=1e-3) for name in matrices)
    assert all(torch.equal(weights(embedded)[name], weight) for name, weight in before.items())
    assert (twin.name, twin.tokenizer, twin.n_ctx) == ("untrained:embedded", embedded.tokenizer, embedded.n_ctx)
    assert not twin.hugging_face.training
    assert {weight.dtype for weight in twin.hugging_face.parameters()} == {torch.float32}


def test_the_twin_is_a_function_of_its_seed(embedded: LanguageModel) -> None:
    first = untrained_twin(embedded, seed=0)
    torch.rand(7)  # what was drawn before is no part of it
    same, other = untrained_twin(embedded, seed=0), untrained_twin(embedded, seed=1)
    assert alike(first, same)
    assert not alike(first, other)
    assert len({first.revision, same.revision, other.revision}) == 2


def test_making_a_twin_leaves_the_random_numbers_of_others_alone(embedded: LanguageModel) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    untrained_twin(embedded, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_the_name_of_a_twin_opens_it_with_the_seed_of_the_run(embedded: LanguageModel) -> None:
    items = made_items(2)
    prompts = render(items, [], "completion")
    condition = Condition(model="?", form="completion", k=0, max_tokens=0)
    names = {"embedded": 0, "untrained:embedded": 0}
    opened = {name: open_respondent(name, items, device="cpu", seed=seed) for name, seed in names.items()}
    other = open_respondent("untrained:embedded", items, device="cpu", seed=1)
    assert {name: found.name for name, found in opened.items()} == {name: name for name in names}
    assert opened["untrained:embedded"].form == "completion"
    assert opened["untrained:embedded"].revision == untrained_twin(embedded, 0).revision != other.revision
    answers = [found.engine(items, prompts, condition) for found in (*opened.values(), other)]
    chances = [(answer[0].log_probabilities or {})["A"] for answer in answers]
    assert len({round(chance, 3) for chance in chances}) == 3


def test_an_api_gets_the_name_without_the_prefix_and_a_folder_for_its_logs(tmp_path: Path) -> None:
    found = open_respondent("api:openai/gpt-4o", [], api=ApiSettings(tmp_path))
    assert (found.name, found.revision, found.form) == ("api:openai/gpt-4o", "", "chat")
    assert found.engine == ApiEngine("openai/gpt-4o", tmp_path, log_probabilities=False)
    other = open_respondent("api:openai/gpt-4o", [], form="completion", api=ApiSettings(tmp_path, True))
    assert other.form == "completion"
    assert other.engine == ApiEngine("openai/gpt-4o", tmp_path, log_probabilities=True)
    assert list(tmp_path.iterdir()) == []  # nothing was sent


def test_an_api_without_a_folder_for_logs_is_refused() -> None:
    with pytest.raises(ValueError, match="api:openai/gpt-4o: give a folder for the logs"):
        open_respondent("api:openai/gpt-4o", [])


def test_tokens_are_counted_without_loading_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **options: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    counter = token_counter("embedded")
    assert counter is not None
    assert [counter(text) for text in ("", "A", " A B")] == [0, 1, 2]
    assert token_counter("api:openai/gpt-4o") is None
