"""What a notebook depends on, as digests: when one of them changes, the Snakefile runs the notebook again.

In: the notebooks and the library's files. Out: SHA-256 sums. No time of a file counts: the clock may be set back, and
a checkout gives every file the time at which it was made.
"""

import hashlib
import json
from pathlib import Path

from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import sha256_of_file
from saelib.run.reading import read_json

LIBRARY = Path(__file__).parents[1]  # the whole of saelib/


def cells_digest(notebook: Path) -> str:
    """SHA-256 of a notebook's cells without their outputs: running a notebook does not change it."""
    content = read_json(notebook, remedy="check it out again")
    cells = [(cell["cell_type"], cell["source"], cell["metadata"].get("tags", [])) for cell in content["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def digest_with_sources(folder: Path, name: str) -> str:
    """SHA-256 of the cells of a notebook and of all that it builds on, at whatever remove."""
    (sources,) = (notebook.sources for notebook in NOTEBOOKS if notebook.name == name)
    parts = [cells_digest(folder / f"{name}.ipynb"), *(digest_with_sources(folder, source) for source in sources)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def library_digest(folder: Path = LIBRARY) -> str:
    """SHA-256 of the library: its sources, its tables, and the language model that ships with it; not its texts."""
    files = sorted(
        path for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    )  # fmt: skip
    sums = [(path.relative_to(folder).as_posix(), sha256_of_file(path)) for path in files]
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
