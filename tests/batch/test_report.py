"""report.html: provenance, the report notebook, every figure and check of the run, in a file that needs no other."""

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from saelib.batch import report
from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.page.head import warnings as warnings_of
from saelib.batch.report import write_report
from saelib.htest.config import resolve_htest_config
from saelib.htest.items.official import OFFICIAL_SET
from saelib.interpret.config import resolve_interpret_config
from saelib.results.figures import figure, new_figure, save_figure
from saelib.results.parted import PartedTable
from saelib.run.files import write_json
from saelib.run.reading import DamagedFileError
from saelib.run.stored import RESULTS
from saelib.transfer.presets import resolve_config
from tests.helpers.small_run import SmallRun

TIMES = {"start_time": "2026-01-02T03:04:05.1", "end_time": "2026-01-02T03:10:05.1", "duration": 90.0}
NASTY = '<script>alert(1)</script> "|" $x$ 模型'


def drawn(name: str, caption: str, height: float = 1.0) -> Any:
    @figure(name, caption)
    def draw() -> Figure:
        made, panels = new_figure(2, 1)
        panels[0, 0].plot([0, height])
        return made

    return draw()


class RunOfNoPaper(SmallRun):
    def claim(self) -> None:
        """Without a config.json: the report reads those of the two papers."""


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return RunOfNoPaper(tmp_path / "runs" / "mine")


def shown(run: SmallRun, name: str, caption: str, height: float = 1.0) -> Any:
    """The output of a cell that kept and displayed a figure."""
    data, metadata = save_figure(run, drawn(name, caption, height))._repr_mimebundle_()
    return new_output("display_data", data, metadata=metadata)


def said(text: str, role: str | None = None) -> Any:
    about = {"saelib": {"role": role}} if role else {}
    return new_output("display_data", {"text/markdown": text}, metadata=about)


def execute(run: SmallRun, name: str, *outputs: Any, text: str = "# A title") -> None:
    """Put an executed notebook where a batch run leaves it."""
    cells = [new_markdown_cell(text), *(new_code_cell("secret_call()", outputs=[output]) for output in outputs)]
    (run.folder / "notebooks").mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=cells, metadata={"papermill": TIMES})
    nbformat.write(notebook, run.folder / "notebooks" / f"{name}.ipynb")


def page_of(run: SmallRun) -> str:
    return write_report(run.folder).read_text(encoding="utf-8")


class Page(HTMLParser):
    """Tags, images, anchors and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[tuple[str, bytes]] = []
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.anchors += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag == "img":
            kind, _, content = found["src"].partition(";base64,")
            assert kind in ("data:image/svg+xml", "data:image/png")
            self.images.append((found["alt"], base64.b64decode(content)))


def test_a_run_without_its_report_notebook_is_told_how_to_make_it(run: SmallRun) -> None:
    execute(run, "13_convergence")
    with pytest.raises(FileNotFoundError, match=r"90_report\.ipynb is not there; run `make reproduce RUN=mine` first"):
        write_report(run.folder)
    assert not (run.folder / "report.html").exists()


def test_the_report_holds_the_notebook_without_code_and_every_figure_once(run: SmallRun) -> None:
    tides, norms, inner = 'Tides & "waves" <1 m', "Norms by layer", "Agreement with the paper"
    plain = new_output("display_data", {"image/png": base64.b64encode(b"not a figure of ours").decode()})
    again = shown(run, "agreement", inner, 4)
    execute(run, "13_convergence", shown(run, "tides", tides), plain, again, shown(run, "late", "A late one", 5))
    execute(run, "10_language_model", shown(run, "norms", norms, 2), new_output("stream", text="printed"))
    execute(run, "99_foreign", shown(run, "foreign", "Of no notebook of ours", 3))
    execute(run, "90_report", again, text="# The title\n\n# Findings\n\nSeen.")
    path = write_report(run.folder)
    assert path == run.folder / "report.html"
    page = path.read_text(encoding="utf-8")
    assert "Findings" in page and "secret_call" not in page and "printed" not in page
    assert "H-Test: run mine</title>" in page
    kept = {
        name: (run.folder / "figures" / f"{name}.svg").read_bytes() for name in ("agreement", "norms", "tides", "late")
    }
    assert Page(page).images == [
        (inner, kept["agreement"]), (norms, kept["norms"]), (tides, kept["tides"]), ("A late one", kept["late"]),
    ]  # fmt: skip


def test_what_comes_first(run: SmallRun) -> None:
    """Title, provenance, warning, contents, and the boxes with the answers before all else."""
    execute(run, "90_report", said("Yes.", "answer"), said("More."), text="# The title\n\nTwo papers.\n\n# The answers")
    order = [
        "<h1",
        "Two papers.",
        "where the numbers come from",
        "warning",
        "<nav",
        "box answer",
        "More.",
        "Appendix</h2>",
    ]
    page = page_of(run)
    places = [page.index(words, page.index("<body")) for words in order]
    assert places == sorted(places)


def test_the_contents_lead_to_every_chapter(run: SmallRun) -> None:
    execute(
        run,
        "90_report",
        said("Seen."),
        text="# Title\n\n# Paper 1\n\ntext\n\n## Savings & <costs>\n\ntext\n\n# Paper 2",
    )
    page = page_of(run)
    entries = dict(re.findall('<a href="#(.*?)">(.*?)</a>', page))
    assert [*entries.values()] == [
        "Paper 1", "Savings &amp; &lt;costs&gt;", "Paper 2", "Appendix", "Glossary", "Checks", "Files",
    ]  # fmt: skip
    anchors = Page(page).anchors
    assert len(set(anchors)) == len(anchors)
    assert set(entries) <= set(anchors)


def test_the_page_runs_nothing_and_needs_no_network(run: SmallRun) -> None:
    outputs = [said(f"Asked: {NASTY}, ![x](https://example.org/x.png)."), said(NASTY, "warning")]
    execute(run, "90_report", *outputs, shown(run, "norms", NASTY), text=f"# T\n\n# {NASTY}\n\nThe share $x^2$")
    page = page_of(run)
    assert not set(Page(page).tags) & {"script", "iframe", "object", "link", "svg", "style src"}
    assert not re.search(r"""src=["'](?!data:)""", page)
    assert not re.search(r"<[^>]+\son\w+=", page)
    assert "default-src 'none'" in page
    assert page.count("alert(1)") == page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 4


