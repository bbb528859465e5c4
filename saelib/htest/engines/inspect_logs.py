"""From Inspect AI's logs to our replies.

In: logs of the tasks of `inspect_tasks`, written by `inspect eval` or by `engines.api`. Out: one `Reply` for each
sample, raw and with everything that is needed to score it; nothing but the log is read. What Inspect was told on its
command line counts: model, temperature, system message, epochs and the limit of the reply come from the log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.config import API
from saelib.htest.engines.first_token import option_chances
from saelib.htest.engines.log_files import local_path, log_files, read_log
from saelib.htest.engines.refusals import (
    REFUSED,
    concerns_all,
    may_be_asked_again,
    may_concern_all,
    problem_of,
    remedy_of,
)
from saelib.htest.items.item import item_of
from saelib.language.metering import tokens_of
from saelib.run.reading import DamagedFileError
from saelib.run.secrets import one_line

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample


class ReadLogs(NamedTuple):
    """What a folder of logs held."""

    replies: list[Reply]
    notes: list[str]
    """Logs that were left out, each by name with the reason."""


def import_logs(source: Path | Sequence[Path | str]) -> list[Reply]:
    """Replies of the logs in a folder, or of log files, each in the order of its items.

    A task that was interrupted and resumed has several logs; the newest holds all its samples. An item that the server
    refused while it answered others has a `Reply.problem`.

    Raises:
        FileNotFoundError: there is no log.
        ValueError: a log is not of our tasks, lacks answers, or has refusals only; the message names it.
        DamagedFileError: a log cannot be read.
    """
    logs = _newest([read_log(path) for path in log_files(source)])
    return [reply for log in logs for reply in replies_of_log(log)]


def import_usable_logs(source: Path | Sequence[Path | str]) -> ReadLogs:
    """Replies of those logs that are whole; the others spoil nothing and are named.

    Where several logs hold a sample of an item under one condition, such as a trial with `--limit`, the newest counts.

    Raises:
        FileNotFoundError: there is no log.
    """
    newest: dict[tuple[str, Condition, int], tuple[str, Reply]] = {}
    counts: dict[str, int] = {}
    notes: list[str] = []
    for path, log in _readable(log_files(source), notes):
        try:
            replies = replies_of_log(log)
        except (ValueError, TypeError, KeyError) as error:
            notes.append(f"{path}: left out, {_line(error).removeprefix(log.location).lstrip(': ')}")
            continue
        counts[path] = len(replies)
        for reply in replies:
            newest[reply.item.key, replace(reply.condition, revision=""), reply.sample] = path, reply
    for path, count in counts.items():
        if older := count - sum(path == found for found, _ in newest.values()):
            notes.append(f"{path}: {older} of its {count} samples are in a newer log too, which counts")
    return ReadLogs([reply for _, reply in newest.values()], notes)


def _readable(paths: Iterable[str], notes: list[str]) -> list[tuple[str, "EvalLog"]]:
    """Logs with their names, old before new; a damaged or a foreign file is noted."""
    logs = []
    for path in paths:
        try:
            logs.append((_name(path), read_log(path)))
        except (OSError, DamagedFileError) as error:
            cause = error.__cause__ or error
            notes.append(f"{_name(path)}: left out, cannot be read ({type(cause).__name__}: {_line(cause)})")
    return sorted(logs, key=lambda found: found[1].eval.created)


def _newest(logs: Iterable["EvalLog"]) -> list["EvalLog"]:
    """The last log of each task; a resumed one keeps the id of its task."""
    ordered = sorted(logs, key=lambda log: log.eval.created)
    return list({log.eval.task_id: log for log in ordered}.values())


def replies_of_log(log: "EvalLog") -> list[Reply]:
    """Replies of one log, item by item, the samples of an item next to each other.

    Raises:
        ValueError: it is not of our tasks, lacks answers, or has refusals only.
    """
    epochs = range(1, (log.eval.config.epochs or 1) + 1)
    samples = {(str(sample.id), sample.epoch): sample for sample in log.samples or []}
    wanted = [(str(name), epoch) for name in log.eval.dataset.sample_ids or [] for epoch in epochs]
    _check_ours(log)
    _check_heard(log, [samples.get(key) for key in wanted])
    missing = [key for key in wanted if key not in samples or _is_unanswered(samples[key])]
    if missing or not wanted:
        raise ValueError(_what_lacks(log, len(wanted), missing, samples.get(missing[0]) if missing else None))
    return [_reply(log, samples[key]) for key in wanted]


def _check_ours(log: "EvalLog") -> None:
    for sample in log.samples or []:
        if not {"item", "condition"} <= set(sample.metadata):
            raise ValueError(
                f"{log.location}: sample {sample.id} has no item; only logs of H-Test tasks can be imported"
            )


def _check_heard(log: "EvalLog", samples: Sequence["EvalSample | None"]) -> None:
    """Refuse a log in which the server answered nobody: a wrong key or a wrong name is no score of a model."""
    problems = [(sample, _problem(sample)) for sample in samples if sample is not None]
    refused = [problem for _, problem in problems if problem is not None and problem.startswith(REFUSED)]
    heard = any(problem not in refused if problem else sample.error is None for sample, problem in problems)
    if refused and not heard and (len(refused) < len(samples) or any(map(may_concern_all, refused))):
        raise ValueError(
            f"{log.location}: the server answered none of {len(samples)} requests for {API}{log.eval.model}; the first "
            f"was {refused[0]}; nothing was scored: {remedy_of(refused[0])}, then make the same call again"
        )


def _problem(sample: "EvalSample") -> str | None:
    """Why a sample has no reply, where that is the answer to it."""
    if sample.error is None:
        return problem_of(sample.output)
    said = sample.error.message
    return said if may_be_asked_again(said) else None


def _is_unanswered(sample: "EvalSample") -> bool:
    """Whether an item waits for its answer: a refusal that is none of its own does not count against it."""
    problem = _problem(sample)
    return concerns_all(problem) if problem else sample.error is not None


def _what_lacks(log: "EvalLog", wanted: int, missing: Sequence[tuple[str, int]], sample: "EvalSample | None") -> str:
    if not missing:
        return f"{log.location} ended as {log.status!r}: it asked nothing"
    cause = sample.error if sample is not None and sample.error else log.error
    reason = f" ({one_line(cause.message)})" if cause else ""
    if log.status == "success" and sample is None:  # Inspect takes such a log for done
        return (
            f"{log.location} ended as 'success' and {len(missing)} of {wanted} items lack an answer in it, such as "
            f"{missing[0][0]}: something else has changed it; put a copy of it back, or move it away to ask all again"
        )
    return (
        f"{log.location} ended as {log.status!r}: {len(missing)} of {wanted} items lack an answer, such as "
        f"{missing[0][0]}{reason}; run the same call again, or `inspect eval-retry` with this log"
    )


def _reply(log: "EvalLog", sample: "EvalSample") -> Reply:
    item, problem = item_of(sample.metadata["item"]), _problem(sample)
    judgement = next((score.metadata for score in (sample.scores or {}).values() if score.metadata), {})
    usage = sample.output.usage
    return Reply(
        item=item,
        condition=_condition(log, sample),
        prompt=str(sample.input),
        reply=None if sample.error else sample.output.completion,
        log_probabilities=None if problem else option_chances(sample.output, item.options),
        usage=tokens_of(usage) if usage else {},
        judge=judgement.get("judge"),
        verdict=judgement.get("verdict"),
        problem=problem,
        sample=sample.epoch - 1,
    )


def _condition(log: "EvalLog", sample: "EvalSample") -> Condition:
    """The condition of the sample, with what the log knows better: the command line may have changed it."""
    config, stated = log.plan.config, Condition(**sample.metadata["condition"])
    return replace(
        stated,
        model=f"{API}{log.eval.model}",
        revision=sample.output.model,
        temperature=stated.temperature if config.temperature is None else config.temperature,
        max_tokens=config.max_tokens,
        seed=stated.seed if config.seed is None else config.seed,
        system=config.system_message or "",
        samples=log.eval.config.epochs or 1,
    )


def _name(path: str) -> str:
    return Path(local_path(path)).name


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
