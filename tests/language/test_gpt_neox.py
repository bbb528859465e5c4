"""GPT-NeoX in plain PyTorch gives what transformers' class gives, to the last bit."""

import json
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, GPTNeoXForCausalLM

from saelib.language import embedded, gpt_neox
from saelib.language.deferred import read_plain_model
from saelib.language.forward_pass import BarePass
from saelib.language.gpt_neox import KeyValueCache
from saelib.language.gpt_neox_config import plain_config
from tests.helpers.small_models import random_rows, save_small_model

CPU = torch.device("cpu")


def both(folder: Path) -> tuple[gpt_neox.GPTNeoXForCausalLM, GPTNeoXForCausalLM]:
    plain = read_plain_model(folder, sorted(folder.glob("*.safetensors")), CPU)
    assert plain is not None
    return plain, GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=["embedded", "random"])
def twins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[gpt_neox.GPTNeoXForCausalLM, GPTNeoXForCausalLM]:
    is_embedded = request.param == "embedded"
    return both(embedded.EMBEDDED_FOLDER if is_embedded else save_small_model(tmp_path_factory.mktemp("random")))


@torch.inference_mode()
def test_logits_are_equal(twins: tuple) -> None:
    plain, wanted = twins
    tokens = torch.from_numpy(random_rows(3)).long()
    assert torch.equal(plain(tokens).logits, wanted(tokens).logits)
    assert torch.equal(plain(tokens[:, :1]).logits, wanted(tokens[:, :1]).logits)
    for kept in (1, torch.tensor([0, 5])):
        assert torch.equal(
            plain(tokens, logits_to_keep=kept).logits, wanted(tokens, logits_to_keep=kept, use_cache=False).logits
        )


@torch.inference_mode()
def test_a_cache_is_gone_on_from_and_cropped_as_by_transformers(twins: tuple) -> None:
    tokens = torch.from_numpy(random_rows(1)).long()
    answers = []
    for model, cache in zip(twins, (KeyValueCache(), DynamicCache()), strict=True):
        model(input_ids=tokens[:, :20], past_key_values=cache, use_cache=True)
        cache.crop(-3)
        mask = torch.full((1, 1, 9, 26), torch.finfo(torch.float32).min).triu(18)
        positions = torch.arange(30, 39)[None]  # not the places in the cache: what is given counts
        output = model(input_ids=tokens[:, 20:29], position_ids=positions, attention_mask=mask, past_key_values=cache)
        answers.append((output.logits, cache.get_seq_length()))
    assert torch.equal(answers[0][0], answers[1][0])
    assert [length for _, length in answers] == [26, 26]


def test_to_go_on_without_positions_or_mask_is_refused(twins: tuple) -> None:
    cache, tokens = KeyValueCache(), torch.zeros(1, 4, dtype=torch.long)
    with torch.inference_mode():
        twins[0](tokens, past_key_values=cache)
        with pytest.raises(ValueError, match="give positions and a mask"):
            twins[0](tokens, past_key_values=cache)


def test_the_passes_of_the_experiment_are_equal(twins: tuple) -> None:
    plain, wanted = (BarePass(model) for model in twins)
    tokens = torch.from_numpy(random_rows(2)).long()
    streams = plain.residual_streams(tokens, [0, 2])
    assert torch.equal(streams, wanted.residual_streams(tokens, [0, 2]))
    assert torch.equal(plain.logits_from(streams[0], 0, tokens), wanted.logits_from(streams[0], 0, tokens))


def test_only_the_attention_that_is_here_can_be_chosen(twins: tuple) -> None:
    with pytest.raises(ValueError, match="attention 'eager' is transformers' own"):
        twins[0].set_attn_implementation("eager")


def test_nothing_is_drawn_while_room_is_made() -> None:
    state = torch.random.get_rng_state()
    config = plain_config(json.loads((embedded.EMBEDDED_FOLDER / "config.json").read_text()))
    assert config is not None
    gpt_neox.GPTNeoXForCausalLM(config, gpt_neox.GenerationSettings(0))
    assert torch.equal(torch.random.get_rng_state(), state)
