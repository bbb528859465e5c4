"""An SAE of one's own that the transfers of a run start from, in place of the run's scratch SAEs.

In: a config that names its folder, and the language model. Out: what plans need of it; whatever does not fit the run is
refused before anything is trained.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from saelib.sae.folder import load_sae

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel
    from saelib.transfer.config import ExperimentConfig


class OwnSource(NamedTuple):
    """A finished SAE, whoever trained it."""

    folder: Path
    layer: int
    """Whose residual stream it learned."""
    tokens: int
    """That it has seen, as far as its lineage says; 0 where that is not known."""


def read_source(path: str, config: "ExperimentConfig", model: "LanguageModel") -> OwnSource:
    """Look at the SAE that `config.source` names.

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
    return OwnSource(folder, layer, sum(int(sae.lineage.get(name) or 0) for name in ("tokens", "source_tokens")))
