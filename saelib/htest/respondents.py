"""Whoever answers: a local model, its untrained twin, an API model, or a control, all behind one interface.

In: a model's name, as in `HTestConfig.models`. Out: a `Respondent`, whose engine turns prompts into answers.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.htest.asking.chat_templates import named_arguments
from saelib.htest.asking.encoded import first_token_text
from saelib.htest.asking.prompts import is_message
from saelib.htest.asking.replies import Engine
from saelib.htest.config import API, CONTROL, UNTRAINED
from saelib.htest.engines.api import ApiEngine
from saelib.htest.engines.controls import control_engine
from saelib.htest.items.item import Item
from saelib.language.request_budget import RequestBudget
from saelib.run.library import code_digest

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

# What decides the replies of models on this machine, beside the items, which replies hold.
ASKED_BY = ("language", "htest/asking", "htest/engines/decoding.py", "htest/engines/local.py",
            "htest/engines/packs.py", "htest/engines/padded_batches.py", "htest/engines/shared_prefix.py")  # fmt: skip
# What decides those of controls: a rule may read its task anew, a cut may be fitted anew.
CONTROLLED_BY = ("htest/engines/controls.py", "htest/audit/rules.py", "htest/audit/shortcuts.py", "htest/tasks.py")


@dataclass(frozen=True)
class Respondent:
    """Somebody who can be asked."""

    name: str
    """As in `Condition.model`."""
    revision: str
    form: str
    """The form of prompt that suits it: "chat" for whoever follows instructions, "completion" for base models."""
    engine: Engine
    local: "LocalManner | None" = None
    """How a model on this machine reads; None for whoever is elsewhere."""

    def settings(self, form: str, system: str = "") -> dict[str, Any]:
        """Fields of a `Condition` that say how prompts of a form are put to it.

        Args:
            system: the system message; nobody gets it with a text to go on from, nor a model without a chat template.
        """
        message = is_message(form)
        if self.local is None:
            return {"system": system if message and self.is_paid else ""}
        return self.local.settings(message, system)

    @property
    def is_paid(self) -> bool:
        """Whether every request costs something."""
        return self.name.startswith(API)

    @property
    def is_local(self) -> bool:
        """Whether it is a language model on this machine, whose content its revision names."""
        return not self.name.startswith((API, CONTROL))

    @property
    def library(self) -> str:
        """SHA-256 of the code by which a model on this machine or a control replies; empty for whoever is elsewhere."""
        if self.is_paid:
            return ""
        return code_digest(*(ASKED_BY if self.is_local else CONTROLLED_BY))


@dataclass(frozen=True)
class LocalManner:
    """How a local model reads what it is asked."""

    first_token: str
    """Text of the special token before a prompt that stands in no chat template."""
    has_template: bool
    template_arguments: str
    """JSON of what its chat template is told."""
    dtype: str

    def settings(self, message: bool, system: str) -> dict[str, Any]:
        """As `Respondent.settings`."""
        if message and self.has_template:
            return {"system": system, "template_arguments": self.template_arguments, "dtype": self.dtype}
        return {"first_token": self.first_token, "dtype": self.dtype}


@dataclass(frozen=True)
class LocalSettings:
    """How models on this machine are loaded and asked; the fields are those of `HTestConfig`."""

    device: str = "auto"
    device_map: str | None = None
    dtype: str = "float32"
    revision: str | None = None
    first_token: str = "auto"
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    """Of the hub model that is loaded, where a run has read it before."""

    def load(self, name: str) -> "LanguageModel":
        """The language model that a name means: "name@revision" has a revision of its own."""
        from saelib.language.loading import load_language_model, pinned_revision

        plain, revision = split_revision(name, self.revision)
        revision = pinned_revision(plain, revision, self.commit)
        return load_language_model(plain, self.device, revision, self.dtype, self.device_map)


def split_revision(name: str, revision: str | None) -> tuple[str, str | None]:
    """A model's name without what stands behind its "@", and the revision: that one, or for a hub name `revision`."""
    from saelib.language.loading import is_hub_name

    if not is_hub_name(name):
        return name, None
    plain, _, own = name.partition("@")
    return plain, own or revision


@dataclass(frozen=True)
class ApiSettings:
    """How an API is asked."""

    logs: Path
    """Folder of Inspect's logs."""
    log_probabilities: bool = False
    """Ask for those of the first token; not every API gives them."""
    budget: RequestBudget | None = None
    """Of requests; without one there is no limit."""


