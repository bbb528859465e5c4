"""A run of paper 2 on disk: its config, its items, where its replies lie, and what it may still spend.

In: a preset and overrides. Out: a `Study`. Opening one writes nothing; the first file under `runs/<run>/htest/`
claims the folder for the config, and until then another config may have it. A run may grow (`HTestConfig.GROWS`): it is
opened with more models, tasks or sets of items, and what was asked before is found by its condition.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from saelib.htest.asking.answering import PlacedAnswer, answers_of
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Condition
from saelib.htest.asking.stored import file_of
from saelib.htest.config import PARSER, UNTRAINED, HTestConfig, expand, resolve_htest_config
from saelib.htest.engines.api import answers_kept
from saelib.htest.items.item import Item, read_items, write_items
from saelib.htest.items.kept import RunItems, grown
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.items.words import is_fresh
from saelib.htest.respondents import ApiSettings, LocalSettings, Respondent, open_respondent
from saelib.language.origin import notes_on
from saelib.language.request_budget import RequestBudget
from saelib.run.identity import check_noted
from saelib.run.lock import writing
from saelib.run.pinned import PinnedRun


class Study(PinnedRun[HTestConfig]):
    """A run on disk; items are made when first asked for, and then stay."""

    def __init__(self, config: HTestConfig) -> None:
        """Use `open_study`, which checks the folder."""
        super().__init__(config, "htest/config.json")
        self.items_path = self.folder / "htest" / "items.jsonl"
        self.replies_folder = self.folder / "htest" / "replies"
        self.logs_folder = self.folder / "htest" / "inspect_logs"
        self.budget = RequestBudget(config.api_requests, self.folder / "htest" / "requests.jsonl")
        self._found: list[Item] = []  # items of the run as this process found them

    def __repr__(self) -> str:
        """One line: run, preset, models, and the sets of items once they are made."""
        config = self.config
        items = ", ".join(self.item_sets) if self.items_path.is_file() else "not made yet"
        return f"Study({config.run!r}, preset {config.preset}, models {', '.join(config.models)}, items {items})"

    def claim(self) -> None:
        """Write config and items into the folder, before the first result; call it again at will.

        Raises:
            ValueError: another process made other items meanwhile.
            FileExistsError: as `check`.
        """
        self.check()
        wanted = self._items.items
        there = self._found if wanted == self._found else self._kept_items()
        if there not in (wanted, self._found):
            raise ValueError(f"{self.items_path} was made meanwhile with other items; open the study again")
        super().claim()
        if there != wanted:
            write_items(self.items_path, wanted)
        self._found = wanted

    def _kept_items(self) -> list[Item]:
        return read_items(self.items_path) if self.items_path.is_file() else []

    @cached_property
    def _items(self) -> RunItems:
        self.check()
        self._found, config = self._kept_items(), self.config
        items = grown(self._found, config.official, config.seed, config.test_items, self.inputs)
        for name, content in items.inputs.items():
            self.pin(name, content)
        _check_tasks(items, config)
        return items

    @cached_property
    def items(self) -> list[Item]:
        """All items of the run, those of the main table first; made, if they are not there yet, and kept by `claim`."""
        order = {name: place for place, name in enumerate(self._items.sets)}
        return sorted(self._items.items, key=lambda item: order[item.item_set])  # else as the file has them

    @cached_property
    def item_sets(self) -> tuple[str, ...]:
        """The sets of items, the one of the main table first: the one that `official` means where it is there."""
        return tuple(dict.fromkeys(item.item_set for item in self.items))

    def tasks_of(self, item_set: str) -> tuple[str, ...]:
        """The config's tasks that a set has test items of; one of the user's own may lack some."""
        there = {item.task for item in self.items if item.item_set == item_set and item.split == "test"}
        return tuple(task for task in self.config.tasks if task in there)

    @property
    def tuned_tasks(self) -> tuple[str, ...]:
        """Those of the main table that models are tuned on."""
        return tuple(task for task in self.main_tasks if task in self.config.fine_tuning_tasks)

    @property
    def main_tasks(self) -> tuple[str, ...]:
        """The config's tasks that the set of the main table has."""
        return self.tasks_of(self.item_sets[0])

    def respondent(self, name: str) -> Respondent:
        """Load whoever a name in the config means; errors as in `open_respondent`.

        Raises:
            FileExistsError: the run has asked another model of this name.
        """
        config = self.config
        api = ApiSettings(self.logs_folder, config.api_log_probabilities, self.budget)
        local = replace(self.local_settings, commit=self.inputs.get(f"model {name.removeprefix(UNTRAINED)}"))
        opened = open_respondent(name, self.items, config.form, config.device, config.seed, api, local)
        if opened.is_local:
            self.pin(f"model {name}", opened.revision)
        return opened

    @property
    def local_settings(self) -> LocalSettings:
        """How models on this machine are loaded and asked."""
        config = self.config
        return LocalSettings(
            config.device,
            config.device_map,
            config.dtype,
            config.revision,
            config.first_token,
            config.template_arguments,
        )

    @property
    def requests_left(self) -> int:
        """Requests that the run may still send to APIs: `api_requests` less those in `htest/requests.jsonl`."""
        return self.budget.left

    def requests_for(
        self, respondent: Respondent, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition
    ) -> int:
        """Requests that these prompts still need: an answer that a killed call left in an API's logs needs none."""
        kept = answers_kept(items, prompts, condition, self.logs_folder) if respondent.is_paid and prompts else 0
        return len(prompts) * condition.samples - kept

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
        self,
        respondent: Respondent,
        items: Sequence[Item],
        prompts: Sequence[Prompt],
        condition: Condition,
        done: Collection[int] = (),
    ) -> Iterator[PlacedAnswer]:
        """What an engine answers, as it comes; each request to an API is taken from the budget before it is sent.

        Args:
            done: places of answers that are there already (`asking.answering`).

        Raises:
            PermissionError: too few are left, and nothing was sent; or requests that failed and were sent again have
                used up the others.
            RunInUseError: another process is at work on the run.
            FileExistsError: the folder has been claimed for another config; or a local model is asked in a run of an
                earlier release, which did not note which models it had asked.
        """
        if respondent.is_local:
            check_noted(self.config_path)
        self.check_budget(respondent, self.requests_for(respondent, items, prompts, condition))
        with writing(self):  # Inspect's logs are files of the run too
            yield from answers_of(respondent.engine, items, prompts, condition, done)

    def path_of(self, condition: Condition, item_set: str, task: str, split: str = "test") -> Path:
        """The file of the replies under a condition to a task's items of one set and split."""
        return self.replies_folder / condition.name() / file_of(item_set, task, split)

    @property
    def has_official(self) -> bool:
        """Whether the released items are among the run's."""
        return OFFICIAL_SET in self.item_sets

    @property
    def fresh_set(self) -> str | None:
        """The set of generated items, if the run has one."""
        return next(filter(is_fresh, self.item_sets), None)

    @property
    def own_set(self) -> str | None:
        """The set of the main table, where it is neither the released one nor a generated one."""
        return self.item_sets[0] if self.item_sets[0] not in (OFFICIAL_SET, self.fresh_set) else None

    @property
    def caveat(self) -> str:
        """What the caption of each figure has to add: of which weights, and on which items and why."""
        config = self.config
        named = (*config.models, config.ablation_model, *config.family, config.judge, config.fine_tuning_model)
        models = [name for name in expand(named) if name != PARSER]
        return "; ".join(filter(None, (notes_on(models), self._items_caveat)))

    @property
    def _items_caveat(self) -> str:
        """On which items, where not on the released ones."""
        if self.config.stored:  # which keep no items
            return super().caveat
        if self.own_set:
            return f"on the items {self.own_set} of one's own in place of the released ones"
        if self.has_official:
            return ""
        left_out = "were not to be had" if self.config.official == "auto" else "are left out"
        return f"on fresh items: the released ones {left_out}"


def _check_tasks(items: RunItems, config: HTestConfig) -> None:
    """Refuse a main set of which nothing would be asked: the notebooks would be of nothing."""
    there = {item.task for item in items.items if item.item_set == items.sets[0] and item.split == "test"}
    if not there & {*config.tasks}:
        raise ValueError(
            f"official={config.official!r}: the set {items.sets[0]} has test items of "
            f"{', '.join(sorted(there)) or 'no task'}, and tasks={[*config.tasks]} are to be asked: give items of one "
            "of these, or name another task"
        )


def open_study(**parameters: Any) -> Study:
    """Open an H-Test run, or start it: `open_study(preset="tiny", run="mine", models=["api:openai/gpt-4o"])`.

    Nothing is written yet: the folder is claimed with the first file of the run.

    Raises:
        ValueError: a parameter is unknown, of the wrong type, or contradicts another (`run.config.resolve`).
        FileExistsError: the folder holds an H-Test run with another config; the message names the fields.
    """
    study = Study(resolve_htest_config(**parameters))
    study.check()
    study.introduce()
    return study
