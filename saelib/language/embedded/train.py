"""Train the language model that ships with the kit: `python -m saelib.language.embedded.train`.

In: the train split of the docstring corpus. Out: a folder that transformers loads (`config.json`,
`model.safetensors`, `tokenizer.json`) and `training.json`, the record from which the model card's numbers come.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from saelib.language.corpus import docstrings
from saelib.language.corpus.rows import hash_tokens
from saelib.language.corpus.streams import tokenize
from saelib.language.corpus.text import split_of
from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.language.embedded.card import write_card
from saelib.run.files import sha256_of_file, write_json

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Recipe:
    """What decides the model, so that the same recipe on the same corpus gives it again."""

    vocabulary: int = 4096  # tokens, end-of-text included
    width: int = 128  # d_model
    layers: int = 6
    heads: int = 4
    longest_context: int = 2048  # tokens; 50-shot H-Test prompts need about 1,100
    phases: tuple[tuple[int, int], ...] = ((256, 2200), (2048, 350))  # (context, steps) in order
    batch_tokens: int = 8192  # per step
    matrix_learning_rate: float = 8e-3  # Muon, for the weights of the blocks
    vector_learning_rate: float = 3e-3  # AdamW, for embeddings, norms and biases
    warm_up_steps: int = 100
    decay_share: float = 0.4  # of all steps, linear to zero at the end
    weight_decay: float = 0.05
    seed: int = 0

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(steps for _, steps in self.phases)


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, so that no text is out of vocabulary, with digits kept apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT)


def build_model(recipe: Recipe) -> GPTNeoXForCausalLM:
    """A randomly initialised GPT-NeoX of Pythia's kind: parallel residual, rotary over a quarter of each head."""
    torch.manual_seed(recipe.seed)
    config = GPTNeoXConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=recipe.longest_context,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.25},
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(config)


