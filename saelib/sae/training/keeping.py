"""What is kept of the SAEs of a phase: folders at checkpoints, lines of the log, and notes of SAEs that diverged.

In: courses, and what they have finished. Out: files below `PhaseFolders.saes`, and the rows of a phase's log.
"""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelib.run.identity import INPUTS
from saelib.sae.config import TrainingConfig
from saelib.sae.folder import save_sae
from saelib.sae.training.course import Course, Kept
from saelib.sae.training.divergence import NOTE, STEP, note_divergence
from saelib.sae.training.plan import PhaseFolders, SaePlan, source_diverged_at

Row = dict[str, Any]
KEYS = ("arm", "start", "source_layer", "sae_layer", "seed", "data_seed")  # of a plan, in every row
SINK = ("sink_token", "sink_token_id")  # of an origin, where every row begins with one


class Keeper:
    """Writes what is finished.

    Attributes:
        log: rows as JSON holds them, which knows no NaN: a value of an SAE that has diverged is None.
    """

    def __init__(
        self,
        folders: PhaseFolders,
        config: TrainingConfig,
        origin: Mapping[str, str | bool | int],
        inputs: Mapping[str, str],
    ) -> None:
        """Nothing is written yet; arguments as of `train`."""
        self.folders, self.config, self.origin, self.inputs = folders, config, origin, dict(inputs)
        self.log: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """The log, values of an SAE that has diverged as NaN."""
        return [row | {"value": math.nan} if row["value"] is None else row for row in self.log]

    def start(self, course: Course) -> None:
        """Write an SAE's folder at token 0, or that it has no start."""
        self.go_on(course)
        if course.has_start:
            self._save(course.plan, Kept(0, course.start, {}))

    def finish(self, course: Course, before: int, tokens: int) -> None:
        """Write what a course has finished between two numbers of tokens, and its rows."""
        for kept in course.keep(before, tokens):
            self._save(course.plan, kept)
            plan, diverged = course.plan, {} if kept.sae else {STEP: course.diverged_at_step}
            row = {key: getattr(plan, key) for key in KEYS} | {"act_layer": plan.sae_layer, "tokens": kept.tokens}
            row |= {"l1_coefficient": plan.penalty(self.config)} | diverged
            for metric, value in kept.means.items():
                self.log.append(row | {"metric": metric, "value": None if math.isnan(value) else value})

    def note_diverged(self, course: Course) -> None:
        """Say beside its checkpoints that an SAE was stopped."""
        assert course.diverged_at_step is not None
        source = {} if course.has_start else {"source_diverged_at_step": source_diverged_at(course.plan, self.folders)}
        lineage, folder = self._lineage(course.plan) | source, self._folder(course.plan)
        note_divergence(folder, lineage, course.diverged_at_step, course.from_tokens)
        for path in folder.iterdir():  # a process that was killed may have come further, where numbers round otherwise
            if path.name.isdigit() and int(path.name) >= course.from_tokens:
                shutil.rmtree(path)

    def go_on(self, course: Course) -> None:
        """Make the note of an SAE what the course says that goes on: a process that was killed may have noted more."""
        if course.diverged_at_step is None:
            (self._folder(course.plan) / NOTE).unlink(missing_ok=True)
        else:
            self.note_diverged(course)

    def fault(self, course: Course) -> str:
        """Why an SAE was stopped, in words."""
        plan = course.plan
        if course.has_start:
            return f"loss or gradient of {plan.name} is not finite at step {course.diverged_at_step}"
        source = f"{plan.source_arm} L{plan.source_layer}, diverged at step {source_diverged_at(plan, self.folders)}"
        return f"{plan.name} is not trained: its source, {source}"

    def _save(self, plan: SaePlan, kept: Kept) -> None:
        if kept.sae is None:
            return
        metadata = {
            **self.origin,
            "hook_name": f"blocks.{plan.sae_layer}.hook_resid_post",
            "context_size": self.config.context_length,
            **_skipped(self.config.skipped),
        }
        folder = self.folders.sae(plan.arm, plan.sae_layer, plan.seed, kept.tokens)
        save_sae(kept.sae, folder, metadata, self._lineage(plan) | {"tokens": kept.tokens})

    def _folder(self, plan: SaePlan) -> Path:
        """Of an SAE's checkpoints."""
        return self.folders.sae(plan.arm, plan.sae_layer, plan.seed, 0).parent

    def _lineage(self, plan: SaePlan) -> dict[str, Any]:
        known = plan.described() | {"l1_coefficient": plan.penalty(self.config), "tokens": 0}
        scale = {"activation_scale": scale} if (scale := plan.scale(self.config)) != 1 else {}
        sink = {name: self.origin[name] for name in SINK if name in self.origin}
        config_sha256 = self.folders.config_sha256 or self.config.sha256()
        return known | scale | sink | {"config_sha256": config_sha256, INPUTS: self.inputs}


def _skipped(positions: int) -> dict[str, Any]:
    """Positions that were left out, as metadata: by our name, and as SAELens slices a row."""
    return {"skip_first": positions, "seqpos_slice": [positions, None]} if positions else {}
