"""README is short, links every notebook, and quotes what was measured: no number on a page is typed by hand."""

import re
from typing import Any

import pandas as pd
import pytest

from saelib.batch.models import kept_presets
from saelib.batch.notebooks import NOTEBOOKS
from saelib.htest.tasks import TASKS
from saelib.interpret.circuits.tables import circuit_scores
from saelib.run.files import PROJECT
from saelib.run.reading import read_json
from saelib.run.stored import RESULTS
from saelib.transfer.depth.compare import layers_kept
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.presets import PRESETS
from saelib.transfer.studies.starts import stored_leads
from tests.helpers.pages import links, one_match, read_page, tables

QUOTED = (("results/models_short.md", "README.md"), ("results/experiments.md", "README.md"),
          ("results/benchmark.md", "benchmarks/README.md"), ("results/benchmark_busy.md", "benchmarks/README.md"),
          ("results/benchmark_htest.md", "benchmarks/README.md"))  # fmt: skip
LONGEST_README = 180  # lines
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth")
SURE = 0.05  # Holm's p-value over the ten tasks


@pytest.mark.parametrize(("table", "page"), QUOTED)
def test_tables_on_pages_are_those_of_the_results(table: str, page: str) -> None:
    made = tables((PROJECT / table).read_text(encoding="utf-8"))
    assert made
    assert not [block for block in made if block not in read_page(page)]


def test_readme_is_short() -> None:
    lines = read_page("README.md").count("\n")
    assert lines <= LONGEST_README


def test_every_notebook_is_linked_in_readme() -> None:
    linked = {target for target in links(read_page("README.md")) if target.endswith(".ipynb")}
    assert linked == {notebook.path.relative_to(PROJECT).as_posix() for notebook in NOTEBOOKS}


def recorded(notebook: str, preset: str = "tiny") -> dict[str, Any]:
    """The values that a notebook recorded in the run of a preset."""
    assert notebook in {one.name for one in NOTEBOOKS}
    return dict(read_json(RESULTS / preset / "values" / f"{notebook}.json")["values"])


def test_the_disputed_labels_of_readme_are_those_of_the_audit() -> None:
    said = one_match(r"rules dispute ([\d,]+) of the ([\d,]+) released labels", read_page("README.md"))
    values = recorded("30_htest_items")
    audited = [line for line in values["audit"] if line["item_set"].startswith("official") and line["task"] in TASKS]
    disputed, items = (
        sum(line[f"{split}_{what}"] for line in audited for split in ("dev", "test"))
        for what in ("disagreements", "items")
    )
    assert (said[1], said[2]) == (f"{disputed:,}", f"{items:,}")
    assert disputed == values["disagreements"]


def test_the_tasks_with_a_shortcut_of_readme_are_those_of_the_audit() -> None:
    pattern = r"the best cut on one number is right on more than (\d+)% of the items in (\w+) tasks"
    said = one_match(pattern, " ".join(read_page("README.md").split()))
    audited = [line for line in recorded("30_htest_items")["audit"] if line["item_set"].startswith("official")]
    above = [line for line in audited if line["task"] in TASKS and line["shortcut_test"] > int(said[1]) / 100]
    assert NUMBERS.index(said[2]) == len(above)


def test_the_tasks_that_readme_calls_learnt_are_those_where_tuning_helped() -> None:
    said = one_match(r"learns (\w+) of the (\w+) tasks when it is asked as it was tuned", read_page("README.md"))
    lines = recorded("34_htest_fine_tuning")["by_task"]["tuning"]
    learnt = [line for line in lines if line["difference"] > 0 and line["p_holm"] < SURE]
    assert [NUMBERS.index(number) for number in said.groups()] == [len(learnt), len(lines)]


def test_the_speed_of_readme_is_that_of_the_benchmark() -> None:
    said = one_match(r"in one pass: ([\d.]+) times as fast as the quickest", " ".join(read_page("README.md").split()))
    one_pass = (RESULTS / "benchmark.md").read_text(encoding="utf-8").split("## The whole experiment")[0]
    faster = re.findall(r"^\| (?:sae-lens|eai-sparsify) .* ([\d.]+) \([^)]*\) times \|", one_pass, re.MULTILINE)
    assert len(faster) == 3
    assert said[1] == min(faster, key=float)


