"""The export has the fields that SAEDashboard's reader takes, and the numbers of the profiles."""

import itertools
import json
from pathlib import Path

import pytest

from saelib.interpret.dashboard.neuronpedia import neuronpedia_batch, write_neuronpedia
from saelib.interpret.features.profiles import read_profile
from saelib.interpret.features.statistics import HISTOGRAM_EDGES
from saelib.interpret.interpretation import Interpretation
from tests.interpret.conftest import CopyInterpretation

# Arguments of NeuronpediaDashboardFeature, ...Activation and ...Batch in sae-dashboard 0.8.0.
FEATURE = {"feature_index", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1",
           "correlated_neurons_indices", "correlated_neurons_l1", "correlated_neurons_pearson",
           "correlated_features_indices", "correlated_features_l1", "correlated_features_pearson", "neg_str",
           "neg_values", "pos_str", "pos_values", "frac_nonzero", "freq_hist_data_bar_values",
           "freq_hist_data_bar_heights", "logits_hist_data_bar_heights", "logits_hist_data_bar_values",
           "n_prompts_total", "n_tokens_in_prompt", "dataset", "activations", "decoder_weights_dist"}  # fmt: skip
ACTIVATION = {"bin_min", "bin_max", "bin_contains", "qualifying_token_index", "tokens", "values"}
BATCH = {"model_id", "layer", "sae_set", "sae_id_suffix", "features"}


@pytest.fixture(scope="module")
def written(profiled: Interpretation):
    subject = profiled.lineages()[0].transferred
    (path,) = write_neuronpedia(profiled, [subject])
    return subject, path, json.loads(path.read_text(encoding="utf-8"))


def test_the_file_lies_where_a_converter_looks(profiled: Interpretation, written) -> None:
    subject, path, _ = written
    assert path == profiled.interpret_folder / "neuronpedia" / subject.part / "batch-0.json"


def test_fields_are_those_of_the_format(written) -> None:
    _, _, batch = written
    assert set(batch) == BATCH
    for feature in batch["features"]:
        assert set(feature) == FEATURE
        for activation in feature["activations"]:
            assert set(activation) == ACTIVATION


def test_numbers_are_those_of_the_profile(profiled: Interpretation, written) -> None:
    subject, _, batch = written
    profile = read_profile(profiled, subject)
    assert batch["layer"] == subject.act_layer
    assert [feature["feature_index"] for feature in batch["features"]] == sorted(set(profile.contexts["feature"]))
    for feature in batch["features"]:
        line = profile.features.loc[feature["feature_index"]]
        assert feature["frac_nonzero"] == line["density"]
        assert feature["pos_str"] == list(line["top_tokens"])
        assert feature["neg_values"] == [float(f"{value:.5g}") for value in line["bottom_logits"]]
        assert sum(feature["freq_hist_data_bar_heights"]) == sum(line["histogram"])
        rows = profile.contexts[profile.contexts["feature"] == feature["feature_index"]].sort_values("rank")
        for activation, row in zip(feature["activations"], rows.to_dict("records"), strict=True):
            assert activation["tokens"] == list(row["texts"])
            # what a reader takes for the largest value and its place
            assert max(activation["values"]) == pytest.approx(row["activation"], rel=1e-4)
            assert activation["values"].index(max(activation["values"])) == activation["qualifying_token_index"]


def test_no_folder_of_this_machine_is_told(profiled: Interpretation, written) -> None:
    _, path, batch = written
    config = profiled.experiment.config
    model, corpus = Path(config.language_model), Path(config.corpus)
    assert model.is_absolute() and corpus.is_absolute()
    assert batch["model_id"] == model.name
    assert {feature["dataset"] for feature in batch["features"]} == {corpus.name}
    text = path.read_text(encoding="utf-8")
    assert not [place for place in (model, corpus) if str(place.parent) in text]


def test_bars_stand_in_the_middle_of_their_bins(written) -> None:
    _, _, batch = written
    middles = [float(f"{(low * high) ** 0.5:.5g}") for low, high in itertools.pairwise(HISTOGRAM_EDGES)]
    for feature in batch["features"]:
        assert set(feature["freq_hist_data_bar_values"]) <= set(middles)
        assert all(feature["freq_hist_data_bar_heights"])


def test_every_sae_of_the_lineages_by_default(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation(feature_layers=[2], feature_arms=["forward"], features=3)
    with pytest.raises(FileNotFoundError, match=r"make_profiles\(interpretation\)"):
        write_neuronpedia(interpretation)
    from saelib.interpret.features.profiles import make_profiles

    make_profiles(interpretation)
    subjects = {one for lineage in interpretation.lineages() for one in lineage}
    assert {path.parent.name for path in write_neuronpedia(interpretation)} == {one.part for one in subjects}


def test_an_sae_without_contexts_has_no_features(profiled: Interpretation) -> None:
    profile = read_profile(profiled, profiled.lineages()[0].source)
    empty = type(profile)(profile.subject, profile.features, profile.contexts.iloc[:0])
    batch = neuronpedia_batch(empty, 1, model_id="m", sae_set="s", dataset="d")
    assert batch["features"] == []
