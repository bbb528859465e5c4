"""From Inspect AI's logs to our replies.

In: logs of the tasks of `inspect_tasks`, written by `inspect eval` or by `engines.api`. Out: one `Reply` for each
sample, raw and with everything that is needed to score it; nothing but the log is read. What Inspect was told on its
command line counts: model, temperature and the limit of the reply come from the log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.config import API
from saelib.htest.items.item import item_of

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ModelOutput


def import_logs(source: Path | Sequence[Path | str]) -> list[Reply]:
    """Replies of the logs in a folder, or of log files, each in the order of its items.

    A task that was interrupted and resumed has several logs; the newest holds all its samples.

    Raises:
        FileNotFoundError: there is no log.
        ValueError: a log is not of our tasks, was asked for several epochs, or lacks answers; the message names them.
    """
    logs = _newest(_read(source))
    if not logs:
        raise FileNotFoundError(f"{source}: holds no log of Inspect AI; give the folder that --log-dir named")
    return [reply for log in logs for reply in _replies(log)]


def _read(source: Path | Sequence[Path | str]) -> list["EvalLog"]:
    from inspect_ai.log import list_eval_logs, read_eval_log

    if isinstance(source, Path) and source.is_dir():
        return [read_eval_log(info) for info in list_eval_logs(str(source), recursive=False, descending=False)]
    files = [source] if isinstance(source, Path) else source
    if missing := [str(file) for file in files if not Path(str(file).removeprefix("file://")).is_file()]:
        raise FileNotFoundError(
            f"{', '.join(missing)}: no such log; give the folder that --log-dir named, or log files"
        )
    return [read_eval_log(str(file)) for file in files]


def _newest(logs: Iterable["EvalLog"]) -> list["EvalLog"]:
    """The last log of each task; a resumed one keeps the id of its task."""
    ordered = sorted(logs, key=lambda log: log.eval.created)
    return list({log.eval.task_id: log for log in ordered}.values())


def _replies(log: "EvalLog") -> list[Reply]:
    samples = {str(sample.id): sample for sample in log.samples or [] if sample.error is None}
    wanted = [str(name) for name in log.eval.dataset.sample_ids or []]
    _check(log, wanted, [name for name in wanted if name not in samples])
    return [_reply(log, samples[name]) for name in wanted]


def _check(log: "EvalLog", wanted: Sequence[str], missing: Sequence[str]) -> None:
    epochs = log.eval.config.epochs or 1
    if epochs > 1:
        raise ValueError(f"{log.location}: {epochs} epochs; an item has one reply, so ask with --epochs 1")
    if missing:
        reason = f" ({log.error.message})" if log.error else ""
        raise ValueError(
            f"{log.location} ended as {log.status!r}{reason}: {len(missing)} of {len(wanted)} items lack an answer, "
            f"such as {missing[0]}; run the same call again, or `inspect eval-retry` with this log"
        )


def _reply(log: "EvalLog", sample: "EvalSample") -> Reply:
    model = f"{API}{log.eval.model}"
    if not {"item", "condition"} <= set(sample.metadata):
        raise ValueError(f"{log.location}: sample {sample.id} has no item; only logs of H-Test tasks can be imported")
    item = item_of(sample.metadata["item"])
    scores = sample.scores or {}
    judgement = next((score.metadata for score in scores.values() if score.metadata), {})
    usage = sample.output.usage
    return Reply(
        item=item,
        condition=_condition(log, sample, model),
        prompt=str(sample.input),
        reply=sample.output.completion,
        log_probabilities=_log_probabilities(sample.output, item.options),
        usage={"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} if usage else {},
        judge=judgement.get("judge"),
        verdict=judgement.get("verdict"),
    )


def _condition(log: "EvalLog", sample: "EvalSample", model: str) -> Condition:
    """The condition of the sample, with what the log knows better: the command line may have changed it."""
    config = log.plan.config
    stated = Condition(**sample.metadata["condition"])
    return replace(
        stated,
        model=model,
        revision=sample.output.model,
        temperature=stated.temperature if config.temperature is None else config.temperature,
        max_tokens=config.max_tokens,
    )


def _log_probabilities(output: "ModelOutput", options: Sequence[str]) -> dict[str, float] | None:
    """Of each option as the first token; None where the API did not say, or not for all of them."""
    choice = output.choices[0] if output.choices else None
    if choice is None or choice.logprobs is None or not choice.logprobs.content:
        return None
    first = choice.logprobs.content[0]
    known = {first.token: first.logprob} | {top.token: top.logprob for top in first.top_logprobs or []}
    found = {option: known[option] for option in options if option in known and isfinite(known[option])}
    return found if len(found) == len(options) else None