def test_the_claims_of_readme_are_those_of_the_reports() -> None:
    said = re.findall(r"(\d+) of (\d+) claims agree, (\d+) do not, (\d+) are open", read_page("README.md"))
    for (agree, all_of_them, no, still_open), preset in zip(said, kept_presets(), strict=True):
        verdicts = [line["agrees"] for line in recorded("90_report", preset.name)["agreement"]]
        counts = [verdicts.count("yes"), len(verdicts), verdicts.count("no"), verdicts.count("open")]
        assert [*map(int, (agree, all_of_them, no, still_open))] == counts


def test_what_a_source_takes_to_pay_off_is_that_of_the_ledger() -> None:
    said = one_match(
        r"pays off from the (\w+) transfer on \(at no more L0 forward from the (\w+)\)",
        " ".join(read_page("README.md").split()),
    )
    needed = {(line["arm"], line["target"]): line["transfers"] for line in recorded("13_convergence")["break_even"]
              if line["language_model"] == "shared"}  # fmt: skip
    first, second = (ORDINALS.index(word) for word in said.groups())
    assert {needed["forward", "loss"], needed["backward", "loss"], needed["backward", "joint"]} == {first}
    assert needed["forward", "joint"] == second


def test_what_more_l0_does_to_a_backward_copy_is_in_readme() -> None:
    said = one_match(
        r"copies save (\d+)% to (\d+)% if ([\d.]+) to ([\d.]+) times scratch's is allowed",
        " ".join(read_page("README.md").split()),
    )
    means = {line["l0_factor"]: line["mean"] for line in recorded("13_convergence")["joint_savings"]
             if line["arm"] == "backward"}  # fmt: skip
    low, high, *factors = map(float, said.groups())
    assert [round(100 * means[factor]) for factor in factors] == [low, high]


def test_what_readme_says_of_maps_is_what_the_savings_say() -> None:
    """On average more than a copy by the objective; at no more L0 neither more nor less, as far as the run can tell."""
    said = one_match(
        r"on average an affine map more than a copy\. At no more L0 it saves (\d+)% to (\d+)%, and an affine map shows "
        r"no advantage\*\* \(an orthogonal one does backward: \+(\d+) points, (\d+) to (\d+)\)",
        " ".join(read_page("README.md").split()),
    )
    leads = recorded("14_better_start")["leads_over_copies"]
    for line in leads:
        if line["target"] == "loss":
            assert line["low"] > 0
        if line["target"] == "joint":
            assert line["low"] <= 0 <= line["high"] or line["high"] < 0
    joint = [line["mean"] for line in recorded("13_convergence")["savings"] if line["target"] == "joint"]
    assert said.groups()[:2] == (f"{min(joint):.0%}"[:-1], f"{max(joint):.0%}"[:-1])
    (rotated,) = stored_leads().query("arm == 'backward_procrustes' and target == 'joint'").to_dict("records")
    assert list(map(int, said.groups()[2:])) == [round(100 * rotated[name]) for name in ("mean", "low", "high")]


