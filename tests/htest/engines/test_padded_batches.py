"""Replies in batches are those of one by one, for every architecture that is believed to allow it."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from saelib.htest.engines import padded_batches
from saelib.htest.engines.decoding import Decoding
from tests.helpers.framed_tokenizers import random_model
from tests.helpers.made_items import letter_tokenizer

PROMPTS = [[7, 9, 30, 41], list(range(20, 33)), [50, 51], [60, 61, 62, 63, 64, 65, 66]]
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 6},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256},
    "falcon": {"alibi": True},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 256},
    "gpt2": {"n_positions": 256},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 256},
    "mamba": {"state_size": 4},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "sliding_window": 6},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "sliding_window": 6},
    "phi3": {"num_key_value_heads": 2, "intermediate_size": 48, "pad_token_id": 0},
}
GREEDY = Decoding(6, 0.0, ())


@torch.inference_mode()
def one_by_one(model, decoding: Decoding) -> list[list[int]]:
    """By transformers' own greedy search."""
    config = GenerationConfig(max_new_tokens=decoding.max_tokens, do_sample=False, pad_token_id=0,
                              eos_token_id=list(decoding.stops) or None)  # fmt: skip
    found = []
    for ids in PROMPTS:
        tokens = torch.tensor([ids])
        whole = model.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=config)
        found.append(whole[0, len(ids) :].tolist())
    return found


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_replies_in_a_batch_are_those_of_one_by_one_where_the_proof_holds(architecture: str) -> None:
    model = random_model(letter_tokenizer(), architecture, **ARCHITECTURES[architecture]).hugging_face
    wanted = one_by_one(model, GREEDY)
    alone = [padded_batches.generate(model, [ids], [0], GREEDY)[0] for ids in PROMPTS]
    assert alone == wanted
    believed = padded_batches.agrees(model, PROMPTS)
    assert believed == (padded_batches.generate(model, PROMPTS, [0] * 4, GREEDY) == wanted)
    assert believed


@torch.inference_mode()
def test_a_reply_ends_at_its_stop_and_has_no_padding() -> None:
    model = random_model(letter_tokenizer(), "bloom", n_layer=2, n_head=4).hugging_face
    wanted = one_by_one(model, GREEDY)
    decoding = Decoding(6, 0.0, (wanted[1][2],))
    found = padded_batches.generate(model, PROMPTS, [0] * 4, decoding)
    assert found == one_by_one(model, decoding)
    assert found[1] == wanted[1][: wanted[1].index(wanted[1][2]) + 1]


@torch.inference_mode()
def test_samples_are_the_same_in_any_batch() -> None:
    model = random_model(letter_tokenizer(), "bloom", n_layer=2, n_head=4).hugging_face
    decoding = Decoding(6, 1.0, ())
    together = padded_batches.generate(model, PROMPTS, [5, 6, 7, 8], decoding)
    apart = [padded_batches.generate(model, [ids], [seed], decoding)[0]
             for ids, seed in zip(PROMPTS, (5, 6, 7, 8), strict=True)]  # fmt: skip
    assert together == apart
    assert padded_batches.generate(model, PROMPTS, [15, 16, 17, 18], decoding) != together


@torch.inference_mode()
def test_settings_that_a_model_brings_along_change_no_reply() -> None:
    model = random_model(letter_tokenizer(), "bloom", n_layer=2, n_head=4).hugging_face
    wanted = padded_batches.generate(model, PROMPTS, [0] * 4, GREEDY)
    own = GenerationConfig(
        suppress_tokens=[wanted[0][0]],
        begin_suppress_tokens=[wanted[1][0]],
        no_repeat_ngram_size=1,
        repetition_penalty=3.0,
        do_sample=True,
        top_k=3,
        min_new_tokens=4,
        max_length=2,
    )
    model.generation_config = own
    assert padded_batches.generate(model, PROMPTS, [0] * 4, GREEDY) == wanted
    assert model.generation_config is own


@torch.inference_mode()
def test_a_model_that_padding_changes_is_not_believed() -> None:
    model = random_model(letter_tokenizer(), "gpt2", n_positions=256).hugging_face
    plain = model.forward

    def blind(*arguments, attention_mask=None, position_ids=None, **options):  # sees padding, and counts it
        return plain(*arguments, **options)

    model.forward = blind
    assert not padded_batches.agrees(model, PROMPTS)


def test_batches_hold_rows_of_like_length_within_the_limit() -> None:
    assert list(padded_batches.places([5, 2, 9, 2, 30], 10)) == [[1, 3], [0], [2], [4]]
    assert list(padded_batches.places([], 10)) == []


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ["mistral", "gemma2", "bloom", "mamba"])
def test_scores_are_those_of_each_prompt_alone_from_logits_where_answers_are_read(architecture: str) -> None:
    model = random_model(letter_tokenizer(), architecture, **ARCHITECTURES[architecture]).hugging_face
    positions: list[int] = []
    watch = model.get_output_embeddings().register_forward_hook(lambda *call: positions.append(call[2].shape[1]))
    scores = padded_batches.score(model, [(ids, [[5], [6, 7]]) for ids in PROMPTS], batch_tokens=512)
    watch.remove()
    assert positions == [11]  # of 14: the two last ones of rows of 2, 3, 4, 5, 7, 8, 13 and 14 tokens
    for ids, found in zip(PROMPTS, scores, strict=True):
        chances = model(torch.tensor([[*ids, 6]])).logits[0].log_softmax(-1)
        assert found == pytest.approx([chances[-2, 5].item(), (chances[-2, 6] + chances[-1, 7]).item()], abs=1e-4)
