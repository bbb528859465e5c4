"""saelib: experiments of two papers, layer transfer of sparse autoencoders (SAEs) and H-Test.

What to type first, layer transfer:

    >>> from saelib import open_experiment, train_phase, evaluate_phase
    >>> experiment = open_experiment(preset="smoke", run="mine")      # nothing is written yet
    >>> train_phase(experiment, "scratch")                            # an SAE for each layer, from random weights
    >>> train_phase(experiment, "transfer")                           # forward and backward, as copies and by maps
    >>> table = evaluate_phase(experiment, "transfer")                # one row for each SAE and checkpoint
    >>> sae = experiment.sae("forward", layer=1)                      # one of them, to look into

What they carry:

    >>> from saelib import features_of, open_interpretation
    >>> interpretation = open_interpretation(preset="smoke", run="mine")
    >>> features_of("The list is empty.", interpretation, arm="forward_affine", layer=3)

H-Test:

    >>> from saelib import open_study
    >>> from saelib.htest.stages import ask_models
    >>> study = open_study(preset="smoke", run="mine")
    >>> replies = ask_models(study, ["embedded"], shots=[4])

Without an experiment: `load_language_model(name)`, `load_sae(folder)`, `train(...)` and `evaluate(...)`. What may
be told stands in `help(saelib.ExperimentConfig)`, `help(saelib.InterpretConfig)` and `help(saelib.HTestConfig)`.

The rooms, one way: each imports only from those before it.

    run         what is a run on disk?
    results     what is a number, how sure, how shown?
    language    the language model and its text
    sae         one SAE: what it computes, how it trains, how it scores
    transfer    paper 1: who starts from whom, and what does it save?
    interpret   paper 1: what does a transfer carry, in features and circuits?
    htest       paper 2: what is asked, who answers, how often is that right?
    batch       the run as a whole: notebooks, the report, what is published
"""

from typing import TYPE_CHECKING

import lazy_loader

from saelib.run.waiting import wait_passively

__version__ = "0.1.0"

wait_passively()

if TYPE_CHECKING:
    from saelib.htest.config import HTestConfig as HTestConfig
    from saelib.htest.study import open_study
    from saelib.interpret.config import InterpretConfig as InterpretConfig
    from saelib.interpret.features.of_text import features_of
    from saelib.interpret.interpretation import open_interpretation
    from saelib.language.loading import load_language_model
    from saelib.sae.evaluation import evaluate
    from saelib.sae.folder import load_sae
    from saelib.sae.training.train import train
    from saelib.transfer.config import ExperimentConfig as ExperimentConfig
    from saelib.transfer.experiment import open_experiment
    from saelib.transfer.stages import evaluate_phase, train_phase

# The configs are here too; left out of this list, which is what `help(saelib)` prints in full.
__all__ = ["evaluate", "evaluate_phase", "features_of", "load_language_model", "load_sae", "open_experiment",
           "open_interpretation", "open_study", "train", "train_phase"]  # fmt: skip

# Loaded when first used: `import saelib` itself must not wait for torch.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "htest.config": ["HTestConfig"],
        "htest.study": ["open_study"],
        "interpret.config": ["InterpretConfig"],
        "interpret.features.of_text": ["features_of"],
        "interpret.interpretation": ["open_interpretation"],
        "language.loading": ["load_language_model"],
        "sae.evaluation": ["evaluate"],
        "sae.folder": ["load_sae"],
        "sae.training.train": ["train"],
        "transfer.config": ["ExperimentConfig"],
        "transfer.experiment": ["open_experiment"],
        "transfer.stages": ["evaluate_phase", "train_phase"],
    },
)
