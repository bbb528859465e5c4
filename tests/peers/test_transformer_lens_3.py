"""The kit gives the same residual streams and logits on transformer-lens 3.9 as on the installed 4.x."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saelib.language.loading import load_language_model


@pytest.mark.parametrize("prefix", ["", "bridge_"])
def test_same_numbers_on_transformer_lens_3(exchange: Path, run_peer: Callable[..., None], prefix: str) -> None:
    if not (exchange / "kit.json").exists():
        run_peer("tests.peers.kit_side", exchange)
    assert json.loads((exchange / "kit.json").read_text(encoding="utf-8"))["transformer-lens"].startswith("3.")
    older = load_file(exchange / "kit.safetensors")
    model = load_language_model(str(exchange / "model"), device="cpu")
    rows = load_file(exchange / "rows.safetensors")["rows"].long()
    with torch.no_grad():
        streams = model.residual_streams(rows, range(model.n_layers))
        torch.testing.assert_close(older[f"{prefix}streams"], streams, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(older[f"{prefix}logits"], model.logits(rows), atol=1e-4, rtol=1e-4)
