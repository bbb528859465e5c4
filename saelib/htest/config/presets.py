"""The configs that the kit comes with, by name, and how one is taken with changes.

In: a preset's name and overrides. Out: an `HTestConfig`.
"""

from typing import Any

from saelib.htest.config.fields import HTestConfig
from saelib.htest.config.fine_tuning import FineTuning
from saelib.run.config import resolve

PRESETS: dict[str, HTestConfig] = {
    # The default: minutes on two CPU cores, offline. A chain of thought says nothing in a model of this size: a few
    # items show that the way is there.
    "tiny": HTestConfig(
        preset="tiny",
        run="tiny",
        seed=0,
        models=("embedded",),
        chain_of_thought_items=20,
        chain_of_thought_tokens=32,
        fine_tuning=FineTuning(evaluations_per_epoch=2),
    ),
    # For tests: the whole pipeline in seconds, with numbers that mean nothing.
    "smoke": HTestConfig(
        preset="smoke",
        run="smoke",
        seed=0,
        official="none",
        models=("embedded",),
        shots=(4,),
        test_items=10,
        ablation_shots=(0, 2, 4),
        shuffles=1,
        chain_of_thought_items=2,
        chain_of_thought_tokens=4,
        fine_tuning=FineTuning(items=20, epochs=1),
    ),
    # An instruction-tuned model of 135M parameters. The completion form comes first: in chat it says A to nearly
    # everything, and the ablations would show that alone. Chat, whose prompts are twice as long, is asked a part of the
    # items; so are most orders of the shots, on one set, since each is read anew. Tuned by LoRA on one task of look and
    # one of sound, those with the shortest texts; the learning rate is usual for LoRA, and not tried. A judge of its
    # own size may say A to every thought: what the parsers make of the thoughts stands beside it.
    "smollm2": HTestConfig(
        preset="smollm2",
        run="smollm2",
        seed=0,
        models=("smollm2",),
        shots=(0, 4, 14, 28, 50),
        form="completion",
        other_forms=("chat",),
        other_form_items=30,
        calibration=True,
        ablation_model="smollm2",
        shuffles=10,
        fresh_shuffles=3,
        family=("embedded", "smollm2"),
        chain_of_thought_items=50,
        chain_of_thought_tokens=48,
        judge="smollm2",
        fine_tuning_model="smollm2",
        fine_tuning_tasks=("palindrome", "rhyme"),
        fine_tuning=FineTuning(epochs=2, batch_size=16, learning_rate=5e-4, evaluations_per_epoch=2, method="lora"),
    ),
    # The recipe of fine-tuning has not been tried on this model; the learning rate is a usual one for its size.
    "pythia-160m": HTestConfig(
        preset="pythia-160m",
        run="pythia-160m",
        seed=0,
        models=("EleutherAI/pythia-160m-deduped",),
        ablation_model="EleutherAI/pythia-160m-deduped",
        family=("pythia",),
        chain_of_thought_items=20,
        fine_tuning_model="EleutherAI/pythia-160m-deduped",
        fine_tuning=FineTuning(learning_rate=5e-5),
    ),
}

# A batch run asks both papers by one name: this is the same study, beside the longer layer transfer.
PRESETS["smollm2-long"] = PRESETS["smollm2"].replace(preset="smollm2-long", run="smollm2-long")


def resolve_htest_config(**parameters: Any) -> HTestConfig:
    """A preset of `PRESETS` with overrides, checked by `run.config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)
