"""Tails read in one sequence after a shared prefix get what each gets when its prompt is read alone."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from saelib.htest.engines.local import reader
from saelib.htest.engines.shared_prefix import SHARING, Segment, SharedPrefix, can_share, common_prefix, visible
from saelib.language.loading import load_language_model
from tests.helpers.small_models import small_model

SIZES = {"vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64, "head_dim": 8,
         "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "sliding_window": None}  # fmt: skip
TYPES = ("gpt_neox", "gpt2", "llama", "mistral", "qwen2", "qwen3", "olmo2", "phi", "stablelm", "gemma", "granite",
         "smollm3", "starcoder2", "cohere", "phi3", "mixtral")  # fmt: skip
PREFIX, TAILS = list(range(1, 18)), [[30], [31, 32, 33], [31, 32, 40, 41], [50, 51], [30, 30]]


def made(model_type: str, **changes) -> PreTrainedModel:
    config = AutoConfig.for_model(model_type, **SIZES | changes)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, mean=1.0 if weight.ndim == 1 else 0.0, std=0.3)
    return model


@torch.inference_mode()
def alone(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)


@torch.inference_mode()
def together(model: PreTrainedModel, prefix: list[int], tails: list[list[int]]) -> torch.Tensor:
    shared = SharedPrefix(model, prefix)
    return shared.extend([Segment(place, 0, len(prefix), tail, kept=1) for place, tail in enumerate(tails)])


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_sharing_architecture_reads_tails_as_if_alone(model_type: str, attention: str) -> None:
    model = made(model_type)
    model.set_attn_implementation(attention)
    assert can_share(model)
    wanted = torch.stack([alone(model, PREFIX + tail) for tail in TAILS])
    assert wanted.std() > 0.1  # not all alike, so that a tail that saw another one would show
    torch.testing.assert_close(together(model, PREFIX, TAILS), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("model_type", TYPES)
@torch.inference_mode()
def test_tails_that_were_set_aside_go_on_together_as_if_alone(model_type: str) -> None:
    model = made(model_type)
    shared = SharedPrefix(model, PREFIX)
    read, aside = [], []
    for part in (TAILS[:2], TAILS[2:]):
        read.append(shared.extend([Segment(place, 0, len(PREFIX), tail, 1) for place, tail in enumerate(part)]))
        aside.append(shared.set_aside())
    torch.testing.assert_close(torch.cat(read), torch.stack([alone(model, PREFIX + tail) for tail in TAILS]),
                               atol=2e-5, rtol=0)  # fmt: skip
    shared.put_back(aside)
    more = [[70 + place] for place in range(len(TAILS))]
    found = shared.extend([Segment(place, 0, len(PREFIX + tail), more[place], 1) for place, tail in enumerate(TAILS)])
    wanted = torch.stack([alone(model, PREFIX + tail + new) for tail, new in zip(TAILS, more, strict=True)])
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_the_embedded_models_own_cache_says_that_nothing_can_be_set_aside() -> None:
    shared = SharedPrefix(reader(load_language_model("embedded", "cpu")), [])
    assert not shared.can_set_aside
    with pytest.raises(TypeError, match="keeps a cache of its own"):
        shared.set_aside()


def test_all_architectures_that_share_are_tested() -> None:
    assert {type(made(model_type)).__name__ for model_type in TYPES} == SHARING


@pytest.mark.parametrize("architecture", ["gpt_neox", "gpt2"])
def test_no_prefix_at_all(architecture: str) -> None:
    model = small_model(architecture)
    wanted = torch.stack([alone(model, tail) for tail in TAILS])
    torch.testing.assert_close(together(model, [], TAILS), wanted, atol=2e-5, rtol=0)


@torch.inference_mode()
def test_branches_see_their_tail_but_not_each_other() -> None:
    model = small_model("llama")
    shared = SharedPrefix(model, PREFIX)
    shared.extend([Segment(place, 0, len(PREFIX), tail, kept=1) for place, tail in enumerate(TAILS)])
    end = len(PREFIX) + len(TAILS[1])
    branches = shared.extend([Segment(1, 1, end, [60, 61], kept=2), Segment(1, 2, end, [70], kept=1)])
    whole = PREFIX + TAILS[1]
    wanted = torch.stack([alone(model, [*whole, 60]), alone(model, [*whole, 60, 61]), alone(model, [*whole, 70])])
    torch.testing.assert_close(branches, wanted, atol=2e-5, rtol=0)
    further = shared.extend([Segment(1, 0, end, [80], kept=1)])
    torch.testing.assert_close(further[0], alone(model, [*whole, 80]), atol=2e-5, rtol=0)


@torch.inference_mode()
def test_forgotten_tails_leave_no_trace() -> None:
    model = small_model()
    shared = SharedPrefix(model, PREFIX)
    runs = [Segment(place, 0, len(PREFIX), tail, kept=1) for place, tail in enumerate(TAILS)]
    first = shared.extend(runs)
    shared.forget()
    shared.extend(runs[:2])
    shared.forget()
    torch.testing.assert_close(shared.extend(runs), first, atol=0, rtol=0)


def test_visible_columns() -> None:
    columns = torch.tensor([(-1, 0), (0, 0), (1, 0), (0, 1), (0, 2), (0, 0)])
    seen = visible(columns, new=4)
    assert seen.int().tolist() == [[1, 0, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0], [1, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("mistral", {"sliding_window": 8}),
        ("qwen2", {"sliding_window": 8, "use_sliding_window": True, "max_window_layers": 1}),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}}),
        ("bloom", {}),  # ALiBi: distances are counted in the mask
        ("mamba", {"state_size": 4}),
    ],
)
def test_architectures_with_other_ideas_of_place_do_not_share(model_type: str, changes: dict) -> None:
    assert not can_share(made(model_type, **changes))


def test_common_prefix_leaves_a_token_of_each() -> None:
    assert common_prefix([[1, 2, 3], [1, 2, 4], [1, 2, 3, 5]]) == 2
    assert common_prefix([[1, 2], [1, 2, 3]]) == 1
    assert common_prefix([[1, 2, 3]]) == 2
    assert common_prefix([[1], [2, 3]]) == 0