def batches(stream: Int[np.ndarray, " tokens"], recipe: Recipe) -> Iterator[Int[Tensor, "rows context"]]:
    """Training batches of all phases: rows from a fresh random offset each epoch, in a fresh random order."""
    draw = np.random.default_rng(recipe.seed)
    for context, steps in recipe.phases:
        rows_per_step = recipe.batch_tokens // context
        order: list[int] = []
        for _ in range(steps):
            if len(order) < rows_per_step:
                offset = int(draw.integers(context))
                rows = stream[offset : offset + (len(stream) - offset) // context * context].reshape(-1, context)
                order = draw.permutation(len(rows)).tolist()
            chosen = [order.pop() for _ in range(rows_per_step)]
            yield torch.from_numpy(rows[chosen].astype(np.int64))


def next_token_loss(model: nn.Module, ids: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context-1"]:
    """Cross-entropy in nats of every next token."""
    logits = model(ids).logits[:, :-1].float()
    return nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


@torch.no_grad()
def held_out_loss_by_position(
    model: nn.Module, stream: Int[np.ndarray, " tokens"], context: int, tokens: int
) -> Float[Tensor, " context-1"]:
    """Mean loss in nats at each position of rows of `context` tokens, over the first `tokens` of the stream.

    `predictions.loss_by_position` is the same measure of a model that has been loaded. This one reads a bare model
    in the middle of its training, in the float32 arithmetic of the record: 5e-6 nats less on the shipped model.
    """
    rows = stream[: min(tokens, len(stream)) // context * context].reshape(-1, context).astype(np.int64)
    device = next(model.parameters()).device
    losses = [next_token_loss(model, torch.from_numpy(part).to(device)) for part in np.array_split(rows, len(rows))]
    return torch.cat(losses).mean(0).cpu()


def optimisers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the blocks, AdamW for everything else."""
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in chosen]
    return [
        torch.optim.Muon(
            matrices,
            lr=recipe.matrix_learning_rate,
            weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=recipe.vector_learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay),
    ]


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Linear warm-up, a plateau, and a linear decay that ends at zero."""
    left = (recipe.steps - step) / (recipe.decay_share * recipe.steps)
    return min(1.0, (step + 1) / recipe.warm_up_steps, left)


def train(recipe: Recipe, folder: Path, device: str, save_every: int = 250) -> None:
    """Train, writing the model to `folder` every `save_every` steps and at the end."""
    started = time.perf_counter()
    documents = docstrings.documents()
    texts = ["\n".join(document.paragraphs) for document in documents if split_of(document) == "train"]
    tokenizer = train_tokenizer(texts, recipe.vocabulary)
    streams = tokenize(documents, tokenizer)._asdict()
    print({name: f"{len(stream):,} tokens" for name, stream in streams.items()}, flush=True)
    model = build_model(recipe).to(device)
    record = _record_so_far(recipe, device, streams, model)

    def save(step: int, loss: float) -> None:
        held_out = held_out_loss_by_position(model, streams["held_out"], 256, 32_768).mean().item()
        seconds = time.perf_counter() - started
        record["log"].append({"step": step, "train_loss": loss, "held_out_loss": held_out, "seconds": seconds})
        print(record["log"][-1], flush=True)
        tokenizer.save_pretrained(folder)
        _save_half(model, folder)
        write_json(folder / "training.json", record)

    fit(model, streams["train"], recipe, device, save, save_every)
    shipped = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device)
    curve = held_out_loss_by_position(shipped, streams["held_out"], recipe.longest_context, 10**9)
    result = {"tokens": recipe.steps * recipe.batch_tokens} | _summary(curve)
    checksum = {"weights_sha256": sha256_of_file(folder / "model.safetensors")}  # what was written is what is read
    write_json(folder / "training.json", record | result | checksum)
    write_card(folder)
    print(json.dumps(result, indent=2))


def _record_so_far(recipe: Recipe, device: str, streams: dict[str, np.ndarray], model: nn.Module) -> dict[str, Any]:
    """What `training.json` says before the first step."""
    return {
        "recipe": asdict(recipe),
        "device": device,
        "corpus": {name: len(stream) for name, stream in streams.items()},
        "corpus_sha256": hash_tokens(streams),
        "sources": docstrings.package_versions(),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "log": [],
    }


def _summary(curve: Float[Tensor, " positions"]) -> dict[str, Any]:
    """Held-out loss over all positions, and over ranges of positions that double in length."""
    edges = [0, *(2**power for power in range(3, 12))]
    by_position = {f"{first}-{last - 1}": curve[first:last].mean().item() for first, last in pairwise(edges)}
    return {"held_out_loss": curve.mean().item(), "held_out_loss_by_position": by_position}


def fit(
    model: nn.Module,
    stream: Int[np.ndarray, " tokens"],
    recipe: Recipe,
    device: str,
    save: Callable[[int, float], None],
    save_every: int,
) -> None:
    """The training loop: bfloat16 autocast, compiled forward and backward pass, gradient norm clipped at 1.

    Args:
        save: called with the step and its loss, every `save_every` steps and after the last one.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    compiled = torch.compile(lambda ids: next_token_loss(model, ids).mean())
    trained_by = optimisers(model, recipe)
    peak_rates = [optimiser.param_groups[0]["lr"] for optimiser in trained_by]
    for step, ids in enumerate(tqdm(batches(stream, recipe), total=recipe.steps, mininterval=30), start=1):
        with torch.autocast(device, torch.bfloat16):
            loss = compiled(ids.to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, peak in zip(trained_by, peak_rates, strict=True):
            optimiser.param_groups[0]["lr"] = peak * learning_rate_factor(step, recipe)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}; lower the learning rates")
        if step % save_every == 0 or step == recipe.steps:
            save(step, loss.item())


def _save_half(model: GPTNeoXForCausalLM, folder: Path) -> None:
    """Half precision on disk keeps the repository small; the model is always read back as float32."""
    half = GPTNeoXForCausalLM(model.config).half()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(folder)


def main() -> None:
    """Command line: where to write, and on which device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=EMBEDDED_FOLDER)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(Recipe(), arguments.folder, arguments.device)


if __name__ == "__main__":
    main()
