"""A run of paper 2 on disk: its config, its items, where its replies lie, and what it may still spend.

In: a preset and overrides. Out: a `Study`. Opening one writes nothing; the first file under `runs/<run>/htest/`
claims the folder for the config, and until then another config may have it.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import (
    Answer,
    Condition,
)
from saelib.htest.config import HTestConfig, resolve_htest_config
from saelib.htest.items.item import Item, read_items, write_items
from saelib.htest.items.sources import items_of_run
from saelib.htest.respondents import ApiSettings, Respondent, open_respondent
from saelib.run.config import check_config, claim_config
from saelib.run.files import runs_folder
from saelib.run.lock import writing


class Study:
    """A run on disk; items are made when first asked for, and then stay."""

    def __init__(self, config: HTestConfig) -> None:
        """Use `open_study`, which checks the folder."""
        self.config = config
        self.folder = runs_folder() / config.run
        self.config_path = self.folder / "htest" / "config.json"
        self.items_path = self.folder / "htest" / "items.jsonl"
        self.replies_folder = self.folder / "htest" / "replies"
        self.requests_left = config.api_requests
        self._items_are_new = False

    def __repr__(self) -> str:
        """One line: run, preset, models, and the sets of items once they are made."""
        config = self.config
        items = ", ".join(self.item_sets) if self.items_path.is_file() else "not made yet"
        return f"Study({config.run!r}, preset {config.preset}, models {', '.join(config.models)}, items {items})"

    def check(self) -> None:
        """Refuse a folder that holds an H-Test run with another config; one without any is nobody's.

        Raises:
            FileExistsError: the message names the fields.
        """
        check_config(self.config_path, self.config)

    def claim(self) -> None:
        """Write config and items into the folder, before the first result; call it again at will.

        Raises:
            ValueError: another process made other items meanwhile.
            FileExistsError: the folder holds an H-Test run with another config; the message names the fields.
        """
        claim_config(self.config_path, self.config)
        if not self.items_path.is_file():
            write_items(self.items_path, self.items)
        elif self._items_are_new and read_items(self.items_path) != self.items:
            raise ValueError(f"{self.items_path} was made meanwhile with other items; open the study again")
        self._items_are_new = False

    @cached_property
    def items(self) -> list[Item]:
        """All items of the run, official ones first; made, if they are not there yet, and kept by `claim`."""
        self.check()
        if self.items_path.is_file():
            return read_items(self.items_path)
        self._items_are_new = True
        return items_of_run(self.config.official, self.config.seed, self.config.test_items)

    @cached_property
    def item_sets(self) -> tuple[str, ...]:
        """The sets of items, the one of the main table first: the official one where it is there."""
        return tuple(dict.fromkeys(item.item_set for item in self.items))

    def respondent(self, name: str) -> Respondent:
        """Load whoever a name in the config means; errors as in `open_respondent`."""
        config, logs = self.config, self.folder / "htest" / "inspect_logs"
        api = ApiSettings(logs, config.api_log_probabilities)
        return open_respondent(name, self.items, config.form, config.device, config.seed, api)

    def check_budget(self, respondent: Respondent, requests: int) -> None:
        """See that the config allows so many requests to an API; whoever is on this machine costs nothing.

        Raises:
            PermissionError: too few are left; nothing was sent.
        """
        if respondent.is_paid and requests > self.requests_left:
            raise PermissionError(
                f"{respondent.name}: {requests} requests are needed and {self.requests_left} of api_requests="
                f"{self.config.api_requests} are left; allow more, and what is answered already is not asked again"
            )

    def answers(
        self, respondent: Respondent, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition
    ) -> list[Answer]:
        """What an engine answers; requests to an API are taken from the budget once they are answered.

        Raises:
            PermissionError: too few are left; nothing was sent.
            RunInUseError: another process is at work on the run.
            FileExistsError: the folder has been claimed for another config.
        """
        self.check_budget(respondent, len(prompts))
        with writing(self):  # Inspect's logs are files of the run too
            answers = respondent.engine(items, prompts, condition)
        self.requests_left -= len(prompts) if respondent.is_paid else 0
        return answers

    def path_of(self, condition: Condition, item_set: str, task: str) -> Path:
        """The file of the replies under a condition to a task's items of one set."""
        return self.replies_folder / condition.name() / f"{item_set}-{task}.jsonl"

    @property
    def has_official(self) -> bool:
        """Whether the released items are among the run's."""
        return len(self.item_sets) > 1


def open_study(**parameters: Any) -> Study:
    """Open an H-Test run, or start it: `open_study(preset="tiny", run="mine", models=["api:openai/gpt-4o"])`.

    Nothing is written yet: the folder is claimed with the first file of the run.

    Raises:
        ValueError: a parameter is unknown, of the wrong type, or contradicts another (`run.config.resolve`).
        FileExistsError: the folder holds an H-Test run with another config; the message names the fields.
    """
    study = Study(resolve_htest_config(**parameters))
    study.check()
    return study
