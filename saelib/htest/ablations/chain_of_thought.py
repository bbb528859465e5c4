"""Chain of thought: a model thinks out loud, and a judge says which label it arrived at.

In: a study, whoever is asked, and a judge. Out: replies with the judge's verdict. The paper's judge is a language
model (gpt-3.5-turbo at the time); "parser" is none: the parsers then read the reply itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.htest.asking.judge import JUDGE_TEMPERATURE, JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Condition, Reply, write_replies
from saelib.htest.asking.stored import JUDGED, check_library, is_under, read_or_put_aside, read_stored
from saelib.htest.asking.unfinished import Unfinished
from saelib.htest.config import PARSER
from saelib.htest.engines.refusals import may_be_asked_again
from saelib.htest.items.item import select
from saelib.htest.respondents import Respondent
from saelib.htest.stages import ask, condition_of, missing_requests
from saelib.htest.study import Study
from saelib.htest.tasks import LETTERS
from saelib.run.lock import writing

if TYPE_CHECKING:
    import pandas as pd

Place = tuple[str, int]
UNCLOSED = "unclosed thoughts"  # a reply's problem: a limit on its length left no room for an answer


def think_aloud(study: Study, respondent: Respondent, k: int, judge: Respondent | None) -> list[Reply]:
    """Ask for a chain of thought on the first items of each task of the main table, and have it judged.

    Args:
        k: shots before each item.
        judge: None leaves the reading to the parsers.

    Raises:
        ValueError: a prompt with its reply does not fit the model's context.
    """
    config, item_set = study.config, study.item_sets[0]
    form, limit = "chain_of_thought", config.chain_of_thought_items
    condition = condition_of(study, respondent, form, k, max_tokens=config.chain_of_thought_tokens)
    if judge is not None and judge.is_paid and respondent.is_paid:  # before the first thought is paid for
        thoughts = sum(
            missing_requests(study, respondent, condition, item_set, task, limit) for task in study.main_tasks
        )
        verdicts = missing_verdicts(study, condition, judge, limit)
        study.check_budget(judge, thoughts + verdicts)
    replies = ask(
        study, respondent, k, item_sets=[item_set], form=form, max_tokens=config.chain_of_thought_tokens, limit=limit
    )
    return replies if judge is None else _judged(study, condition, replies, judge)


def cut_share(thoughts: Sequence[Reply]) -> float:
    """Share of thoughts that the limit on their length ended: they are as long as it allows."""
    limits = [reply.condition.max_tokens for reply in thoughts]
    cut = [most is not None and reply.usage.get("output_tokens", 0) >= most
           for reply, most in zip(thoughts, limits, strict=True)]  # fmt: skip
    return sum(cut) / len(cut)


def answers_given(accuracies: "pd.DataFrame", judge: str) -> dict[str, Any]:
    """What the strict reader finds after a thought and in chat, as the notebook records it.

    Keys: `no_answer` and `no_answer_in_chat`, shares of the replies, means over tasks; `right_of_answered` by form,
    over all replies with an answer, None where there are none.

    Args:
        accuracies: an `accuracy_table` with both forms.
        judge: whose verdicts are meant, "" for the replies themselves.
    """
    from saelib.htest.scoring.select import pick

    sides = {"chain_of_thought": judge, "chat": ""}
    rows = {form: pick(accuracies, reader="strict", form=form, judge=by) for form, by in sides.items()}
    sums = {form: table[["correct", "answered"]].sum() for form, table in rows.items()}
    return {
        "no_answer": float(rows["chain_of_thought"]["share_none"].mean()),
        "no_answer_in_chat": float(rows["chat"]["share_none"].mean()),
        "right_of_answered": {form: float(each["correct"] / each["answered"]) if each["answered"] else None
                              for form, each in sums.items()},
    }  # fmt: skip


def judge_name(judge: Respondent | None) -> str:
    """As `Reply.judge` and tables have it."""
    return PARSER if judge is None else judge.name


def _judged(study: Study, condition: Condition, replies: Sequence[Reply], judge: Respondent) -> list[Reply]:
    """Replies with their verdicts; those that have none are judged, and those that say something else than then.

    On a thought that has not come, or does not end, nobody is asked: it counts as none.

    Raises:
        DamagedFileError: verdicts that were paid for are damaged; others are asked for again.
        FileExistsError: a judge on this machine was asked by another version of the library before.
    """
    asked = _judge_condition(study, judge)
    path = _verdicts_path(study, condition, asked)

    def is_settled(verdicts: Mapping[Place, Reply], reply: Reply) -> bool:
        return _is_settled(verdicts.get(_place(reply)), reply, study.config.ask_refused)

    stored, known = _known_verdicts(path, replies, judge, may_write=False)
    unfinished = Unfinished(path)
    finished = known == stored and all(is_settled(known, reply) for reply in replies)
    if finished and not unfinished.is_unsettled(known.values(), judge.library):
        return [known[_place(reply)] for reply in replies]
    with writing(study):
        _, known = _known_verdicts(path, replies, judge, may_write=True)  # another process may have asked meanwhile
        left = {_place(verdict): verdict for verdict in unfinished.read(judge.library)}
        open_ = {_place(reply) for reply in replies if not is_settled(known, reply)}
        known |= {place: verdict for place, verdict in left.items() if place in open_ or place not in known}
        missing = [reply for reply in replies if not is_settled(known, reply)]
        for verdict in known.values() if missing else ():
            check_library(path, verdict.library, judge.library)
        prompts = [Prompt(judge_prompt(reply.said or ""), LETTERS) for reply in missing]
        answers = study.answers(judge, [reply.item for reply in missing], prompts, asked) if missing else iter(())
        for place, answer in answers:
            reply = missing[place]
            known[_place(reply)] = replace(
                reply, judge=judge.name, verdict=answer.reply, problem=answer.problem, library=judge.library
            )
            unfinished.keep(known.values())
        write_replies(path, known.values())
        unfinished.settle(known.values())
    return [known[_place(reply)] for reply in replies]


def _known_verdicts(
    path: Path, replies: Sequence[Reply], judge: Respondent, may_write: bool
) -> tuple[dict[Place, Reply], dict[Place, Reply]]:
    """Verdicts that are stored; and with those on thoughts that have not come or do not end, which nobody is asked."""
    stored = {_place(verdict): verdict for verdict in read_or_put_aside(path, judge.is_paid, may_write)}
    unclosed = {
        _place(reply): replace(reply, judge=judge.name, problem=reply.problem or UNCLOSED, library="")
        for reply in replies
        if reply.said is None
    }
    return stored, stored | unclosed


def _place(reply: Reply) -> Place:
    """What a verdict is about; more items and tasks come in between, so no place in a list says it."""
    return reply.item.key, reply.sample


def _is_settled(judged: Reply | None, reply: Reply, again: bool) -> bool:
    """Whether a verdict is there and was given on this very reply; on a thought that has not come there is none.

    Args:
        again: ask a judge again that was refused or filtered.
    """
    if reply.said is None:
        return True
    if judged is None or (again and may_be_asked_again(judged.problem)):
        return False
    return (judged.item, judged.reply) == (reply.item, reply.reply)


def missing_verdicts(study: Study, condition: Condition, judge: Respondent, limit: int) -> int:
    """How many verdicts are not stored, on replies that are there or to come."""
    tests = (select(study.items, task, "test", study.item_sets[0])[:limit] for task in study.main_tasks)
    wanted = {item.key for items in tests for item in items}
    path = _verdicts_path(study, condition, _judge_condition(study, judge))
    stored = read_stored(path) if path.is_file() else []
    return len(wanted) * condition.samples - sum(reply.item.key in wanted for reply in stored)


def _judge_condition(study: Study, judge: Respondent) -> Condition:
    return Condition(
        model=judge.name,
        revision=judge.revision,
        form="chat",
        k=0,
        temperature=JUDGE_TEMPERATURE,
        max_tokens=JUDGE_TOKENS,
        seed=study.config.seed,
        **judge.settings("chat"),
    )


def _verdicts_path(study: Study, condition: Condition, judge: Condition) -> Path:
    """The file of a judge's verdicts on the replies under a condition.

    An API's replies carry the revision that it named, which the condition does not: their file is found by them.
    """
    name = f"{JUDGED}{judge.name()}.jsonl"
    usual = study.replies_folder / condition.name() / name
    elsewhere = (path for path in sorted(study.replies_folder.glob(f"*/{name}")) if is_under(path, condition))
    return usual if usual.is_file() else next(elsewhere, usual)
