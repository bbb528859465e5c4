"""A way through a model is compared with the model before it is used, and what differs is named."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

from saelib.language import bridge, forward_pass
from saelib.language.bridge import folded_bridge
from saelib.language.forward_pass import BarePass, Parts, has_bare_pass
from saelib.language.gpt_neox_equations import gpt_neox_outputs
from saelib.language.hooked_pass import HookedPass
from saelib.language.model import LanguageModel
from saelib.language.proof import MismatchError, OwnOutputs, check_outputs, check_pass, own_outputs, proof_rows
from tests.helpers.families import small_family
from tests.helpers.small_models import SIZES, VOCABULARY, close, small_model, small_tokenizer, with_random_weights

ROWS = proof_rows(VOCABULARY, None)


def language_model(model: Any) -> LanguageModel:
    return LanguageModel("./small", "", model, small_tokenizer())


def test_rows_are_fixed_valid_and_begin_alike() -> None:
    assert torch.equal(ROWS, proof_rows(VOCABULARY, 1000))
    assert ROWS.shape == (2, 16) and int(ROWS.min()) >= 0 and int(ROWS.max()) < VOCABULARY
    assert torch.equal(ROWS[0, :8], ROWS[1, :8]) and not torch.equal(ROWS[0, 8:], ROWS[1, 8:])
    assert proof_rows(VOCABULARY, 5).shape == (2, 5)


@pytest.mark.parametrize(
    ("window", "longest", "context"), [(8, 64, 24), (512, None, 528), (513, None, 16), (60, 64, 64)]
)
def test_rows_reach_over_a_window(window: int, longest: int | None, context: int) -> None:
    rows = proof_rows(VOCABULARY, longest, window)
    assert rows.shape == (2, context)
    assert torch.equal(rows[0, : context // 2], rows[1, : context // 2])


def test_a_wrong_bare_pass_gives_way_to_the_model_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_rotation(model: Any) -> Parts:
        right = forward_pass._llama(model)
        cos, sin = model.model.rotary_emb(torch.zeros(1, 1, 32), torch.zeros(1, 1, dtype=torch.long))
        return right._replace(layer_arguments=lambda residual: {"position_embeddings": (cos, sin)})

    monkeypatch.setitem(forward_pass.PARTS, "LlamaForCausalLM", no_rotation)
    plain = small_model("llama")
    model = language_model(plain)
    with torch.no_grad():
        assert close(model.logits(ROWS).log_softmax(-1), plain(ROWS).logits.log_softmax(-1))
    assert isinstance(model._pass, HookedPass) and not model.thread_safe
    with pytest.raises(MismatchError, match=r"the residual stream of layer 0 is off by 1\.\d of its length"):
        check_pass(BarePass(plain), own_outputs(plain, ROWS), ROWS)


def test_what_only_longer_rows_would_show_is_left_to_the_model() -> None:
    sizes = SIZES | {"num_key_value_heads": 2}
    assert has_bare_pass(LlamaForCausalLM(LlamaConfig(**sizes)))
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    assert not has_bare_pass(LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters=rope)))
    sliding = Qwen2Config(**sizes, use_sliding_window=True, sliding_window=24, max_window_layers=1)
    model = with_random_weights(Qwen2ForCausalLM(sliding))
    assert not has_bare_pass(model)
    rows = torch.randint(VOCABULARY, (1, 64))
    with torch.no_grad():  # beyond the window of 24, which rows of 16 tokens do not show
        assert close(language_model(model).logits(rows).log_softmax(-1), model(rows).logits.log_softmax(-1))


def test_a_wrong_way_to_go_on_is_named_with_its_layer() -> None:
    plain = small_model("gpt_neox")
    right = language_model(plain)._pass

    class Forgets(HookedPass):
        def head_inputs_from(self, residual: Any, layer: int, tokens: Any) -> Any:
            return super().head_inputs_from(residual if layer < 1 else residual * 2, layer, tokens)

    with pytest.raises(MismatchError, match=r"log-probabilities going on from layer 1 are off by \d"):
        check_pass(Forgets(plain, right.head, centred=True), own_outputs(plain, ROWS), ROWS)


def test_streams_are_not_centred_where_the_mean_matters() -> None:
    plain = small_model("llama")
    right = language_model(plain)._pass
    assert not right.centred
    with pytest.raises(MismatchError, match="going on from layer 0"):
        check_pass(HookedPass(plain, right.head, centred=True), own_outputs(plain, ROWS), ROWS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_never_agrees(value: float) -> None:
    own = own_outputs(small_model(), ROWS)
    broken = own.logits.clone()
    broken[0, 0, 0] = value
    with pytest.raises(MismatchError, match="log-probabilities are off"):
        check_outputs(OwnOutputs(own.streams, broken), own, centred=True)
    broken = own.streams.clone()
    broken[2, 0, 0, 0] = value
    with pytest.raises(MismatchError, match="layer 2 is off"):
        check_outputs(OwnOutputs(broken, own.logits), own, centred=True)


def test_the_equations_of_gpt_neox_give_transformers_numbers() -> None:
    plain = small_model("gpt_neox")
    found = gpt_neox_outputs(plain.state_dict(), _with_head_size(plain.config), ROWS)
    own = own_outputs(plain, ROWS)
    assert close(found.streams, own.streams) and close(found.logits, own.logits)


def test_scores_whose_exponential_is_infinite_are_no_difference() -> None:
    plain = small_model("gpt_neox")
    with torch.no_grad():
        for layer in plain.gpt_neox.layers:
            layer.attention.query_key_value.weight *= 8
    scores = []
    for layer in plain.gpt_neox.layers:
        layer.attention.query_key_value.register_forward_hook(lambda module, inputs, output: scores.append(output))
    own = own_outputs(plain, ROWS)
    query, key, _ = scores[0].unflatten(-1, (4, 3, 8)).unbind(-2)
    assert torch.einsum("rqhd,rkhd->rhqk", query, key).max() / 8**0.5 > 89
    found = gpt_neox_outputs(plain.state_dict(), _with_head_size(plain.config), ROWS)
    check_outputs(found, own, centred=False)


def _with_head_size(config: Any) -> Any:
    config.head_size = config.hidden_size // config.num_attention_heads
    return config


def test_a_bridge_that_forgets_a_window_wider_than_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = (
        with_random_weights(MistralForCausalLM(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=window)))
        for window in (24, 64)
    )
    wide.load_state_dict(narrow.state_dict())
    assert close(wide(ROWS).logits, narrow(ROWS).logits)
    assert language_model(narrow).has_bridge
    monkeypatch.setattr(
        bridge, "folded_bridge", lambda name, model, tokenizer, way: folded_bridge(name, wide, tokenizer, way)
    )
    with pytest.raises(MismatchError, match=r"bridge of ./small .* the residual stream of layer 0 is off by"):
        language_model(narrow).bridge  # noqa: B018


def test_a_model_in_half_precision_is_refused_for_passes() -> None:
    with pytest.raises(ValueError, match=r"is in torch.bfloat16; passes for SAEs need float32"):
        language_model(small_model().bfloat16()).logits(ROWS)


def test_tokens_that_later_layers_read_again_are_the_rows_own() -> None:
    model = language_model(small_family("gemma4_text"))
    stream = model.residual_streams(ROWS, [1])[0]
    clean = model.logits(ROWS)
    assert close(model.logits_from(stream, 1, ROWS), clean)
    assert not close(model.logits_from(stream, 1, torch.zeros_like(ROWS)), clean)
    with pytest.raises(ValueError, match=r"\(2, 16, 32\) is not of token rows \(2, 15\)"):
        model.logits_from(stream, 1, ROWS[:, 1:])
