"""A run that goes on with one config and one content of its inputs: what the runs of both papers share.

In: a config, and the content of inputs as they are read. Out: a `PinnedRun`, which claims its folder under `runs/` with
the first result, and refuses a folder, or an input, that is another one than before; or, where the config asks for it,
what the repository keeps of a preset, for reading.
"""

from typing import Generic

from saelib.run.config import SomeRunConfig
from saelib.run.files import runs_folder
from saelib.run.identity import check_config, check_inputs, claim_config, known_inputs
from saelib.run.stored import check_stored, stored_folder, whose


class PinnedRun(Generic[SomeRunConfig]):
    """A run on disk; opening one writes nothing."""

    def __init__(self, config: SomeRunConfig, place: str = "config.json") -> None:
        """The run of a config.

        Args:
            place: of its config, inside its folder.
        """
        self.config = config
        self.folder = stored_folder(config) if config.stored else runs_folder() / config.run
        self.config_path = self.folder / place
        self._read: dict[str, str] = {}  # content of the inputs that this process has read

    def check(self) -> None:
        """Refuse a folder that holds another run; one without any is nobody's.

        Raises:
            FileExistsError: it has another config, or was made from another content; the message names both.
            FileNotFoundError: stored results are asked for, and the repository keeps none of this config.
        """
        if self.config.stored:
            check_stored(self.config)
        else:
            check_config(self.config_path, self.config, self._read)

    def claim(self) -> None:
        """Write the config and what was read so far into the folder, before the first result.

        Raises:
            FileExistsError: as `check`.
            PermissionError: stored results are not written to.
        """
        if self.config.stored:
            raise PermissionError(
                f"{self.folder} holds the stored results of the repository, and to compute more takes a run: leave out "
                "stored=True"
            )
        claim_config(self.config_path, self.config, self._read)

    @property
    def inputs(self) -> dict[str, str]:
        """Content of what names and paths mean, as far as the run or this process has read it."""
        return known_inputs(self.config_path) | self._read

    def pin(self, name: str, content: str) -> None:
        """Note the content of an input that was read now: the run goes on with that one alone.

        Raises:
            FileExistsError: the run, or this process, has read another content under this name.
        """
        check_inputs(f"what {self.config.run!r} has read so far is", self._read, {name: content}, self.config)
        if not self.config.stored:
            check_config(self.config_path, self.config, {name: content})
        self._read[name] = content

    @property
    def caveat(self) -> str:
        """What the caption of each of its figures has to add: whose results they are, where they are not the run's."""
        return whose(self.folder) if self.config.stored else ""

    def introduce(self) -> None:
        """Say in a line where results come from that are not the run's own."""
        if self.config.stored:
            print(f"{self.folder}: {whose(self.folder)}; nothing is computed.")
