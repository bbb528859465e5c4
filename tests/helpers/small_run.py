"""A run on disk that has a folder and a config, and belongs to neither paper."""

from pathlib import Path
from typing import Any

from saelib.run.config import RunConfig
from saelib.run.identity import claim_config


class SmallRun:
    """What `saelib.run.config.Run` asks for, and no more."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.folder = folder
        values: dict[str, Any] = {"preset": "tiny", "run": folder.name, "seed": 0}
        self.config = RunConfig(**(values | fields))
        self.inputs: dict[str, str] = {}
        self.caveat = ""

    def claim(self) -> None:
        claim_config(self.folder / "config.json", self.config, self.inputs)
