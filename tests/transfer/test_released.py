"""A run's SAEs as others would get them: a page with their numbers, and SAEs that compute what the run's do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from saelib.sae.releases.load import load_release
from saelib.transfer.experiment import Experiment
from saelib.transfer.released import push_saes
from saelib.transfer.tables import read_results
from tests.helpers.pages import fences, section
from tests.helpers.release_hub import serve_releases
from tests.transfer.conftest import OpenSmall


def test_a_dry_run_lists_every_finished_sae_with_its_page(run: Experiment) -> None:
    upload = push_saes(run, "me/saes")
    places = {place.rpartition("/")[0] for place in upload.files} - {""}
    # 3 layers of scratch, 2 for each of 2 directions and 2 starts; 2 replicates
    assert len(places) == (3 + 2 * 2 * 2) * 2
    assert {"scratch/L0/seed0", "forward_affine/L2/seed1", "backward/L0/seed0"} <= places
    assert upload.commit is None
    _, header, page = upload.card.split("---\n", 2)
    told = yaml.safe_load(header)
    assert (told["library_name"], told["license"]) == ("saelens", "mit")
    assert "base_model" not in told  # it is no model of the hub
    for title in ("The SAEs", "Reading one", "How they were made", "Lineage", "Licence"):
        assert section(page, title).strip()
    assert "`forward/L1/seed0`: from the finished SAE of layer 0, which had seen 2.05 thousand tokens" in page


def test_the_page_has_the_scores_of_the_run(run: Experiment) -> None:
    page = push_saes(run, "me/saes", arms=["forward"], layers=[2]).card
    scores = read_results(run).evaluation.query("arm == 'forward' and act_layer == 2 and tokens == 2048")
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| forward/")}
    assert set(lines) == {"forward/L2/seed0", "forward/L2/seed1"}
    for row in scores.to_dict("records"):
        line = lines[f"forward/L2/seed{row['seed']}"]
        assert f"{row['ce_score']:,.3f}" in line and f"{row['l0']:.1f}" in line and f"{row['mse']:,.0f}" in line
    assert f"Scored on {scores['eval_tokens'].iloc[0]:,} held-out tokens" in page


def test_no_place_on_this_machine_is_told(run: Experiment) -> None:
    upload = push_saes(run, "me/saes")
    texts = [content.decode() for content in upload.files.values() if isinstance(content, bytes)]
    for path in (run.config.language_model, run.config.corpus):
        folder = str(Path(path).parent)
        assert not [text for text in texts if folder in text]
        assert [text for text in texts if Path(path).name in text.replace("\\", "")]


def test_what_is_chosen_is_what_is_sent(run: Experiment) -> None:
    upload = push_saes(run, "me/saes", arms=["scratch"], layers=[1], tokens=1024)
    assert {place for place in upload.files if place.endswith("cfg.json")} == {
        f"scratch/L1/seed{seed}/1024/cfg.json" for seed in (0, 1)
    }
    assert "began from random weights" in section(upload.card, "Lineage")
    for wrong, words in (({"arms": ["sideways"]}, "arm='sideways': this run has arm scratch, "),
                         ({"layers": [7]}, "layer=7: this run has layer 0, 1, 2"),
                         ({"arms": "scratch"}, r"arms='scratch': should be a list, \['scratch'\], or None for all"),
                         ({"layers": 1}, r"layers=1: should be a list, \[1\]"),
                         ({"arms": []}, r"there is no SAE to send: arms=\[\], layers=None"),
                         ({"layers": []}, "there is no SAE to send"),
                         ({"arms": [], "layers": [1], "tokens": 1024}, "there is no SAE to send"),
                         ({"arms": ["forward"], "layers": [0]}, "there is no SAE to send"),
                         ({"tokens": 5}, "tokens=5: this run has tokens 0, 1024, 2048")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            push_saes(run, "me/saes", **wrong)


@pytest.mark.enable_socket
def test_others_read_what_was_sent_as_the_page_says(run: Experiment, tmp_path: Path, monkeypatch) -> None:
    with serve_releases(tmp_path / "cache", monkeypatch) as hub:
        sent = push_saes(run, "me/saes", arms=["forward_affine"], dry_run=False)
        assert hub.repositories["me/saes"]["README.md"].decode() == sent.card
        example, for_sae_lens = fences(section(sent.card, "Reading one"), "python")
        names: dict[str, Any] = {}
        exec(example, names)
        (place,) = re.findall(r'"(forward_affine/[^"]*)"', example)
        assert f'SAE.from_pretrained("me/saes", "{place}")' in for_sae_lens
        layer, seed = int(place.split("/")[1][1:]), int(place.split("/")[2][4:])
        own, sae = run.sae("forward_affine", layer, seed), names["sae"]
        x = torch.randn(4, 32)
        assert torch.equal(sae(x), own(x))
        assert sae.lineage["source_layer"] == layer - 1
        assert sae.lineage["released"] == {"repository": "me/saes", "folder": place, "commit": sent.commit}


def test_the_folders_are_as_sae_lens_reads_them(run: Experiment, tmp_path: Path) -> None:
    folder = push_saes(run, "me/saes", arms=["backward"]).write(tmp_path / "release")
    config = json.loads((folder / "backward" / "L0" / "seed0" / "cfg.json").read_text())
    assert config["metadata"]["hook_name"] == "blocks.0.hook_resid_post"
    assert config["metadata"]["model_name"] == Path(run.config.language_model).name
    assert load_release(str(folder), "backward/L0/seed0").d_sae == run.d_sae


def test_a_repository_that_can_be_none_is_refused_before_anything_is_read(
    run: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saelib.transfer.released.read_results", lambda experiment: pytest.fail("results were read"))
    with pytest.raises(ValueError, match=r"repository '\.\./\.\.': a name on the hub is owner/name"):
        push_saes(run, "../..")


def test_a_run_that_is_not_finished_is_not_sent(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(FileNotFoundError, match="evaluation.parquet with both phases"):
        push_saes(open_small(), "me/saes")
