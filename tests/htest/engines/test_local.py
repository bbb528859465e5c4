"""The local engine: what it answers is what each prompt gets alone, however many are asked at a time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from saelib.htest.asking.prompts import Prompt, as_seen, choose_shots, render, tokenise
from saelib.htest.asking.replies import Answer, Condition
from saelib.htest.engines.local import LocalEngine, seed_of
from saelib.htest.engines.packs import groups, packs_of
from saelib.htest.items.item import Item
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.made_items import VOCABULARY, geometry_items, letter_tokenizer, made_items
from tests.helpers.small_models import ARCHITECTURES, small_model

TEMPLATE = "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}<assistant>"
NOT_SHARING = {
    "mistral": {"sliding_window": 48, "num_key_value_heads": 2, "intermediate_size": 48},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mamba": {"state_size": 4},
}


def wide(architecture: str) -> LanguageModel:
    """A random model with room for prompts with shots."""
    if architecture in NOT_SHARING:
        sizes = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = AutoConfig.for_model(architecture, **sizes, **NOT_SHARING[architecture], eos_token_id=0)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    else:
        config = small_model(architecture).config
        config.vocab_size, config.max_position_embeddings = VOCABULARY, 512
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    for weight in model.parameters():
        if weight.ndim == 2:  # large enough that the model's replies depend on what it reads
            torch.nn.init.normal_(weight, std=0.3)
    return LanguageModel(architecture, "", model, letter_tokenizer())


def condition(form: str, k: int, **changes) -> Condition:
    return Condition(model="small", form=form, k=k, **changes)


def task(k: int, form: str, count: int = 13) -> tuple[list[Item], list[Prompt]]:
    items = geometry_items(count) if form == "letter_geometry" else made_items(count)
    return items, render(items, choose_shots(made_items(20, "dev"), k), form)


@torch.inference_mode()
def alone(language_model: LanguageModel, items: Sequence[Item], prompts: Sequence[Prompt], asked: Condition) -> list:
    """Each prompt by itself: a plain pass for every answer, and transformers' own greedy reply."""
    model, tokenizer = language_model.hugging_face.eval(), language_model.tokenizer
    seen = [as_seen(prompt, asked.form, tokenizer) for prompt in prompts]
    answers = []
    for item, (ids, options) in zip(items, tokenise(seen, tokenizer, None), strict=True):
        sums = {}
        for option, answer in zip(item.options, options, strict=True):
            logits = model(torch.tensor([ids + answer])).logits[0].log_softmax(-1)
            sums[option] = sum(float(logits[len(ids) - 1 + place, token]) for place, token in enumerate(answer))
        config = GenerationConfig(max_new_tokens=asked.max_tokens, eos_token_id=0, pad_token_id=0)
        reply = model.generate(torch.tensor([ids]), generation_config=config)[0, len(ids) :] if asked.max_tokens else []
        usage = {"input_tokens": len(ids), "output_tokens": len(reply)}
        text = tokenizer.decode(reply, skip_special_tokens=True) if asked.max_tokens else None
        answers.append(Answer(text, sums, usage))
    return answers


def assert_alike(found: Sequence[Answer], wanted: Sequence[Answer]) -> None:
    assert [(answer.reply, answer.usage) for answer in found] == [(answer.reply, answer.usage) for answer in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4, rel=0)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *NOT_SHARING])
