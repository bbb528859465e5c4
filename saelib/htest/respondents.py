"""Whoever answers: a local model, its untrained twin, an API model, or a control, all behind one interface.

In: a model's name, as in `HTestConfig.models`. Out: a `Respondent`, whose engine turns prompts into answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.htest.asking.replies import Engine
from saelib.htest.config import API, CONTROL, UNTRAINED
from saelib.htest.engines.api import ApiEngine
from saelib.htest.engines.controls import control_engine
from saelib.htest.items.item import Item

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


@dataclass(frozen=True)
class Respondent:
    """Somebody who can be asked."""

    name: str
    """As in `Condition.model`."""
    revision: str
    form: str
    """The form of prompt that suits it: "chat" for whoever follows instructions, "completion" for base models."""
    engine: Engine

    @property
    def is_paid(self) -> bool:
        """Whether every request costs something."""
        return self.name.startswith(API)


@dataclass(frozen=True)
class ApiSettings:
    """How an API is asked."""

    logs: Path
    """Folder of Inspect's logs."""
    log_probabilities: bool = False
    """Ask for those of the first token; not every API gives them."""


def open_respondent(
    name: str,
    items: Sequence[Item],
    form: str = "auto",
    device: str = "auto",
    seed: int = 0,
    api: ApiSettings | None = None,
) -> Respondent:
    """Load whoever the name means.

    Args:
        name: as in `HTestConfig.models`, families expanded.
        items: all of the run; the shortcut control is fitted on their dev splits.
        form: a key of `asking.prompts.FORMS`, or "auto" for what suits the model.
        device: of local models.
        seed: of the untrained twin's weights.
        api: for API models.

    Raises:
        FileNotFoundError, ValueError: as `load_language_model` and `control_engine` say.
    """
    if name.startswith(CONTROL):
        return Respondent(name, "", "chat", control_engine(name.removeprefix(CONTROL), items))
    if name.startswith(API):
        return _api_respondent(name, form, api)
    from saelib.language.loading import load_language_model

    model = load_language_model(name.removeprefix(UNTRAINED), device)
    if name.startswith(UNTRAINED):
        model = untrained_twin(model, seed)
    return local_respondent(model, name, form)


def local_respondent(model: "LanguageModel", name: str, form: str = "auto") -> Respondent:
    """A language model that is loaded already, under the name that its replies shall carry."""
    from saelib.htest.engines.local import LocalEngine

    suits = "completion" if model.tokenizer.chat_template is None else "chat"
    return Respondent(name, model.revision, suits if form == "auto" else form, LocalEngine(model))


def token_counter(name: str) -> Callable[[str], int] | None:
    """How many tokens a text is to a local model; None for an API, whose tokenizer is not here."""
    if name.startswith((API, CONTROL)):
        return None
    from saelib.language.loading import load_tokenizer

    tokenizer = load_tokenizer(name.removeprefix(UNTRAINED))
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def untrained_twin(model: "LanguageModel", seed: int) -> "LanguageModel":
    """A model of the same architecture, size and tokenizer with random weights: what training adds shows beside it."""
    import torch
    from transformers import AutoModelForCausalLM

    from saelib.language.model import LanguageModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin = AutoModelForCausalLM.from_config(model.hugging_face.config, dtype=torch.float32)
    revision = f"random weights, seed {seed}"
    return LanguageModel(UNTRAINED + model.name, revision, twin.to(model.device).eval(), model.tokenizer)


def _api_respondent(name: str, form: str, api: ApiSettings | None) -> Respondent:
    if api is None:
        raise ValueError(f"{name}: give a folder for the logs, which a resumed run reads so that nothing is paid twice")
    engine = ApiEngine(name.removeprefix(API), api.logs, api.log_probabilities)
    return Respondent(name, "", "chat" if form == "auto" else form, engine)
