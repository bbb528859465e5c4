"""An SAE of one's own that the transfers of a run start from, in place of the run's scratch SAEs.

In: a config that names its folder, and the language model. Out: what plans need of it; whatever does not fit the run is
refused before anything is trained, and what it may have been trained on instead is warned of.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.sae.folder import load_sae
from saelib.sae.sae_lens import keeps_mean

if TYPE_CHECKING:
    from saelib.language.corpus.rows import Corpus
    from saelib.language.model import LanguageModel
    from saelib.transfer.config import ExperimentConfig


class OwnSource(NamedTuple):
    """A finished SAE, whoever trained it."""

    folder: Path
    layer: int
    """Whose residual stream it learned."""
    tokens: int
    """That it has seen, as far as its lineage says; 0 where that is not known."""
    prepend_bos: bool | None = None
    """Whether the rows that it has seen began with the BOS token; None where that is not known."""
    sink_token: str | None = None
    """With which every row that it has seen began, whose position it was not trained on; None without, or not known."""
    skipped: int = 0
    """Positions at the start of each row that it was not trained on, as far as that is known."""

    def compare_rows(self, corpus: "Corpus") -> None:
        """Warn of rows that do not begin as those that it has seen."""
        if doubt := self._other_sink(corpus) or self._other_bos(corpus.prepend_bos):
            warnings.warn(f"source {self.folder}: its cfg.json {doubt}", stacklevel=2)

    def _other_sink(self, corpus: "Corpus") -> str | None:
        """What is to be said where one has seen rows with a sink token, and the other has not, or with another one."""
        left_out_bos = bool(self.prepend_bos and self.skipped)  # as SAELens says it (seqpos_slice)
        is_known = self.prepend_bos is not None
        if not is_known or self.sink_token == corpus.sink_token or (left_out_bos and corpus.prepend_bos):
            return None
        has = f"sink_token={self.sink_token!r}" if self.sink_token else "no sink_token"
        saw = f"{'' if self.sink_token else 'not '}with such a token in front, its position left out"
        begin = f"begin with {corpus.sink_token!r}" if corpus.sink_token else "have none"
        return (
            f"says {has}, so that it has seen rows {saw}, and the run's rows {begin}; set "
            f"sink_token={self.sink_token or 'none'!r}"
        )

    def _other_bos(self, prepend_bos: bool) -> str | None:
        if self.prepend_bos in (None, prepend_bos):
            return None
        began, begin = ("with" if first else "without" for first in (self.prepend_bos, prepend_bos))
        return (
            f"says prepend_bos={self.prepend_bos}, so that it has seen rows {began} the BOS token, and the run's rows "
            f"begin {begin} it; set prepend_bos={self.prepend_bos}"
        )


def read_source(path: str, config: "ExperimentConfig", model: "LanguageModel") -> OwnSource:
    """Look at the SAE that `config.source` names; warns where it is of another model, or of other residual streams.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it cannot be read here, does not say of which layer it is, or does not fit the model or the config.
    """
    folder = Path(path).expanduser().resolve()
    try:
        sae = load_sae(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"source={path!r}: {error}; give the folder of an SAE, or 'scratch'") from error
    except ValueError as error:
        raise ValueError(f"source={path!r}: {error}") from error
    layer, d_sae = sae.lineage.get("sae_layer"), config.expansion_factor * model.d_model
    if not isinstance(layer, int) or not 0 <= layer < model.n_layers:
        said = (
            "does not say" if layer is None else f"says layer {layer}, and {model.name} has 0 to {model.n_layers - 1}"
        )
        raise ValueError(f"source={path!r}: of which layer it is, its cfg.json (hook_name) {said}")
    if sae.d_model != model.d_model:
        raise ValueError(f"source={path!r}: its d_in is {sae.d_model}, {model.name} has d_model {model.d_model}")
    if sae.d_sae != d_sae:
        factor, rest = divmod(sae.d_sae, model.d_model)
        remedy = "no expansion_factor gives as many" if rest else f"set expansion_factor={factor}"
        raise ValueError(f"source={path!r}: its d_sae is {sae.d_sae}, the run's SAEs have {d_sae} features; {remedy}")
    for doubt in _doubts(sae.lineage, model):
        warnings.warn(f"source={path!r}: {doubt}", stacklevel=2)
    tokens = sum(int(sae.lineage.get(name) or 0) for name in ("tokens", "source_tokens"))
    begun = sae.lineage.get("prepend_bos"), sae.lineage.get("sink_token"), _first_position(sae.lineage)
    return OwnSource(folder, layer, tokens, *begun)


def _first_position(lineage: Mapping[str, Any]) -> int:
    """Of a row that an SAE was trained on, by SAELens's slice, which may have nothing in it."""
    match lineage.get("seqpos_slice"):
        case [int(first), *_]:
            return max(0, first)
    return 0


def _doubts(lineage: Mapping[str, Any], model: "LanguageModel") -> Iterator[str]:
    """What may be of another model though it is as wide; a model has several names, so that none of this is refused."""
    trained_on = str(lineage.get("model_name", model.name))
    if short_name(trained_on) != short_name(model.name):
        yield (
            f"its cfg.json (model_name) says that it was trained on {trained_on}, and the run's model is {model.name}; "
            "if these are two models, no number of the transfers means anything"
        )
    if model.is_centred and keeps_mean(lineage):
        yield (
            "it was trained on a residual stream that keeps its mean over d_model (cfg.json: hook_name, "
            "model_from_pretrained_kwargs); here it reads one without it, so that it is a worse start than it could be"
        )


def short_name(name: str) -> str:
    """A model's name without the owner or the folder in front of it, by which two names may mean one model."""
    return name.rstrip("/").replace("\\", "/").rpartition("/")[2].lower()
