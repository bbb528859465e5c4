"""One language model in memory: its sizes, its tokenizer, and the passes through it.

In: a model and a tokenizer, as transformers or `deferred` loads them. Out: residual streams and logits in
TransformerLens's coordinates (LayerNorm folded, writing weights and unembedding centred), as in section 3 of the
layer-transfer paper.
"""

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.forward_pass import PARTS, BarePass, BridgePass, ForwardPass
from saelib.language.head import Head

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LanguageModel:
    """A causal language model, its tokenizer, and the passes that the experiment needs.

    GPT-NeoX, GPT-2 and Llama models run as bare Hugging Face models, whose raw weights are then the only ones held;
    `bridge` makes a second, folded copy when it is first asked for. Every other architecture runs through its bridge,
    which takes over the only copy when the first pass is made; `hugging_face` is the model before that. No method
    records gradients; use `bridge` where gradients are wanted.

    Attributes:
        name: what the model was asked for by.
        revision: commit of a hub model; SHA-256 of the weight files of a folder.
        device: where the weights are, and where `tokens` are brought.
        n_layers: layers, counted from 0 in `blocks.{i}.hook_resid_post`.
        d_model: width of the residual stream.
        n_ctx: longest context in tokens; None where the architecture sets no limit.
        vocabulary: tokens that the model gives logits for, which may be more than the tokenizer knows.
        parameters: how many numbers the model holds, embeddings included.
        block_weights: how many of them are in the weight matrices of one layer.
    """

    def __init__(
        self, name: str, revision: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
    ) -> None:
        self.name, self.revision, self.tokenizer = name, revision, tokenizer
        self.device: torch.device = model.device
        config = model.config.get_text_config()
        self.n_layers: int = config.num_hidden_layers
        self.d_model: int = config.hidden_size
        self.n_ctx: int | None = getattr(config, "max_position_embeddings", None)
        self.vocabulary: int = config.vocab_size
        self.parameters: int = sum(weight.numel() for weight in model.parameters())
        ends = {id(module.weight) for module in (model.get_input_embeddings(), model.get_output_embeddings())}
        matrices = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in ends]
        self.block_weights: int = sum(weight.numel() for weight in matrices) // self.n_layers
        self._model = model
        self._is_bare = type(model).__name__ in PARTS

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.n_layers} layers, d_model {self.d_model}, {self.device})"

    @cached_property
    def _pass(self) -> ForwardPass:
        return BarePass(self._model) if self._is_bare else BridgePass(self.bridge)

    @property
    def hugging_face(self) -> "PreTrainedModel":
        """The model as transformers loads it, weights raw: for generation, key-value caches and fine-tuning.

        Raises:
            RuntimeError: a bridge has folded its weights in place; load the model again for this use.
        """
        if not self._is_bare and "bridge" in self.__dict__:
            raise RuntimeError(f"the only copy of {self.name} is inside its bridge; load it again for this use")
        return self._model

    @cached_property
    def bridge(self) -> "TransformerBridge":
        """The model in TransformerLens, weights folded and centred, with the hook names that its users know."""
        from transformer_lens.model_bridge import TransformerBridge

        model = copy.deepcopy(self._model) if self._is_bare else self._model  # folding changes weights in place
        model.set_attn_implementation("eager")  # the only one that has attention patterns to hook
        tokenizer = copy.deepcopy(getattr(self.tokenizer, "hugging_face", self.tokenizer))  # where it is deferred
        # Without this mark TransformerLens loads the tokenizer a second time, from the hub's main revision.
        tokenizer.init_kwargs["add_bos_token"] = True
        bridge = TransformerBridge.boot_transformers(
            self.name, hf_model=model, tokenizer=tokenizer, device=str(self.device)
        )
        bridge.enable_compatibility_mode(disable_warnings=True)
        return bridge

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
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """Logits when `blocks.{layer}.hook_resid_post` is `residual`; their mean over the vocabulary is 0.

        The pass starts after `layer`. Adding one number to all of a position's `residual` changes nothing where
        the model has LayerNorms, so a reconstruction needs no centring.

        Raises:
            ValueError: there is no such layer.
        """
        self._check_layers([layer])
        return self._pass.logits_from(residual, layer)

    @property
    def head(self) -> Head:
        """What turns the outcome of `head_inputs_from` into logits and losses."""
        return self._pass.head

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may make passes at once; those through a bridge may not."""
        return self._pass.thread_safe

    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context width"]:
        """What the model's head reads when `blocks.{layer}.hook_resid_post` is `residual`; see `logits_from`.

        The final normed residual stream where the head is one matrix, logits everywhere else.

        Raises:
            ValueError: there is no such layer.
        """
        self._check_layers([layer])
        return self._pass.head_inputs_from(residual, layer)

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of an ordinary pass; their mean over the vocabulary is 0.

        Raises:
            ValueError: the rows are longer than the model's context.
        """
        return self._pass.logits(self._check_tokens(tokens))

    def _check_layers(self, layers: Sequence[int]) -> None:
        absent = [layer for layer in layers if not 0 <= layer < self.n_layers]
        if absent or not layers:
            raise ValueError(f"layers {list(layers)} of {self.name}: choose from 0 to {self.n_layers - 1}")

    def _check_tokens(self, tokens: Int[Tensor, "rows context"]) -> Int[Tensor, "rows context"]:
        if self.n_ctx is not None and tokens.shape[1] > self.n_ctx:
            raise ValueError(f"rows of {tokens.shape[1]} tokens exceed the context of {self.name}, {self.n_ctx}")
        return tokens.to(self.device)