def test_what_smollm2_saves_is_what_its_run_recorded() -> None:
    said = one_match(
        r"On smollm2 a transfer saves (\d+)% to (\d+)% of the training by the objective and (\d+)% to (\d+)% at no "
        r"more L0; at the end (\d+) of (\d+) are better than finished scratch .* with (\d+) thousand tokens",
        " ".join(read_page("README.md").split()),
    )
    values, tokens = recorded("13_convergence", "smollm2"), PRESETS["smollm2"].scratch.tokens
    saved = [line for line in values["savings"] if line["distance"] == 1]
    means = {target: [line["mean"] for line in saved if line["target"] == target] for target in ("loss", "joint")}
    ends = [
        line
        for line in values["dominance"]
        if line["tokens"] == tokens and line["arm"] in {one["arm"] for one in saved}
    ]
    numbers = [f"{found:.0%}"[:-1] for mean in means.values() for found in (min(mean), max(mean))]
    numbers += [str(sum(line[name] for line in ends)) for name in ("better", "saes")]
    assert [*said.groups()] == [*numbers, str(tokens // 1000)]


def test_how_far_a_map_carries_is_what_the_study_recorded() -> None:
    values, text = recorded("15_map_distance", "smollm2"), " ".join(read_page("README.md").split())
    source, (short, long) = values["source"], values["budgets"]
    scores = {arm: {line["act_layer"]: line["mean"] for line in values["curves"]
                    if (line["arm"], line["metric"], line["budget"]) == (arm, "ce_score", long)}
              for arm in ("affine", "copy", "scratch")}  # fmt: skip
    kept = {arm: layers_kept({layer - source: score for layer, score in scores[arm].items()},
                             0.95 * scores["scratch"][source]) for arm in ("affine", "copy")}  # fmt: skip
    ends = [source + end for arm in ("affine", "copy") for end in kept[arm]]
    told = one_match(
        r"SAE of layer (\d+) keeps 95% of its .* from layer (\d+) to (\d+), a copy from (\d+) to (\d+)", text
    )
    assert [*map(int, told.groups())] == [source, *ends]
    mapped = {name: [line for line in values[name] if line["arm"] == "affine" and line["distance"] != 0]
              for name in ("ratios", "equal_l0")}  # fmt: skip
    gaps = [-line["mean"] for line in mapped["equal_l0"] if (line["metric"], line["budget"]) == ("ce_score", long)]
    told = one_match(r"at equal L0 it scores ([\d.]+) to ([\d.]+) below scratch", text)
    assert [*told.groups()] == [f"{min(gaps):.3f}", f"{max(gaps):.3f}"]
    of = {
        budget: [line["high"] < 1 for line in mapped["ratios"] if line["budget"] == budget] for budget in (short, long)
    }
    told = one_match(r"ahead of scratch at (\d) of (\d) layers after ([\d.]+) thousand tokens, at (\d) of (\d) after "
                     r"(\d+) thousand", text)  # fmt: skip
    assert [*told.groups()] == [str(sum(of[short])), str(len(of[short])), f"{short / 1000:.1f}",
                                str(sum(of[long])), str(len(of[long])), str(long // 1000)]  # fmt: skip
    told = one_match(r"out of a third of them and maps cost (\d+)% of one SAE a layer", text)
    (cost,) = (line for line in values["costs"] if (line["way"], line["reach"]) == ("affine", 1))
    assert (3 * cost["trained"], f"{cost['share']:.0%}") == (len(scores["affine"]), f"{told[1]}%")


def test_the_tokens_and_seeds_of_readme_are_those_of_the_preset() -> None:
    config, text = PRESETS["tiny"], read_page("README.md")
    scratch = one_match(r"scratch random weights \.+ (\d+) thousand tokens", text)
    transfer = one_match(r"forward copy of that SAE \.+ (\d+) thousand new tokens", text)
    assert [int(scratch[1]), int(transfer[1])] == [config.scratch.tokens // 1000, config.transfer.tokens // 1000]
    layers, seeds = one_match(r"(\w+) layers of the embedded model, (\w+) replicates", text).groups()
    recorded_layers = len(recorded("11_scratch_saes")["ce_score_by_layer"])
    assert (NUMBERS.index(layers), NUMBERS.index(seeds)) == (recorded_layers, config.sae_seeds)


def span(shares: list[float]) -> str:
    """From the smallest to the largest, where these differ."""
    return " to ".join(dict.fromkeys(f"{share:.0%}" for share in (min(shares), max(shares))))


def carried_numbers(preset: str) -> dict[str, str]:
    """What README says of a preset's features, decoders and circuits, as it says it."""
    found, leads = recorded("20_features", preset), recorded("21_circuits", preset)["circuit_leads"]
    shares, null = ([line[name] for line in found["feature_transfer"]] for name in ("mean", "null"))
    matches = [line["mean"] for line in found["feature_transfer_comparisons"]
               if (line["comparison"], line["measure"]) == ("scratch_match", "share")]  # fmt: skip
    alike = {(line["arm"], line["reference"]): line["mean"] for line in found["likeness"]
             if (line["features"], line["measure"]) == ("all", "mmcs")}  # fmt: skip
    mmcs = [line["mean"] for line in found["mmcs"]]
    kept = [line["mean"] for line in found["moved"] if line["measure"] == "kept" and line["arm"] in DIRECTIONS]
    leads = [line for line in leads if line["arm"].startswith(tuple(DIRECTIONS))]
    largest = {line["measure"]: line["share"] for line in sorted(leads, key=lambda line: line["share"])}
    leads = [line for line in leads if line["share"] == largest[line["measure"]]]
    faithful, complete = ([line["mean"] for line in leads if line["measure"] == measure]
                          for measure in ("faithfulness", "completeness"))  # fmt: skip
    beyond = sum(line["low"] > 0 or line["high"] < 0 for line in leads)
    scores = circuit_scores(pd.read_parquet(RESULTS / preset / "interpret" / "faithfulness.parquet"), resamples=10)
    nearer = {}
    for measure, best in {"faithfulness": 1, "completeness": 0}.items():
        by_choice = scores[(scores["measure"] == measure) & (scores["share"] == largest[measure])].pivot(
            index=["task", "direction", "arm"], columns="choice", values="mean"
        )
        misses = (by_choice - best).abs()
        nearer[measure] = f"{(misses['attribution'] < misses['top_activation']).sum()} of {len(misses)}"
    return {
        "shares": span(shares), "null": f"{max(null):.0%}",
        "matches": span(matches), "mmcs": f"{min(mmcs):.2f} to {max(mmcs):.2f}",
        "replicates": f"{alike['scratch', 'scratch_other']:.2f}", "random": f"{alike['random', 'scratch_end']:.2f}",
        "kept": span(kept), "tasks": NUMBERS[len({line["task"] for line in leads})],
        "faithfulness": f"{min(faithful):+.2f} to {max(faithful):+.2f}",
        "completeness": f"{min(complete):+.2f} to {max(complete):+.2f}", "beyond": f"{beyond} of {len(leads)}",
        "nearer_faithful": nearer["faithfulness"], "nearer_complete": nearer["completeness"],
    }  # fmt: skip


CARRIED = (
    ("tiny", r"on tiny shares \*\*(?P<shares>.*?)\*\* with its source's feature of the same index .*?, with a random "
             r"one (?P<null>\S+), while the nearest row of scratch shares (?P<matches>.*?) with it.*? \(MMCS "
             r"(?P<mmcs>.*?)\) than two replicates of scratch are from each other \((?P<replicates>\S+); random "
             r"directions (?P<random>\S+)\).* Of a copy's living features (?P<kept>.*?) keep a cosine of 0.9"),
    ("smollm2", r"On smollm2 it shares (?P<shares>.*?) \(a random one (?P<null>\S+), scratch's nearest row "
                r"(?P<matches>.*?)\), MMCS is (?P<mmcs>.*?) beside (?P<replicates>\S+) and (?P<random>\S+), and "
                r"(?P<kept>.*?) of a copy's features keep that cosine"),
    ("tiny", r"from scratch's by (?P<faithfulness>.*?) in faithfulness and (?P<completeness>.*?) in completeness on "
             r"tiny \((?P<tasks>\w+) tasks, (?P<beyond>.*?) differences beyond intervals over prompts\)"),
    ("tiny", r"to faithfulness 1 in (?P<nearer_faithful>\d+ of \d+) pairs of task and arm on tiny .*? to completeness "
             r"0 in (?P<nearer_complete>\d+ of \d+) and"),
    ("smollm2", r"pairs of task and arm on tiny and (?P<nearer_faithful>\d+ of \d+) on smollm2, to completeness 0 in "
                r"\d+ of \d+ and (?P<nearer_complete>\d+ of \d+)"),
    ("smollm2", r"and by (?P<faithfulness>\S+ to \S+) and (?P<completeness>\S+ to \S+) on smollm2 \((?P<tasks>\w+) "
                r"tasks, (?P<beyond>\d+ of \d+)\)"),
)  # fmt: skip


@pytest.mark.parametrize(("preset", "sentence"), CARRIED)
def test_what_is_carried_over_is_what_the_notebooks_recorded(preset: str, sentence: str) -> None:
    told = one_match(sentence, " ".join(read_page("README.md").split())).groupdict()
    assert told == {name: number for name, number in carried_numbers(preset).items() if name in told}


def test_the_papers_numbers_on_what_is_carried_over_are_the_published_ones() -> None:
    text, found = " ".join(read_page("README.md").split()), recorded("20_features")
    shares = one_match(r"the same index \(the paper: (\d+)% and (\d+)%\)", text)
    assert [*map(int, shares.groups())] == sorted(
        round(100 * line["mean"]) for line in found["feature_transfer_published"]
    )
    mmcs = one_match(r"the paper's ([\d.]+) and ([\d.]+) stand beside no such number", text)
    assert [*mmcs.groups()] == sorted(f"{line['mean']:.2f}" for line in found["mmcs_published"])
