"""The page of a repository with a run's SAEs: what they are, how good, made from what, and how they are read.

In: an experiment, and the rows of its evaluation that are of these SAEs. Out: Markdown with the header that the Hugging
Face Hub reads. Every number is one of the run's tables.
"""

from typing import TYPE_CHECKING

import pandas as pd

from saelib.language.loading import is_hub_name
from saelib.language.origin import model_origin, note_on
from saelib.results.provenance import commit
from saelib.results.tables import as_markdown
from saelib.results.text import escape_markdown, thousands
from saelib.sae.releases.push import public_name
from saelib.transfer.wording import choice_of_lambda, choice_of_scale, for_readers

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

METRICS = ("ce_score", "ce_increase", "l0", "explained_variance", "mse", "dead_latents")
TAGS = ["sparse-autoencoder", "saelens", "mechanistic-interpretability"]
SHOWN_COMMIT = 12  # characters


def model_card(experiment: "Experiment", repository: str, saes: pd.DataFrame, licence: str) -> str:
    """The page.

    Args:
        saes: rows of `evaluation.parquet`, one for each SAE, with its `place` in the repository.
        licence: under which the SAEs are given, as the hub abbreviates it: "mit", "apache-2.0", "cc-by-4.0".
    """
    parts = [
        _header(experiment, licence),
        _beginning(experiment, saes),
        "## The SAEs",
        as_markdown(for_readers(_listed(saes))),
        _about_numbers(experiment, saes),
        "## Reading one",
        _reading(repository, str(saes[saes["seed"] == saes["seed"].min()]["place"].iloc[-1])),
        "## How they were made",
        _making(experiment, saes),
        "## Lineage",
        _lineage(saes),
        "## Licence",
        _licence(experiment, licence),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _header(experiment: "Experiment", licence: str) -> str:
    from huggingface_hub import ModelCardData

    config = experiment.config
    base = config.language_model if is_hub_name(config.language_model) else None
    text = experiment.corpus.sources.get("data_set")
    header = ModelCardData(library_name="saelens", license=licence, tags=TAGS, base_model=base,
                           datasets=[text] if text else None)  # fmt: skip
    return f"---\n{header.to_yaml().strip()}\n---"


def _beginning(experiment: "Experiment", saes: pd.DataFrame) -> str:
    title = _model(experiment)
    layers = ", ".join(map(str, sorted(set(saes["sae_layer"]))))
    return (
        f"# Sparse autoencoders of {title}, by layer transfer\n\n"
        f"{len(saes)} SAEs of the residual stream after the layers {layers} of {title}: ReLU features with an L1 "
        f"penalty, d_in {experiment.model.d_model}, d_sae {experiment.d_sae}. The arm says how one began: `scratch` "
        "from random weights; `forward` and `backward` from the finished scratch SAE of a layer before or after, as a "
        "copy, or carried over by a linear map between the two layers (`_affine`, `_procrustes`)."
    )


def _listed(saes: pd.DataFrame) -> pd.DataFrame:
    keys = ["place", "arm", "sae_layer", "source_layer", "tokens", "source_tokens"]
    return saes[[*keys, *METRICS]].sort_values(["arm", "sae_layer", "place"])


def _about_numbers(experiment: "Experiment", saes: pd.DataFrame) -> str:
    kept = "" if saes["tokens"].gt(0).all() else " Those of 0 tokens are as they begin."
    return (
        f"Scored on {int(saes['eval_tokens'].iloc[0]):,} held-out tokens, the same for all. The CE-loss score is 1 "
        "where the reconstruction may stand in for the residual stream at no loss, and 0 where zeros may; L0 is how "
        f"many features fire for a token; dead are those that fire on no held-out token.{kept} Differences between "
        f"single SAEs may be chance: the run has {experiment.config.sae_seeds} replicate(s) of each."
    )


def _reading(repository: str, place: str) -> str:
    return (
        f'```python\nfrom saelib.sae.releases.load import load_release\n\nsae = load_release("{repository}", '
        f'"{place}")\n```\n\nor in SAELens 6:\n\n```python\nfrom sae_lens import SAE\n\n'
        f'sae = SAE.from_pretrained("{repository}", "{place}")\n```'
    )


def _making(experiment: "Experiment", saes: pd.DataFrame) -> str:
    config, settled = experiment.config, experiment.settled
    lambdas = ", ".join(f"{value:g}" for value in sorted(set(saes["l1_coefficient"])))
    lines = [
        f"Language model: {_model(experiment)}{_content(experiment, 'language_model')}{_note(experiment)}.",
        _stream(experiment),
        f"Text: {escape_markdown(public_name(config.corpus))}{_content(experiment, 'corpus')}, rows of "
        f"{config.context_length} tokens, {_begun(experiment)}.",
        f"Positions left out at the start of each row: {settled.skipped}.",
        f"λ (weight of the L1 penalty): {escape_markdown(choice_of_lambda(config))}; in the model's own units "
        f"{lambdas}. Residual streams divided in training by: {escape_markdown(choice_of_scale(config))}; the SAEs "
        "read them undivided.",
        f"Adam, learning rate {config.scratch.learning_rate:g} from random weights and "
        f"{config.transfer.learning_rate:g} for transfers, batches of {config.batch_tokens:,} tokens, schedule "
        f"`{config.schedule}`; from random weights {thousands(config.scratch.tokens)} tokens, transfers "
        f"{thousands(config.transfer.tokens)}.",
        f"Made by saelib, commit `{commit()[:SHOWN_COMMIT]}`; config `{config.sha256()[:SHOWN_COMMIT]}`.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _stream(experiment: "Experiment") -> str:
    if experiment.model.is_centred:
        return (
            "Residual stream: as TransformerLens has it with its default weight processing (LayerNorms folded, writing "
            "weights centred): each vector has mean 0. Activations of the model as transformers has it do not match."
        )
    return "Residual stream: as the model writes it; it is not centred, as the model has no LayerNorms."


def _begun(experiment: "Experiment") -> str:
    beginning = experiment.corpus.beginning
    if sink := beginning.get("sink_token"):
        return f"each with {escape_markdown(repr(sink))} in front"
    return "each with the BOS token in front" if beginning["prepend_bos"] else "no BOS token in front"


def _lineage(saes: pd.DataFrame) -> str:
    transfers = saes[saes["source_layer"].notna()]
    if transfers.empty:
        return "All of them began from random weights. `lineage.json` beside each has its seeds and its inputs."
    lines = [
        f"- `{row['place']}`: from the finished SAE of layer {row['source_layer']}, which had seen "
        f"{thousands(row['source_tokens'])} tokens"
        for row in transfers.sort_values(["arm", "sae_layer", "place"]).to_dict("records")
    ]
    return (
        "\n".join(lines)
        + "\n\n`lineage.json` beside each says the same, with seeds, and with hashes of the model and the text."
    )


def _licence(experiment: "Experiment", licence: str) -> str:
    of_model = model_origin(experiment.config.language_model).licence
    known = f"under {of_model}" if of_model else "under a licence of its own, which is not known here"
    return (
        f"The SAEs are given under `{licence}`. They hold nothing of the language model's weights, which are "
        f"{known}; the text has a licence of its own as well."
    )


def _model(experiment: "Experiment") -> str:
    return escape_markdown(public_name(model_origin(experiment.config.language_model).title))


def _note(experiment: "Experiment") -> str:
    """How its weights differ from those that its name makes one think of."""
    note = note_on(experiment.config.language_model)
    return f"; {note}" if note else ""


def _content(experiment: "Experiment", name: str) -> str:
    """The beginning of an input's hash or commit, in parentheses."""
    content = experiment.inputs.get(name)
    return f" (content `{content[:SHOWN_COMMIT]}`)" if content else ""