def test_links_lead_to_what_lies_beside_the_report(run: SmallRun) -> None:
    execute(run, "13_convergence")
    execute(run, "90_report", said("See `13_convergence`."))
    (run.folder / "tables").mkdir()
    (run.folder / "tables" / "htest_accuracy.csv").touch()
    links = {link for link in Page(page_of(run)).links if not link.startswith("#")}
    assert links == {"notebooks/13_convergence.ipynb", "notebooks/90_report.ipynb", "tables/htest_accuracy.csv"}
    assert all((run.folder / link).is_file() for link in links)


def test_every_check_of_every_notebook_is_counted(run: SmallRun) -> None:
    execute(run, "10_language_model", said("✓ one", "check"), said("✓ no check"))
    execute(run, "13_convergence", said("✓ two", "check"), said("✓ three", "check"))
    execute(run, "90_report", said("✓ four", "check"))
    page = page_of(run)
    assert f"<strong>4 of 4 checks passed</strong> in 3 of {len(NOTEBOOKS)} notebooks" in page
    assert "Not run: 11_scratch_saes, 12_layer_transfer, " in page
    assert all(f"✓ {number}" in page for number in ("one", "two", "three", "four"))


def real_run(run: SmallRun, item_set: str, **htest: Any) -> None:
    """Configs, a table and recorded values, as a finished run has them."""
    write_json(run.folder / "config.json", resolve_config(run="mine", language_model="org/a|b").as_dict())
    write_json(run.folder / "htest" / "config.json", resolve_htest_config(run="mine", **htest).as_dict())
    write_json(run.folder / "values" / "13_convergence.json", {"config_sha256": "abc", "values": {}})
    write_json(run.folder / "interpret" / "config.json", resolve_interpret_config(run="mine").as_dict())
    write_json(run.folder / "values" / "20_features.json", {"config_sha256": "fed", "values": {}})
    write_json(run.folder / "values" / "31_htest_accuracy.json", {"config_sha256": "def", "values": {}})
    items = {"config_sha256": "def", "values": {"items_sha256": {item_set: "123"}}}
    write_json(run.folder / "values" / "30_htest_items.json", items)
    sound = {"arm": "scratch", "act_layer": 1, "tokens": 64, "l0": 20.0, "dead_latents": 0.2, "ce_score": 0.9}
    evaluate(run, sound | {"commit": "c0ffee", "versions": '{"torch": "2.0"}'})


def evaluate(run: SmallRun, *rows: dict[str, Any]) -> None:
    """What the run measured of its SAEs."""
    pd.DataFrame(rows).assign(config_sha256="abc").to_parquet(run.folder / "evaluation.parquet")


def test_the_head_says_where_the_numbers_come_from(run: SmallRun) -> None:
    real_run(run, OFFICIAL_SET, models=["org/small"])
    execute(run, "13_convergence")
    execute(run, "90_report")
    page = page_of(run)
    for words in ("<td>mine</td>", "2026-01-02 03:04 to 2026-01-02 03:10 UTC", "3.0 minutes in 2 notebooks", "c0ffee",
                  "SHA-256 abc", "SHA-256 fed", "SHA-256 def", "SHA-256 123", "torch 2.0", "saelib ", "cores",
                  "org/a|b", "org/small", "<td>l1_coefficient</td>", "<td>scratch: checkpoints</td>",
                  "<td>circuit_tasks</td>"):  # fmt: skip
        assert words in page, words
    assert "box warning" not in page


def test_a_run_that_was_not_looked_into_says_so(run: SmallRun) -> None:
    real_run(run, OFFICIAL_SET, models=["org/small"])
    (run.folder / "values" / "20_features.json").unlink()
    execute(run, "90_report")
    assert "20_features has not run here:</strong> there are no numbers of interpretation." in page_of(run)


