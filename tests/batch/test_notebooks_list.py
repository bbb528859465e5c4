"""The one list of notebooks is whole, in order, and says what each of them takes and needs."""

import ast
import re

import nbformat
import pytest

from saelib.batch.notebooks import FOLDER, NOTEBOOKS, REPORT, Notebook
from saelib.batch.settings import CONFIGS as TOLD
from saelib.run.parameters import divide

NAMES = [notebook.name for notebook in NOTEBOOKS]
CONFIGS = {name: config.kind for name, config in TOLD.items()}


def test_names_are_unique_and_in_order() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert sorted(NAMES) == NAMES
    assert all(re.fullmatch(r"\d\d_[a-z][a-z_]*", name) for name in NAMES)
    assert REPORT.name == NAMES[-1] == "90_report"


def test_what_is_stored_is_in_the_list_and_the_other_way_round() -> None:
    assert sorted(FOLDER.glob("*.ipynb")) == [notebook.path for notebook in NOTEBOOKS]


def test_sources_come_before() -> None:
    for place, notebook in enumerate(NOTEBOOKS):
        assert set(notebook.sources) <= set(NAMES[:place]), notebook.name
        assert len(set(notebook.sources)) == len(notebook.sources)


def test_everything_leads_to_the_report() -> None:
    """Else a notebook could run beside the report that should tell of it."""
    needed, sources = set(), list(REPORT.sources)
    while sources:
        name = sources.pop()
        needed.add(name)
        sources += NOTEBOOKS[NAMES.index(name)].sources
    assert needed == set(NAMES[:-1])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
class TestEntry:
    """What the list says of a notebook."""

    def test_its_family_is_that_of_its_configs(self, notebook: Notebook) -> None:
        families = {"1": ("transfer",), "2": ("interpret", "transfer"), "3": ("htest",)}
        family = families.get(notebook.name[0], ("transfer", "interpret", "htest"))
        assert notebook.configs == family
        assert ("htest" in notebook.name) == (family == ("htest",))

    def test_a_phrase_says_what_it_shows(self, notebook: Notebook) -> None:
        assert len(notebook.shows) > 20
        assert not notebook.shows.endswith(".")
        assert not notebook.shows[0].isupper()

    def test_what_computes_takes_all_cores(self, notebook: Notebook) -> None:
        assert notebook.threads >= 1
        if notebook.computes and notebook is not REPORT:
            assert notebook.threads > 1

    def test_its_parameters_are_fields_of_its_configs(self, notebook: Notebook) -> None:
        (cell,) = [
            cell for cell in nbformat.read(notebook.path, as_version=4).cells
            if "parameters" in cell.metadata.get("tags", [])
        ]  # fmt: skip
        names = [ast.unparse(statement.targets[0]) for statement in ast.parse(cell.source).body
                 if isinstance(statement, ast.Assign)]  # fmt: skip
        assert {"preset", "run", "seed"} <= set(names)
        divide(dict.fromkeys(names), *(CONFIGS[config] for config in notebook.configs))

    def test_it_imports_nothing_under_the_name_of_a_parameter(self, notebook: Notebook) -> None:
        """Which `notebook_parameters` refuses, as the parameter would be lost."""
        code = "\n".join(
            cell.source for cell in nbformat.read(notebook.path, as_version=4).cells if cell.cell_type == "code"
        )
        imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.asname or alias.name.partition(".")[0] for node in imports for alias in node.names}
        assert not names & {name for config in CONFIGS.values() for name in config.model_fields}

    def test_it_reads_the_values_of_its_sources_alone(self, notebook: Notebook) -> None:
        """What a notebook reads of another must have run before it."""
        code = "\n".join(
            cell.source for cell in nbformat.read(notebook.path, as_version=4).cells if cell.cell_type == "code"
        )
        read = set(re.findall(r'read_values\(\w+, "(\w+)"\)', code))
        before, sources = set(), list(notebook.sources)
        while sources:
            name = sources.pop()
            before.add(name)
            sources += NOTEBOOKS[NAMES.index(name)].sources
        assert read <= before
        assert re.findall(r'record_values\(\w+, "(\w+)"', code) == [notebook.name]
