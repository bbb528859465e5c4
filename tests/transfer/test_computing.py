"""Which code decides numbers: every module that the stages reach does, or is named here as one that does not."""

import ast
from collections.abc import Iterator
from pathlib import Path

from saelib.run.library import LIBRARY, WITHOUT_NUMBERS, modules_of
from saelib.transfer.computing import COMPUTING

ASIDE = {
    *WITHOUT_NUMBERS,
    *(f"run/{name}.py" for name in ("command", "config_errors", "config_help", "files", "identity", "library", "lock",
                                    "manifest", "pinned", "progress", "sealed", "secrets", "stored", "timing")),
    *(f"results/{name}.py" for name in ("bootstrap", "intervals", "provenance", "values")),
    *(f"transfer/{name}.py" for name in ("choices", "computing", "curves", "divergence", "finished", "presets",
                                         "samples", "tables", "targets")),
}  # fmt: skip
"""Names, locks, checks, messages and notes; and readers of finished tables."""


def imported_by(path: Path) -> Iterator[Path]:
    """Modules of the library, imports for types alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    unused = {id(statement) for node in for_types for statement in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in unused and (node.module or "").startswith("saelib."):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                module = LIBRARY.parent / f"{str(name).replace('.', '/')}.py"
                if module.is_file():
                    yield module


def test_every_module_that_the_stages_reach_is_in_the_digest_or_named() -> None:
    reached, new = set[Path](), {LIBRARY / "transfer" / "stages.py"}
    while new:
        reached |= new
        new = {module for path in new for module in imported_by(path)} - reached
    names = {path.relative_to(LIBRARY).as_posix() for path in reached}
    computing = {path.relative_to(LIBRARY).as_posix() for path in modules_of(*COMPUTING)}
    assert names - computing - ASIDE == set()
    assert {"transfer/trial_scores.py", "transfer/model_fit.py", "language/hub.py", "run/lock.py"} <= names
    assert not computing & ASIDE
