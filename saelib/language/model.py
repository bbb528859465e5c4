"""One language model in memory: its sizes, its tokenizer, and the passes through it.

In: a model and a tokenizer, as transformers or `deferred` loads them. Out: residual streams and logits in
TransformerLens's coordinates (LayerNorm folded, writing weights and unembedding centred), as in section 3 of the
layer-transfer paper. Before the first pass `proof` compares it with the model itself, on two short rows.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.bridge import proven_bridge
from saelib.language.forward_pass import BarePass, ForwardPass, has_bare_pass
from saelib.language.head import Head
from saelib.language.precision import matrix_products
from saelib.language.proof import MismatchError, OwnOutputs, own_outputs, proof_rows, proven_pass
from saelib.language.sizes import active_block_weights, attention_window, block_weights, longest_context

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LanguageModel:
    """A causal language model, its tokenizer, and the passes that the experiment needs.

    The architectures of `forward_pass.PARTS` run layer by layer, all others as transformers runs them, with hooks.
    Either way is proven before it is used. `bridge` makes a second, folded copy when it is first asked for. No method
    records gradients; use `bridge` or `hugging_face` where gradients are wanted.

    Attributes:
        name: what the model was asked for by.
        revision: commit of a hub model; SHA-256 of all files of a folder that are read.
        device: where the weights are, and where `tokens` are brought.
        n_layers: layers, counted from 0 in `blocks.{i}.hook_resid_post`.
        d_model: width of the residual stream.
        n_ctx: longest context in tokens; None where the architecture sets no limit.
        vocabulary: tokens that the model gives logits for, which may be more than the tokenizer knows.
        parameters: how many numbers the model holds, embeddings included; shared ones count once.
    """

    def __init__(
        self, name: str, revision: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
    ) -> None:
        self.name, self.revision, self.tokenizer = name, revision, tokenizer
        self.device: torch.device = model.device
        config = model.config.get_text_config()
        self.n_layers: int = config.num_hidden_layers
        self.d_model: int = config.hidden_size
        self.n_ctx: int | None = longest_context(config)
        self.vocabulary: int = config.vocab_size
        self.parameters: int = sum(weight.numel() for weight in model.parameters())
        self._model = model

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.n_layers} layers, d_model {self.d_model}, {self.device})"

    @cached_property
    def _pass(self) -> ForwardPass:
        if self._model.dtype != torch.float32:
            raise ValueError(f"language model {self.name} is in {self._model.dtype}; passes for SAEs need float32")
        with matrix_products("float32", self.device):
            fast = [BarePass(self._model)] if has_bare_pass(self._model) else []
            try:
                return proven_pass(self._model, fast, self._own_outputs(), self._proof_rows)
            except ValueError as error:
                raise MismatchError(f"language model {self.name} is refused: {error}") from error

    @property
    def _proof_rows(self) -> Int[Tensor, "2 context"]:
        return proof_rows(self.vocabulary, self.n_ctx).to(self.device)

    def _own_outputs(self) -> OwnOutputs:
        """What every pass is compared with."""
        return own_outputs(self._model, self._proof_rows)

    @cached_property
    def block_weights(self) -> int:
        """How many numbers are in the weight matrices of one layer, mean over the layers."""
        return block_weights(self._model)

    @cached_property
    def active_block_weights(self) -> int:
        """How many of `block_weights` a token is multiplied with: of experts, the share that it is sent to."""
        return active_block_weights(self._model)

    @property
    def architecture(self) -> str:
        """Its class in transformers: "GPTNeoXForCausalLM"."""
        return type(self._model).__name__

    @property
    def hugging_face(self) -> "PreTrainedModel":
        """The model as transformers loads it, weights raw: for generation, key-value caches and fine-tuning."""
        return self._model

    @cached_property
    def bridge(self) -> "TransformerBridge":
        """A copy in TransformerLens, weights folded and centred, with the hook names that its users know.

        Raises:
            MismatchError: it does not give this model's numbers, or TransformerLens lacks the architecture.
        """
        tokenizer = getattr(self.tokenizer, "hugging_face", self.tokenizer)  # where it is deferred
        model = self.hugging_face
        window = attention_window(model.config.get_text_config())
        rows = proof_rows(self.vocabulary, self.n_ctx, window).to(self.device)
        with matrix_products("float32", self.device):
            return proven_bridge(self.name, model, tokenizer, own_outputs(model, rows), self.is_centred, rows)

    @cached_property
    def has_bridge(self) -> bool:
        """Whether `bridge` is there: some families TransformerLens lacks, or gives other numbers for."""
        try:
            return self.bridge is not None
        except MismatchError:
            return False

    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """`blocks.{i}.hook_resid_post` of the wanted layers, from one pass that stops after the deepest of them.

        Raises:
            ValueError: no layer is asked for, one is not there, or the rows are longer than the context.
        """
        self._check_layers(layers)
        return self._pass.residual_streams(self._check_tokens(tokens), layers)

    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context vocabulary"]:
        """Logits when `blocks.{layer}.hook_resid_post` is `residual`; their mean over the vocabulary is 0.

        Adding one number to all of a position's `residual` changes nothing where the model has LayerNorms
        (`is_centred`), so a reconstruction needs no centring.

        Args:
            tokens: of the rows that `residual` stands for: some models read them again in later layers.

        Raises:
            ValueError: there is no such layer, or the shapes are not of the same rows.
        """
        return self._pass.logits_from(residual, layer, self._check_splice(residual, layer, tokens))

    @property
    def reads_tokens_again(self) -> bool:
        """Whether layers after a spliced one depend on the rows' tokens too, as per-layer embeddings do."""
        return self._pass.reads_tokens_again

    @property
    def is_centred(self) -> bool:
        """Whether the mean of a residual vector changes nothing; streams are given without it then."""
        return self._pass.centred

    @property
    def head(self) -> Head:
        """What turns the outcome of `head_inputs_from` into logits and losses."""
        return self._pass.head

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may make passes at once; those with hooks may not."""
        return self._pass.thread_safe

    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context width"]:
        """What the model's head reads when `blocks.{layer}.hook_resid_post` is `residual`; see `logits_from`.

        The final normed residual stream where the head is one matrix, logits everywhere else.

        Raises:
            ValueError: as `logits_from`.
        """
        return self._pass.head_inputs_from(residual, layer, self._check_splice(residual, layer, tokens))

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of an ordinary pass, after a soft cap where the model has one; their mean over the vocabulary is 0.

        Raises:
            ValueError: the rows are longer than the model's context.
        """
        return self._pass.logits(self._check_tokens(tokens))

    def _check_layers(self, layers: Sequence[int]) -> None:
        absent = [layer for layer in layers if not 0 <= layer < self.n_layers]
        if absent or not layers:
            raise ValueError(f"layers {list(layers)} of {self.name}: choose from 0 to {self.n_layers - 1}")

    def _check_splice(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Int[Tensor, "rows context"]:
        self._check_layers([layer])
        if residual.shape[:2] != tokens.shape:
            raise ValueError(f"a residual stream {tuple(residual.shape)} is not of token rows {tuple(tokens.shape)}")
        return self._check_tokens(tokens)

    def _check_tokens(self, tokens: Int[Tensor, "rows context"]) -> Int[Tensor, "rows context"]:
        if self.n_ctx is not None and tokens.shape[1] > self.n_ctx:
            raise ValueError(f"rows of {tokens.shape[1]} tokens exceed the context of {self.name}, {self.n_ctx}")
        return tokens.to(self.device)
