import pytest
import torch

from saelib.htest.ablations.letter_training import (
    Example,
    LetterScores,
    add_gradients,
    encode,
    fit,
    mean_scores,
    next_token,
    score,
)
from saelib.htest.config import FineTuning
from saelib.htest.items.item import Item
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.framed_tokenizers import framed_tokenizer, random_model
from tests.helpers.small_models import ARCHITECTURES, VOCABULARY, save_small_model, small_model

TEXTS = ["short", "a text of more words", "of medium length, this"]
RECIPE = FineTuning(items=3, epochs=1, batch_size=3, learning_rate=1e-3, warm_up=0.0)


def items() -> list[Item]:
    return [Item("rhyme", "train", row, text, "ABA"[row], ("A", "B"), 0, "toy") for row, text in enumerate(TEXTS)]


@pytest.fixture
def model(tmp_path) -> LanguageModel:
    return load_language_model(str(save_small_model(tmp_path / "model")), "cpu")


def test_examples_are_the_bare_text_and_the_two_letters(model):
    examples = encode(items(), model)
    assert [model.tokenizer.decode(example.prompt) for example in examples] == [f"{text}\n" for text in TEXTS]
    assert [model.tokenizer.decode([example.right]) for example in examples] == ["A", "B", "A"]
    assert [model.tokenizer.decode([example.wrong]) for example in examples] == ["B", "A", "B"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(architecture):
    model = small_model(architecture)
    prompts = [[5], [9, 8, 7, 6, 5, 4, 3], [1, 2, 3, 4], [4, 3, 2, 1]]
    with torch.no_grad():
        together = next_token(model, prompts)
        alone = torch.stack([model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for prompt in prompts])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_scores_by_hand(model):
    examples = encode(items(), model)
    with torch.no_grad():
        chances = [model.hugging_face(torch.tensor([x.prompt])).logits[0, -1].log_softmax(-1) for x in examples]
    right = [chance[example.right].item() for chance, example in zip(chances, examples, strict=True)]
    wrong = [chance[example.wrong].item() for chance, example in zip(chances, examples, strict=True)]
    found = score(model.hugging_face, {"all": examples})["all"]
    assert found.loss == pytest.approx(-sum(right) / 3, rel=1e-5)
    assert found.accuracy == sum(a > b for a, b in zip(right, wrong, strict=True)) / 3


def test_scoring_leaves_the_mode_as_it_was(model):
    for training in (True, False):
        score(model.hugging_face.train(training), {"all": encode(items(), model)})
        assert model.hugging_face.training is training


def test_lists_are_scored_as_if_each_stood_alone(model):
    first, second, third = encode(items(), model)
    lists = {"mixed": [third, first], "one": [second], "again": [first]}
    found = score(model.hugging_face, lists)
    assert list(found) == list(lists)
    for name, examples in lists.items():
        (alone,) = score(model.hugging_face, {"alone": examples}).values()
        assert found[name] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_is_computed_once_for_each_prompt_and_left_as_it_was(architecture):
    model = small_model(architecture)
    shapes: list[tuple[int, ...]] = []
    model.get_output_embeddings().register_forward_hook(lambda head, inputs, output: shapes.append(tuple(output.shape)))
    with torch.no_grad():
        next_token(model, [[5], [9, 8, 7], [1, 2]])
        model(torch.tensor([[9, 8, 7]]))
    assert shapes == [(3, 1, VOCABULARY), (1, 3, VOCABULARY)]


@pytest.mark.parametrize("tokens", [1, 8, 24])
def test_the_gradients_are_those_of_the_letters_loss_alone(model, tmp_path, monkeypatch, tokens):
    monkeypatch.setattr("saelib.htest.ablations.letter_training.TOKENS_AT_A_TIME", tokens)
    examples = encode(items(), model)
    twin = load_language_model(str(save_small_model(tmp_path / "twin")), "cpu").hugging_face
    logits = [twin(torch.tensor([example.prompt])).logits[0, -1] for example in examples]
    loss = torch.stack([-row.log_softmax(-1)[x.right] for row, x in zip(logits, examples, strict=True)]).mean()
    loss.backward()
    assert add_gradients(model.hugging_face, examples).loss == pytest.approx(loss.item(), rel=1e-5)
    for (name, weight), expected in zip(model.hugging_face.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, expected.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_the_steps_are_adamw_with_a_rate_that_rises_and_falls(model, tmp_path):
    examples = encode(items(), model)
    twin = load_language_model(str(save_small_model(tmp_path / "twin")), "cpu").hugging_face
    expected = []
    optimiser = torch.optim.AdamW(twin.parameters(), lr=1.0, weight_decay=0.1)
    for share in (0, 1 / 2, 1, 2 / 3, 1 / 3):
        optimiser.param_groups[0]["lr"] = 3e-3 * share
        optimiser.zero_grad()
        expected.append(add_gradients(twin, examples).loss)
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        optimiser.step()
    recipe = FineTuning(items=3, epochs=5, batch_size=3, learning_rate=3e-3, weight_decay=0.1, warm_up=0.4)
    steps = list(fit(model.hugging_face, examples, recipe))
    assert [step.scores.loss for step in steps] == pytest.approx(expected, rel=1e-4)
    assert expected[-1] < expected[0] - 1
    found, wanted = (score(either, {"all": examples})["all"].loss for either in (model.hugging_face, twin))
    assert found == pytest.approx(wanted, rel=1e-4)
    assert not model.hugging_face.training


def test_every_item_is_seen_once_an_epoch_in_an_order_of_its_own():
    seen: list[int] = []

    class Recorder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(1, 4)
            self.device = torch.device("cpu")

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.head

        def forward(self, input_ids, **_):
            seen.extend(input_ids[:, 0].tolist())
            return type("Output", (), {"logits": self.head(input_ids.unsqueeze(-1).float())})

    examples = [Example([number], 0, 1) for number in range(10)]
    recipe = FineTuning(items=10, epochs=2, batch_size=4)
    sizes = [step.items for step in fit(Recorder(), examples, recipe)]
    assert sizes == [4, 4, 2, 4, 4, 2]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert seen[:10] != list(range(10))


def test_training_does_not_disturb_the_random_numbers_of_others(model):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    list(fit(model.hugging_face, encode(items(), model), RECIPE))
    assert torch.equal(torch.rand(2), expected)


def test_a_loss_that_is_no_number_ends_the_training(model):
    with torch.no_grad():
        model.hugging_face.get_output_embeddings().weight.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="lower fine_tuning.learning_rate"):
        list(fit(model.hugging_face, encode(items(), model), RECIPE))


def test_the_mean_counts_every_item_once():
    assert mean_scores([LetterScores(1.0, 0.5), LetterScores(0.0, 2.0)], [3, 1]) == LetterScores(0.75, 0.875)


def test_examples_begin_with_the_first_token_that_the_tokenizer_writes():
    model = random_model(framed_tokenizer())
    prompts = [example.prompt for example in encode(items(), model)]
    assert prompts == [model.tokenizer(f"{text}\n")["input_ids"] for text in TEXTS]
    assert all(prompt[0] == model.tokenizer.bos_token_id for prompt in prompts)
    assert [example.prompt for example in encode(items(), model, "none")] == [prompt[1:] for prompt in prompts]


def test_a_model_that_gives_no_probabilities_is_not_scored(model):
    with torch.no_grad():
        model.hugging_face.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="its weights hold NaN or infinity"):
        score(model.hugging_face, {"probe": encode(items(), model)})