@pytest.mark.parametrize(("form", "k"), [("completion", 6), ("completion", 0), ("chat", 4), ("letter_geometry", 0)])
def test_answers_are_those_of_each_prompt_alone(architecture: str, form: str, k: int) -> None:
    model = wide(architecture)
    items, prompts = task(k, form, count=7)
    asked = condition(form, k)
    wanted = alone(model, items, prompts, asked)
    values = torch.tensor([list((answer.log_probabilities or {}).values()) for answer in wanted])
    assert values.std(0).min() > 1e-3  # one item's answer in another's place would show
    for batch_tokens in (1, 40, 4096):
        assert_alike(LocalEngine(model, batch_tokens)(items, prompts, asked), wanted)


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_long_replies_grow_in_step_and_stop_each_at_its_end(architecture: str) -> None:
    model = wide(architecture)
    items, prompts = task(4, "completion")
    model.hugging_face.get_output_embeddings().weight.data[0] *= 3  # end of text becomes likely, but not at once
    asked = condition("completion", 4, max_tokens=40)
    wanted = alone(model, items, prompts, asked)
    assert len({answer.usage["output_tokens"] for answer in wanted}) > 2
    for batch_tokens in (40, 4096):
        assert_alike(LocalEngine(model, batch_tokens)(items, prompts, asked), wanted)


def test_prompts_that_begin_differently() -> None:
    model = wide("gpt_neox")
    items = made_items(5)
    prompts = [Prompt(chr(97 + place) * (3 * place + 1), (" A", " B")) for place in range(5)]
    asked = condition("completion", 0)
    assert_alike(LocalEngine(model)(items, prompts, asked), alone(model, items, prompts, asked))


def test_chat_template_is_applied() -> None:
    model = wide("qwen2")
    items, prompts = task(4, "chat")
    asked = condition("chat", 4)
    without = LocalEngine(model)(items, prompts, asked)
    model.tokenizer.chat_template = TEMPLATE
    found = LocalEngine(model)(items, prompts, asked)
    assert_alike(found, alone(model, items, prompts, asked))
    assert all(
        one.usage["input_tokens"] > other.usage["input_tokens"] for one, other in zip(found, without, strict=True)
    )


@pytest.mark.parametrize("architecture", ["gpt_neox", "bloom"])
def test_samples_depend_on_seed_and_item_alone(architecture: str) -> None:
    model = wide(architecture)
    items, prompts = task(2, "completion")
    asked = condition("completion", 2, temperature=1.0, max_tokens=8, seed=3)
    everything = LocalEngine(model, 4096)(items, prompts, asked)
    torch.manual_seed(99)
    some = LocalEngine(model, 30)(items[4:9], prompts[4:9], asked)
    assert [answer.reply for answer in some] == [answer.reply for answer in everything[4:9]]
    other = LocalEngine(model)(items, prompts, condition("completion", 2, temperature=1.0, max_tokens=8, seed=4))
    assert [answer.reply for answer in other] != [answer.reply for answer in everything]


def test_samples_follow_the_probabilities() -> None:
    model = wide("gpt_neox")
    item, prompt = made_items(1)[0], render(made_items(1), [], "completion")[0]
    asked = condition("completion", 0, temperature=0.7, max_tokens=1)
    count = 600
    items = [replace(item, row=place) for place in range(count)]
    replies = [answer.reply for answer in LocalEngine(model)(items, [prompt] * count, asked)]
    ids = model.tokenizer(prompt.text)["input_ids"]
    with torch.inference_mode():
        logits = model.hugging_face(torch.tensor([ids])).logits[0, -1]
    probability, token = (logits / 0.7).softmax(-1).max(-1)
    share = replies.count(model.tokenizer.decode([int(token)])) / count
    assert share == pytest.approx(float(probability), abs=4 * (0.25 / count) ** 0.5)


def test_no_reply_where_none_is_asked_for() -> None:
    items, prompts = task(2, "completion")
    answers = LocalEngine(wide("gpt2"))(items, prompts, condition("completion", 2, max_tokens=0))
    assert {answer.reply for answer in answers} == {None}
    assert {answer.usage["output_tokens"] for answer in answers} == {0}


def test_model_in_training_mode_answers_without_dropout_or_gradients() -> None:
    model = wide("gpt2")  # drops out a tenth of everything while it trains
    items, prompts = task(2, "completion")
    asked = condition("completion", 2, max_tokens=0)
    first = LocalEngine(model)(items, prompts, asked)
    model.hugging_face.train()
    assert LocalEngine(model)(items, prompts, asked) == first
    assert all(weight.grad is None for weight in model.hugging_face.parameters())


