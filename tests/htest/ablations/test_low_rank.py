"""LoRA: what is learnt is a product of two thin matrices beside each linear map, and the model is a plain one again."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from saelib.htest.ablations.fine_tuning import fine_tune
from saelib.htest.ablations.letter_training import encode, fit
from saelib.htest.ablations.low_rank import what_is_trained
from saelib.htest.ablations.tuned_folder import DESCRIPTION
from saelib.htest.config import FineTuning
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.run.reading import read_json
from tests.helpers.made_items import letter_tokenizer, made_items
from tests.helpers.small_models import ARCHITECTURES, small_model

RECIPE = FineTuning(items=16, epochs=3, batch_size=8, learning_rate=1e-2, method="lora", lora_rank=2, lora_alpha=4)
ITEMS = made_items(16, "train")


def tuned(architecture: str, recipe: FineTuning) -> tuple[dict[str, torch.Tensor], PreTrainedModel, torch.Tensor]:
    """Weights before, the model after, and logits just before the matrices were added to it."""
    tokenizer = letter_tokenizer()
    model = small_model(architecture)
    model.resize_token_embeddings(len(tokenizer))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    examples = encode(ITEMS, LanguageModel("small", "", model, tokenizer), "none")
    with what_is_trained(model, recipe):
        assert sum(weight.requires_grad for weight in model.parameters()) > 0
        list(fit(model, examples, recipe))
        with torch.no_grad():
            beside = model(torch.tensor([examples[0].prompt])).logits
    return before, model, beside


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_linear_map_but_the_head_changes_by_a_product_of_the_rank_and_nothing_else_does(architecture: str) -> None:
    before, model, beside = tuned(architecture, RECIPE)
    after = model.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    head = model.get_output_embeddings()
    maps = {f"{name}.weight" for name, module in model.named_modules()
            if type(module).__name__ in ("Linear", "Conv1D") and module is not head}  # fmt: skip
    assert changed == maps
    for name in changed:
        sizes = torch.linalg.svdvals((after[name] - before[name]).double())
        assert sizes[1] > 1e-5 and sizes[2] < 1e-6, (name, sizes[:3])  # of rank two
    with torch.no_grad():
        prompt = encode(ITEMS, LanguageModel("small", "", model, letter_tokenizer()), "none")[0].prompt
        torch.testing.assert_close(model(torch.tensor([prompt])).logits, beside, atol=1e-4, rtol=1e-4)
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_first_step_is_scaled_by_alpha_over_rank() -> None:
    """Beside B = 0 only B learns at first, and Adam's first step is the learning rate, whatever the gradient's size."""
    recipe = RECIPE.replace(items=8, epochs=1, warm_up=0.0)
    one, two = (tuned("llama", recipe.replace(lora_alpha=alpha))[1].state_dict() for alpha in (4, 8))
    before = tuned("llama", recipe)[0]
    name = "model.layers.0.self_attn.q_proj.weight"
    torch.testing.assert_close(two[name] - before[name], 2 * (one[name] - before[name]), atol=1e-4, rtol=1e-2)


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    torch.manual_seed(7)
    first = tuned("gpt_neox", RECIPE)[1].state_dict()
    torch.manual_seed(8)
    second, other = (tuned("gpt_neox", RECIPE.replace(seed=seed))[1].state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_model_that_was_tuned_so_is_kept_as_a_plain_one(random_model_folder: Path, tmp_path: Path) -> None:
    probes = {"held out": made_items(8)}
    items = [replace(item, text=f"{item.text} again") for item in made_items(16, "train")]
    curve = fine_tune(str(random_model_folder), None, items, probes, RECIPE, tmp_path / "tuned", "cpu")
    described = read_json(tmp_path / "tuned" / DESCRIPTION)
    assert described["inputs"]["recipe"]["method"] == "lora"
    assert described["versions"] == {"peft": version("peft")}
    assert 0 < described["trained_weights"] < described["weights"]
    base, kept = (load_language_model(str(path), "cpu") for path in (random_model_folder, tmp_path / "tuned"))
    assert kept.hugging_face.state_dict().keys() == base.hugging_face.state_dict().keys()
    training = curve[curve["probe"] == "training"]["loss"]
    assert training.iloc[-1] < training.iloc[0]
    again = fine_tune(str(random_model_folder), None, items, probes, RECIPE, tmp_path / "tuned", "cpu")
    assert again.equals(curve)
    with pytest.raises(ValueError, match="another recipe"):
        fine_tune(str(random_model_folder), None, items, probes, RECIPE.replace(lora_rank=3), tmp_path / "tuned", "cpu")