@pytest.mark.parametrize(
    ("official", "why"),
    [
        ("auto", "neither a copy of them nor"),
        ("none", "the settings leave them out"),
        ("mine.csv", "the settings name others"),
    ],
)
def test_a_box_warns_where_the_released_items_are_missing(run: SmallRun, official: str, why: str) -> None:
    real_run(run, "fresh-2", models=["org/small"], official=official)
    execute(run, "90_report")
    (warning,) = re.findall(r'<aside class="box warning">.*?</aside>', page_of(run), re.DOTALL)
    assert "Without the released H-Test items" in warning and why in warning
    assert "The numbers of paper 2 are those of fresh items." in warning


def test_a_box_warns_of_the_embedded_model(run: SmallRun) -> None:
    real_run(run, OFFICIAL_SET, models=["embedded"])
    execute(run, "90_report")
    (warning,) = re.findall(r'<aside class="box warning">.*?</aside>', page_of(run), re.DOTALL)
    assert "Not the papers' weights" in warning


def test_a_box_says_what_the_weights_of_smollm2_are(run: SmallRun) -> None:
    real_run(run, OFFICIAL_SET, models=["org/small", "smollm2"])
    execute(run, "90_report")
    page = page_of(run)
    (warning,) = re.findall(r'<aside class="box warning">.*?</aside>', page, re.DOTALL)
    origin = "SmolLM2-135M-Instruct (HuggingFaceTB), Apache-2.0, 4-bit weights (Q4_1), instruction-tuned"
    assert f"What the weights are:</strong> smollm2 is {origin}." in warning
    assert f"smollm2 ({origin})" in page.replace(warning, "")  # in the head's table


def test_a_box_warns_of_an_evaluation_that_is_not_finished(run: SmallRun) -> None:
    """Its scores are not those of the last budget, which everything else is said of."""
    real_run(run, OFFICIAL_SET, models=["org/small"])
    budgets = resolve_config().scratch.checkpoints
    (row,) = pd.read_parquet(run.folder / "evaluation.parquet").to_dict("records")
    for tokens in budgets[:2]:
        write_part(run, f"scratch-{tokens:012d}", row | {"tokens": tokens})
    execute(run, "90_report")
    (warning,) = re.findall(r'<aside class="box warning">.*?</aside>', page_of(run), re.DOTALL)
    words = f"The evaluation of the phase scratch is not finished:</strong> 2 of {len(budgets)} checkpoints are scored"
    assert words in warning
    for tokens in budgets[2:]:
        write_part(run, f"scratch-{tokens:012d}", row | {"tokens": tokens})
    assert "box warning" not in page_of(run)


def write_part(run: SmallRun, name: str, row: dict[Any, Any]) -> None:
    for folder in ("evaluation", "evaluation_rows"):
        PartedTable(run.folder / folder).write(name, pd.DataFrame([row]))


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"l0": 0.0}, "Next to nothing is active:"),
        ({"l0": 51.0}, "More than half of 100 features are active:"),
        ({"ce_score": -2.0}, "CE-loss score outside 0 to 1:"),
        ({}, None),
    ],
)
def test_a_box_warns_of_saes_that_cannot_be_meant(run: SmallRun, measured: dict[str, float], words: str | None) -> None:
    real_run(run, OFFICIAL_SET, models=["org/small"])
    (row,) = pd.read_parquet(run.folder / "evaluation.parquet").to_dict("records")
    evaluate(run, row | measured)
    write_json(run.folder / "saes" / "scratch" / "L1" / "seed0" / "64" / "cfg.json", {"d_sae": 100})
    execute(run, "90_report")
    warnings = re.findall(r'<aside class="box warning">.*?</aside>', page_of(run), re.DOTALL)
    assert [words in warning and "from scratch at layer 1" in warning for warning in warnings] == [True] * bool(words)


def test_the_default_run_is_sound_and_says_nothing_of_its_saes() -> None:
    assert not any("finished SAEs" in warning for warning in warnings_of(RESULTS / "tiny"))


def test_the_command_line_takes_the_name_of_a_run(
    run: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(run, "90_report")
    monkeypatch.setenv("SAELIB_RUNS", str(run.folder.parent))
    monkeypatch.setattr(sys, "argv", ["report", "mine"])
    report.main()
    assert capsys.readouterr().out.strip() == str(run.folder / "report.html")


@pytest.mark.parametrize("name", ["config.json", "htest/config.json", "values/13_convergence.json",
                                  "values/30_htest_items.json", "evaluation.parquet"])  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"values": 3}'])
def test_a_damaged_file_is_named_and_the_report_before_it_stays(run: SmallRun, name: str, content: bytes) -> None:
    real_run(run, OFFICIAL_SET)
    execute(run, "90_report")
    before = page_of(run)
    (run.folder / name).write_bytes(content)
    with pytest.raises(DamagedFileError, match=name):
        write_report(run.folder)
    assert (run.folder / "report.html").read_text(encoding="utf-8") == before
