"""What a reader is told of a model, by its name alone."""

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

from saelib.language.gguf import folder
from saelib.language.gguf.folder import gguf_folder
from saelib.language.origin import model_origin, note_on, notes_on
from tests.helpers.gguf_files import write_gguf


def test_smollm2_is_told_with_its_quantisation_and_its_tuning() -> None:
    origin = model_origin("smollm2")
    assert origin.title == "SmolLM2-135M-Instruct (HuggingFaceTB)" and origin.licence == "Apache-2.0"
    assert origin.note == "4-bit weights (Q4_1), instruction-tuned"


def test_the_embedded_model_ships_and_others_are_their_names() -> None:
    assert model_origin("embedded") == ("embedded", "MIT", "small, ships with the kit")
    assert model_origin("EleutherAI/pythia-160m") == ("EleutherAI/pythia-160m", "", "")


def test_a_gguf_file_tells_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    path = write_gguf(
        tmp_path / "model.gguf", matrices=Type.Q4_1, general__name="A small one", general__license="apache-2.0"
    )
    note = "weights of a GGUF file (Q4_1, F32)"
    assert model_origin(str(path)) == ("A small one", "apache-2.0", note)
    assert model_origin(str(write_gguf(tmp_path / "other.gguf", matrices=Type.Q4_1))) == ("other.gguf", "", note)


def test_a_gguf_file_is_not_dequantised_for_a_caption_and_a_damaged_one_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    path = write_gguf(tmp_path / "model.gguf", matrices=Type.Q4_1)
    assert model_origin(str(path)).note == "weights of a GGUF file (Q4_1, F32)"
    assert not (tmp_path / "runs").exists()
    gguf_folder(path)
    monkeypatch.setattr(folder, "open_gguf", None)  # what the cache holds is enough now
    assert model_origin(str(path)).note == "weights of a GGUF file (Q4_1, F32)"
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:200])
    assert model_origin(str(path)) == (str(path), "", "weights of a GGUF file, which are mostly quantised")
    assert note_on(str(path)) == "weights of a GGUF file, which are mostly quantised"


def test_numbers_outlive_the_file_that_they_were_made_with(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.gguf")
    assert model_origin(gone) == (gone, "", "weights of a GGUF file, which are mostly quantised")


def test_captions_add_what_is_to_be_known_and_nothing_of_the_kits_own_model() -> None:
    known = "4-bit weights (Q4_1), instruction-tuned"
    assert note_on("smollm2") == known
    assert not any(map(note_on, ("embedded", "org/model", "untrained:smollm2", "control:coin", "api:openai/gpt-4o")))
    assert notes_on(["embedded", "org/model"]) == ""
    assert notes_on(["embedded", "smollm2", "x/gone.gguf", "smollm2"]) == (
        f"smollm2: {known}; x/gone.gguf: weights of a GGUF file, which are mostly quantised"
    )