def open_respondent(
    name: str,
    items: Sequence[Item],
    form: str = "auto",
    device: str = "auto",
    seed: int = 0,
    api: ApiSettings | None = None,
    local: LocalSettings | None = None,
) -> Respondent:
    """Load whoever the name means.

    Args:
        name: as in `HTestConfig.models`, families expanded.
        items: all of the run; the shortcut control is fitted on their dev splits.
        form: a key of `asking.prompts.FORMS`, or "auto" for what suits the model.
        device: of local models, where `local` is not given.
        seed: of the untrained twin's weights.
        api: for API models.
        local: for models on this machine.

    Raises:
        FileNotFoundError, ValueError: as `load_language_model` and `control_engine` say.
    """
    if name.startswith(CONTROL):
        return Respondent(name, "", "chat", control_engine(name.removeprefix(CONTROL), items))
    if name.startswith(API):
        return _api_respondent(name, form, api)
    settings = local or LocalSettings(device)
    model = settings.load(name.removeprefix(UNTRAINED))
    if name.startswith(UNTRAINED):
        model = untrained_twin(model, seed)
    return local_respondent(model, name, form, settings)


def local_respondent(
    model: "LanguageModel", name: str, form: str = "auto", settings: LocalSettings | None = None
) -> Respondent:
    """A language model that is loaded already, under the name that its replies shall carry.

    Raises:
        ValueError: the first token of the settings is none of the tokenizer's.
    """
    from saelib.htest.engines.local import LocalEngine

    asked, tokenizer = settings or LocalSettings(), model.tokenizer
    has_template = tokenizer.chat_template is not None
    arguments = named_arguments(tokenizer, asked.template_arguments) if has_template else {}
    if has_template and (unknown := asked.template_arguments.keys() - arguments.keys()):
        warnings.warn(f"the chat template of {name} does not name {', '.join(sorted(unknown))}: left out", stacklevel=2)
    manner = LocalManner(
        first_token=first_token_text(tokenizer, asked.first_token),
        has_template=has_template,
        template_arguments=json.dumps(arguments, sort_keys=True) if arguments else "",
        dtype=asked.dtype,
    )
    asked_in = suited_form(has_template) if form == "auto" else form
    return Respondent(name, model.revision, asked_in, LocalEngine(model), manner)


def form_for(name: str, form: str = "auto", revision: str | None = None) -> str:
    """The form in which `open_respondent` has whoever a name means asked; read is no more than a tokenizer.

    Raises:
        FileNotFoundError: there is no such model.
    """
    if form != "auto" or name.startswith((API, CONTROL)):
        return "chat" if form == "auto" or name.startswith(CONTROL) else form
    from saelib.language.loading import load_tokenizer

    tokenizer = load_tokenizer(*split_revision(name.removeprefix(UNTRAINED), revision))
    return suited_form(tokenizer.chat_template is not None)


def suited_form(has_template: bool) -> str:
    """The form that suits a model on this machine: whoever follows instructions has a chat template."""
    return "chat" if has_template else "completion"


def token_counter(name: str, revision: str | None = None) -> Callable[[str], int] | None:
    """How many tokens a text is to a local model, the first token of a prompt not counted; None for an API."""
    if name.startswith((API, CONTROL)):
        return None
    from saelib.language.loading import load_tokenizer

    tokenizer = load_tokenizer(*split_revision(name.removeprefix(UNTRAINED), revision))
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def untrained_twin(model: "LanguageModel", seed: int) -> "LanguageModel":
    """A model of the same architecture, size and tokenizer with random weights: what training adds shows beside it."""
    import torch
    from transformers import AutoModelForCausalLM

    from saelib.language.model import LanguageModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin = AutoModelForCausalLM.from_config(model.hugging_face.config, dtype=model.hugging_face.dtype)
    revision = f"random weights, seed {seed}, shape of {model.revision[:12]}"
    return LanguageModel(UNTRAINED + model.name, revision, twin.to(model.device).eval(), model.tokenizer)


def _api_respondent(name: str, form: str, api: ApiSettings | None) -> Respondent:
    if api is None:
        raise ValueError(f"{name}: give a folder for the logs, which a resumed run reads so that nothing is paid twice")
    engine = ApiEngine(name.removeprefix(API), api.logs, api.log_probabilities, api.budget)
    return Respondent(name, "", "chat" if form == "auto" else form, engine)
