"""What the notebooks of paper 1 would fail at hours later: model, layers and text, and what is looked at of the SAEs.

In: what a run's settings open. Out: nothing, or an error; the weights of the model are not read.
"""

from typing import Any

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.lineages import check_looked_at
from saelib.language.corpus.load import AUSTEN, DOCSTRINGS, check_cut, load_corpus
from saelib.language.corpus.text_files import text_source
from saelib.transfer.experiment import Experiment
from saelib.transfer.model_fit import check_context, chosen_layers, without_transfers


def check_transfer(interpretation: Interpretation) -> None:
    """What paper 1 needs, and whether what is to be looked at is among what is trained.

    Raises:
        ValueError, FileNotFoundError: as `check_experiment`; or there are no transfers of a layer, arm or replicate,
            or more logit tokens are wanted than the model has.
    """
    from saelib.interpret.features.logit_tokens import check_logit_tokens
    from saelib.transfer.plans import transfer_plans

    experiment, was_read = interpretation.experiment, "corpus" in interpretation.inputs
    check_experiment(experiment)
    if not was_read and experiment.config.source is None:  # else its layer decides, which the first notebook reads
        config, sizes = experiment.config, _sizes(experiment)
        layers = chosen_layers(config, config.language_model, sizes.num_hidden_layers)
        check_looked_at(interpretation.config, transfer_plans(layers, config))
        check_logit_tokens(interpretation.config.logit_tokens, sizes.vocab_size)


def check_experiment(experiment: Experiment) -> None:
    """Device, model, layers and text of paper 1.

    Raises:
        ValueError, FileNotFoundError: they are not to be had, or do not fit each other.
    """
    from saelib.language.device import choose_device
    from saelib.language.sizes import longest_context

    config, name = experiment.config, experiment.config.language_model
    choose_device(config.device)
    if "corpus" in experiment.inputs:
        return
    sizes = _sizes(experiment)
    check_context(config, name, longest_context(sizes))
    layers = chosen_layers(config, name, sizes.num_hidden_layers)
    if without := without_transfers(config, layers):
        raise ValueError(f"{without}. The notebooks compare transfers; for scratch SAEs alone run 11_scratch_saes")
    check_text(experiment, _revision(experiment), sizes.vocab_size)


def _revision(experiment: Experiment) -> str | None:
    from saelib.language.loading import pinned_revision

    config = experiment.config
    return pinned_revision(config.language_model, config.revision, experiment.inputs.get("language_model"))


def _sizes(experiment: Experiment) -> Any:
    """What the model's config says, without its weights."""
    from saelib.language.loading import load_config

    return load_config(experiment.config.language_model, _revision(experiment))


def check_text(experiment: Experiment, revision: str | None, vocabulary: int) -> None:
    """Whether the novels, or a text of one's own, are there and have rows enough.

    The docstrings and hub data sets are left to the first notebook, which reads them before anything is computed.

    Raises:
        ValueError, FileNotFoundError: it is not there, cannot be read, is too short, or cannot be cut as is asked.
    """
    from saelib.language.loading import load_tokenizer

    config = experiment.config
    name = config.corpus
    check_cut(name, config.rows == "within")
    if name == AUSTEN or (name != DOCSTRINGS and text_source(name) is not None):
        tokenizer = load_tokenizer(config.language_model, revision)
        load_corpus(name, tokenizer, config.context_length, config.held_out_rows, config.data_seeds[0],
                    config.prepend_bos, vocabulary, sink_token=config.named_sink,
                    within_documents=config.rows == "within")  # fmt: skip
