"""The kit on the oldest transformer-lens that it supports; runs in the peers' environment (transformer-lens 3.9).

In: an exchange folder with `model/` and `rows.safetensors`. Out: `kit.safetensors` there, residual streams of all
layers and logits by the kit's own passes and by its TransformerBridge, and `kit.json`, transformer-lens's version.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from saelib.language.loading import load_language_model


def main() -> None:
    """Fill the exchange folder that the command line names."""
    folder = Path(sys.argv[1])
    model = load_language_model(str(folder / "model"), device="cpu")
    rows = load_file(folder / "rows.safetensors")["rows"].long()
    with torch.no_grad():
        streams = model.residual_streams(rows, range(model.n_layers))
        logits = model.logits(rows)
        names = [f"blocks.{layer}.hook_resid_post" for layer in range(model.n_layers)]
        bridge_logits, cache = model.bridge.run_with_cache(rows, names_filter=names)
        bridge_streams = torch.stack([cache[name] for name in names])
    tensors = {"streams": streams, "logits": logits, "bridge_streams": bridge_streams, "bridge_logits": bridge_logits}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "kit.safetensors")
    (folder / "kit.json").write_text(json.dumps({"transformer-lens": version("transformer-lens")}), encoding="utf-8")


if __name__ == "__main__":
    main()
