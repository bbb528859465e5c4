"""The features of a sentence, token by token, each with what it says and the context in which it is strongest.

In: a text, and an SAE of a run or any other. Out: a table, which a notebook shows with every text escaped.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from saelib.interpret.features.logit_tokens import logit_tokens
from saelib.interpret.features.profiles import Profile, has_profile, read_profile
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.pieces import Pieces
from saelib.interpret.subjects import Subject
from saelib.language.corpus.beginning import row_beginning
from saelib.language.precision import matrix_products
from saelib.language.unembedding import unembedding
from saelib.results.text import printable
from saelib.transfer.choices import PHASES, choose_sae

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel
    from saelib.sae.autoencoder import SparseAutoencoder

COLUMNS = ("position", "token", "feature", "activation", "raises", "example")
RAISED = 3  # tokens whose logits a feature raises most, as they are shown
BLANK = "␣"  # how a blank at either end of a token is shown


@dataclass(frozen=True, eq=False, repr=False)
class TextFeatures:
    """What an SAE finds in a text."""

    source: str
    """Which SAE, and which layer it reads."""
    tokens: list[str]
    """The text of each token."""
    table: pd.DataFrame
    """A row for each of the strongest features at a token: position, token, feature, activation, raises (the tokens
    that the feature makes likelier), example (its best context in the run's text, the strongest token in «»; empty
    where no profile was made)."""

    def __repr__(self) -> str:
        """The table, one line for each feature."""
        return f"{self.source}\n{self._shown.to_string(index=False, float_format='{:.3g}'.format)}"

    def _repr_html_(self) -> str:
        """What a notebook shows: a cell for each number, texts as text."""
        body = self._shown.to_html(index=False, escape=True, float_format="{:.3g}".format, border=0)
        whole = f"<p>{html.escape(printable(self.source))}</p>\n{body}"
        return whole.replace("$", "<span>$</span>")  # JupyterLab would set what stands between two as a formula

    @property
    def _shown(self) -> pd.DataFrame:
        """With every sign to be seen."""
        raises = [", ".join(map(seen, tokens)) for tokens in self.table["raises"]]
        return self.table.assign(
            token=self.table["token"].map(seen), raises=raises, example=self.table["example"].map(printable)
        )


def features_of(
    text: str,
    interpretation: Interpretation,
    arm: str = "scratch",
    layer: int | None = None,
    top: int = 5,
    seed: int | None = None,
) -> TextFeatures:
    """The strongest features of a text at each token: `features_of("The list is empty.", interpretation, layer=3)`.

    Examples are there once `make_profiles` was called.

    Args:
        text: some words; what begins the run's rows is put in front, and not shown.
        interpretation: of the run whose SAE reads it.
        arm: "scratch", "forward", "forward_affine", ...
        layer: of the SAE; the middle one of the run if not given.
        top: features at a token, at most.
        seed: of the replicate; the run's first one if not given.

    Raises:
        ValueError: there is no such SAE; the message names what there is. Or the text is empty, too long, or no text
            that can be written; or `top` is below 1.
        FileNotFoundError: the SAE is not trained yet, or these are stored results.
    """
    _check_asked(text, top)
    subject = _subject(interpretation, arm, layer, seed)
    profile = read_profile(interpretation, subject) if has_profile(interpretation, subject) else None
    found = features_in(
        text,
        interpretation.sae(subject),
        interpretation.model,
        subject.act_layer,
        top,
        profile,
        row_beginning(interpretation.experiment.corpus, interpretation.model.tokenizer),
        interpretation.skipped,
    )
    return TextFeatures(str(subject), found.tokens, found.table)


@torch.no_grad()
def features_in(
    text: str,
    sae: "SparseAutoencoder",
    model: "LanguageModel",
    layer: int,
    top: int = 5,
    profile: Profile | None = None,
    beginning: Sequence[int] = (),
    skipped: int = 0,
) -> TextFeatures:
    """The strongest features of a text at each token, of any SAE.

    Args:
        text: some words.
        sae: on the model's device.
        model: whose residual stream it reads.
        layer: after which.
        top: features at a token, at most; those that are 0 are left out.
        profile: of the SAE, for examples; none are shown without.
        beginning: token ids that the SAE's rows begin with.
        skipped: positions of such a row that the SAE did not learn; they are not shown.

    Raises:
        ValueError: the text is empty, longer than the model's context, or no text that can be written; or `top` is
            below 1.
    """
    _check_asked(text, top)
    ids = [*beginning, *model.tokenizer.encode(text, add_special_tokens=False)]
    if len(ids) == len(beginning):
        raise ValueError(f"text={text!r} has no token: write some words")
    if model.n_ctx is not None and len(ids) > model.n_ctx:
        raise ValueError(f"text has {len(ids):,} tokens with what stands in front, and {model.name} reads at most "
                         f"{model.n_ctx:,}: give a shorter one")  # fmt: skip
    tokens = torch.tensor([ids], device=model.device)
    with matrix_products("float32", model.device):
        activations = sae.encode(model.residual_streams(tokens, [layer])[0][0])
    pieces = Pieces(model.tokenizer)(ids)
    first = max(len(beginning), min(skipped, len(ids) - 1))  # of one word alone its features are shown all the same
    strongest = [(place, *pair) for place in range(first, len(ids)) for pair in _strongest(activations[place], top)]
    features = sorted({feature for _, feature, _ in strongest})
    raises, examples = _raised(features, sae, model) if profile is None else _known(features, profile)
    lines = [
        (place, pieces[place], feature, value, raises[feature], examples[feature])
        for place, feature, value in strongest
    ]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return TextFeatures(f"{sae}, reading layer {layer}", pieces[first:], table)


def seen(piece: str) -> str:
    """A token so that its blanks are seen: " list" is "␣list"."""
    inside = piece.strip(" ")
    before = len(piece) - len(piece.lstrip(" "))
    after = len(piece) - len(inside) - before
    return printable((BLANK * before + inside + BLANK * after).replace("\n", "↵").replace("\t", "⇥"))


def _check_asked(text: object, top: object) -> None:
    """Refuse what no tokenizer takes, before anything is read."""
    if not isinstance(text, str):
        raise ValueError(f'text={text!r}: should be a text, such as "The list is empty."')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text={text!r}: half of a sign stands at {error.start}; write the whole one") from None
    if type(top) is not int or top < 1:
        raise ValueError(f"top={top!r}: should be 1 or more features at a token")


def _strongest(activations: Float[Tensor, " d_sae"], top: int) -> list[tuple[int, float]]:
    values, features = activations.float().topk(min(top, len(activations)))
    return [pair for pair in zip(features.tolist(), values.tolist(), strict=True) if pair[1] > 0]


def _known(features: list[int], profile: Profile) -> tuple[dict[int, list[str]], dict[int, str]]:
    """What each feature makes likelier, and its best context."""
    table = profile.features.loc[features]
    raises = {feature: list(tokens[:RAISED]) for feature, tokens in table["top_tokens"].items()}
    return raises, table["example"].to_dict()


def _raised(
    features: list[int], sae: "SparseAutoencoder", model: "LanguageModel"
) -> tuple[dict[int, list[str]], dict[int, str]]:
    """The same without a profile: no context; nothing at all where the model's head is not one matrix."""
    nothing = dict.fromkeys(features, "")
    try:
        matrix = unembedding(model)
    except ValueError:
        return {feature: [] for feature in features}, nothing
    found, pieces = logit_tokens(sae.W_dec[features], matrix, RAISED), Pieces(model.tokenizer)
    return {feature: pieces(ids) for feature, ids in zip(features, found.top_ids.tolist(), strict=True)}, nothing


def _subject(interpretation: Interpretation, arm: str, layer: int | None, seed: int | None) -> Subject:
    experiment = interpretation.experiment
    plans = {name: experiment.plans(name) for name in PHASES}
    if layer is None:
        layers = sorted({plan.sae_layer for ones in plans.values() for plan in ones if plan.arm == arm})
        layer = layers[len(layers) // 2] if layers else experiment.layers[0]
    checkpoints = {name: experiment.phase(name).checkpoints for name in PHASES}
    seed = experiment.config.seed if seed is None else seed
    _, tokens = choose_sae(plans, checkpoints, arm, layer, seed, None)
    return Subject(arm, layer, layer, seed, tokens)
