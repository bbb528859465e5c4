"""Shapes known offline are those of the models, and stand-ins have them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saelib.language.gguf.folder import gguf_folder
from saelib.language.loading import load_language_model
from saelib.language.shapes import PUBLISHED, ModelShape, RandomRows, random_language_model, shape_of
from saelib.transfer.presets import PRESETS
from tests.helpers.gguf_files import write_gguf

SMALL = ModelShape(layers=2, d_model=16, heads=2, d_mlp=48, vocabulary=64, context=32)


def test_every_preset_s_model_has_a_known_shape() -> None:
    for config in PRESETS.values():
        assert shape_of(config.language_model).context >= config.context_length


def test_the_embedded_model_s_shape_is_its_own() -> None:
    shape, model = shape_of("embedded"), load_language_model("embedded", "cpu")
    assert (shape.layers, shape.d_model, shape.vocabulary) == (model.n_layers, model.d_model, model.vocabulary)
    assert (shape.parameters, shape.context) == (model.parameters, model.n_ctx)


def test_pythia_has_the_published_number_of_parameters() -> None:
    shape = PUBLISHED["EleutherAI/pythia-160m-deduped"]
    assert shape.parameters == 162_322_944  # Table 1: 162,322,944 in all, 85,056,000 without embeddings
    assert shape.parameters - 2 * shape.vocabulary * shape.d_model == 85_056_000


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="'gpt9' is not known offline; known: embedded, smollm2, EleutherAI/pythia-160m-deduped"
    ):
        shape_of("gpt9")


def test_smollm2_has_its_published_sizes() -> None:
    shape = shape_of("smollm2")
    sizes = (shape.layers, shape.d_model, shape.heads, shape.d_mlp, shape.vocabulary, shape.context)
    assert sizes == (30, 576, 9, 1536, 49_152, 8192)
    assert shape.parameters == 134_515_008  # config.json of HuggingFaceTB/SmolLM2-135M-Instruct; one embedding


def test_a_gguf_file_or_a_folder_has_the_shape_of_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    path = write_gguf(tmp_path / "model.gguf")
    for name in (path, gguf_folder(path)):
        shape, model = shape_of(str(name)), load_language_model(str(name), "cpu")
        made = random_language_model(shape, "cpu")
        assert made.architecture == model.architecture == "LlamaForCausalLM"
        assert (made.n_layers, made.d_model, made.n_ctx) == (model.n_layers, model.d_model, model.n_ctx)
        assert shape.parameters == made.parameters == model.parameters


def test_a_stand_in_is_of_that_shape_and_the_same_every_time() -> None:
    first, second = (random_language_model(SMALL, "cpu", seed=3) for _ in range(2))
    assert (first.n_layers, first.d_model, first.vocabulary, first.n_ctx) == (2, 16, 64, 32)
    assert first.parameters == SMALL.parameters
    tokens = torch.from_numpy(RandomRows(SMALL, 32).take(0, 2)).long()
    streams = first.residual_streams(tokens, [1])
    assert torch.equal(streams, second.residual_streams(tokens, [1]))
    assert streams.norm(dim=-1).mean() > 0.1


def test_random_rows_depend_on_their_number_alone() -> None:
    rows = RandomRows(SMALL, 32)
    assert np.array_equal(rows.take(0, 6)[2:5], rows.take(2, 3))
    assert rows.take(0, 50).min() >= 0 and rows.take(0, 50).max() < SMALL.vocabulary
    assert rows.take(1, 2).dtype == np.int32