def test_model_can_be_used_as_before() -> None:
    model = wide("gpt_neox")
    rows = torch.arange(40)[None]
    before = model.logits(rows)
    items, prompts = task(2, "completion")
    LocalEngine(model)(items, prompts, condition("completion", 2))
    assert torch.equal(model.logits(rows), before)


def test_nothing_to_ask() -> None:
    assert LocalEngine(wide("gpt2"))([], [], condition("completion", 2)) == []


def test_prompt_beyond_the_context_is_refused_with_its_reply() -> None:
    model = wide("gpt_neox")
    items, prompts = task(2, "completion", count=2)
    longest = max(len(ids) for ids, _ in tokenise(prompts, model.tokenizer, None))
    model.n_ctx = longest + 5
    assert LocalEngine(model)(items, prompts, condition("completion", 2, max_tokens=5))
    with pytest.raises(ValueError, match="take a smaller k"):
        LocalEngine(model)(items, prompts, condition("completion", 2, max_tokens=6))


def test_reply_without_a_longest_length_is_refused() -> None:
    items, prompts = task(2, "completion", count=2)
    with pytest.raises(ValueError, match="max_tokens"):
        LocalEngine(wide("gpt2"))(items, prompts, condition("completion", 2, max_tokens=None))


def test_packs_keep_order_and_size() -> None:
    packs = list(packs_of([2, 3, 20, 1, 2], batch_tokens=5))
    assert packs == [[0, 1], [2], [3, 4]]
    assert list(groups(packs, 3)) == [[[0, 1], [2]], [[3, 4]]]
    assert list(groups(packs, 1)) == [[pack] for pack in packs]


def test_seeds_are_the_same_everywhere() -> None:
    assert seed_of(0, "fresh-1/0/rhyme/test/17") == 58484009502562604
    assert seed_of(0, "a") != seed_of(1, "a") != seed_of(1, "b")


def test_fifty_shots_on_the_embedded_model() -> None:
    model = load_language_model("embedded", device="cpu")
    items = made_items(6)
    prompts = render(items, choose_shots(made_items(60, "dev"), 50), "completion")
    asked = condition("completion", 50)
    assert_alike(LocalEngine(model)(items, prompts, asked), alone(model, items, prompts, asked))


@pytest.mark.parametrize(("opening", "scored"), [("<think>\n", False), ("<think>\n\n</think>\n\n", True)])
def test_where_a_template_opens_thoughts_no_letter_is_read_in_them(opening: str, scored: bool) -> None:
    model = wide("qwen2")
    model.tokenizer.chat_template = f"{TEMPLATE}{{{{ {opening!r} }}}}"
    items, prompts = task(4, "chat", count=2)
    for answer in LocalEngine(model)(items, prompts, condition("chat", 4, max_tokens=2)):
        assert (answer.log_probabilities is not None) == scored
        assert answer.reply is not None and (answer.rendered or "").endswith(opening)


@pytest.mark.parametrize("architecture", ["gpt_neox", "bloom"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_whose_weights_are_no_numbers_answers_nothing(
    architecture: str, temperature: float, value: float
) -> None:
    model = wide(architecture)
    name, weight = next(iter(model.hugging_face.named_parameters()))
    weight.data.view(-1)[:] = value
    items, prompts = task(2, "completion", count=3)
    with pytest.raises(FloatingPointError, match=rf"log-probabilities are nan; its weights {name} hold NaN"):
        LocalEngine(model)(items, prompts, condition("completion", 2, temperature=temperature, max_tokens=4))


def test_numbers_that_ran_over_are_no_fault_of_the_weights() -> None:
    model = wide("gpt2")
    model.hugging_face.get_output_embeddings().register_forward_hook(lambda *args: args[2] * torch.inf)
    items, prompts = task(2, "completion", count=3)
    with pytest.raises(FloatingPointError, match="its numbers, torch.float32, ran over: ask it with another dtype"):
        LocalEngine(model)(items, prompts, condition("completion", 2))
