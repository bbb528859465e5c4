"""Features as other people's viewers read them: the JSON of SAEDashboard's Neuronpedia runner.

In: profiles. Out: `interpret/neuronpedia/<SAE>/batch-0.json`, a folder for each SAE, as Neuronpedia's own converter
(`convert-saedashboard-to-neuronpedia-export.py`) takes it. Field names are those of sae-dashboard 0.8. Lists of what is
not measured here (correlated neurons, attention heads, all logits) stay empty, as they do there when they are left out.
"""

from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelib.interpret.features.statistics import HISTOGRAM_EDGES
from saelib.run.files import write_json
from saelib.run.lock import writing

if TYPE_CHECKING:
    import pandas as pd

    from saelib.interpret.features.profiles import Profile
    from saelib.interpret.interpretation import Interpretation
    from saelib.interpret.subjects import Subject

UNMEASURED = ("neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1",
              "correlated_neurons_indices", "correlated_neurons_l1", "correlated_neurons_pearson",
              "correlated_features_indices", "correlated_features_l1", "correlated_features_pearson",
              "logits_hist_data_bar_heights", "logits_hist_data_bar_values", "decoder_weights_dist")  # fmt: skip
TOP = {"bin_min": -1, "bin_contains": -1}  # how the format marks contexts that are the strongest, of no interval
DIGITS = 5  # that count; three after the point, as there, would leave nothing of a weak feature


def neuronpedia_batch(profile: "Profile", layer: int, **about: Any) -> dict[str, Any]:
    """All features of a profile that have contexts.

    Args:
        layer: whose residual stream is read.
        about: `model_id`, `sae_set`, `dataset`, `n_prompts_total` and `n_tokens_in_prompt`, as the format calls them.
    """
    whole = {name: about.pop(name) for name in ("model_id", "sae_set")}
    features = [
        _feature(feature, profile.features.loc[feature], profile.contexts_of(feature).to_dict("records")) | about
        for feature in sorted(profile.contexts["feature"].unique().tolist())
    ]
    return {**whole, "layer": layer, "sae_id_suffix": None, "features": features}


def write_neuronpedia(interpretation: "Interpretation", subjects: "Iterable[Subject] | None" = None) -> list[Path]:
    """Write the files of some SAEs; returns their paths.

    Args:
        subjects: None for all that were profiled.

    Raises:
        FileNotFoundError: one was not profiled yet; the message says how to do it.
        RunInUseError: another process is at work on the run.
    """
    from saelib.interpret.features.profiles import read_profile
    from saelib.sae.releases.push import public_name

    config = interpretation.experiment.config
    asked = dict.fromkeys(one for lineage in interpretation.lineages() for one in lineage)
    paths, rows = [], interpretation.rows()
    with writing(interpretation):
        for subject in asked if subjects is None else subjects:
            batch = neuronpedia_batch(
                read_profile(interpretation, subject),
                subject.act_layer,
                model_id=public_name(config.language_model),
                sae_set=f"{interpretation.config.run}-{subject.part}",
                dataset=public_name(config.corpus),
                n_prompts_total=len(rows),
                n_tokens_in_prompt=rows.shape[1],
            )
            paths.append(interpretation.interpret_folder / "neuronpedia" / subject.part / "batch-0.json")
            write_json(paths[-1], batch)
    return paths


def _feature(feature: int, line: "pd.Series", contexts: Iterable[Mapping[Hashable, Any]]) -> dict[str, Any]:
    counts = np.asarray(line["histogram"])
    used = np.flatnonzero(counts)
    middles = np.sqrt(HISTOGRAM_EDGES[:-1] * HISTOGRAM_EDGES[1:])  # of bins that are even on a logarithmic scale
    return {
        "feature_index": feature,
        **{name: [] for name in UNMEASURED},
        "neg_str": list(line["bottom_tokens"]),
        "neg_values": _rounded(line["bottom_logits"]),
        "pos_str": list(line["top_tokens"]),
        "pos_values": _rounded(line["top_logits"]),
        "frac_nonzero": float(line["density"]),
        "freq_hist_data_bar_values": _rounded(middles[used]),
        "freq_hist_data_bar_heights": counts[used].tolist(),
        "activations": list(map(partial(_activation, float(line["maximum"])), contexts)),
    }


def _activation(maximum: float, context: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {
        **TOP,
        "bin_max": _rounded([maximum])[0],
        "qualifying_token_index": int(context["peak"]),
        "tokens": list(context["texts"]),
        "values": _rounded(context["activations"]),
    }


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
