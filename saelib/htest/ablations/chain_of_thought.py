"""Chain of thought: a model thinks out loud, and a judge says which label it arrived at.

In: a study, whoever is asked, and a judge. Out: replies with the judge's verdict. The paper's judge is a language
model (gpt-3.5-turbo at the time); "parser" is none: the parsers then read the reply itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from saelib.htest.asking.judge import JUDGE_TEMPERATURE, JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Condition, Reply, read_replies, write_replies
from saelib.htest.config import PARSER
from saelib.htest.respondents import Respondent
from saelib.htest.stages import ask, condition_of, missing_count
from saelib.htest.study import Study
from saelib.htest.tasks import LETTERS, TASKS
from saelib.run.lock import writing


def think_aloud(study: Study, respondent: Respondent, k: int, judge: Respondent | None) -> list[Reply]:
    """Ask for a chain of thought on the first items of each task of the main table, and have it judged.

    Args:
        k: shots before each item.
        judge: None leaves the reading to the parsers.

    Raises:
        ValueError: a prompt with its reply does not fit the model's context, or stored verdicts are on other replies.
    """
    config, item_set = study.config, study.item_sets[0]
    form, limit = "chain_of_thought", config.chain_of_thought_items
    condition = condition_of(study, respondent, form, k, max_tokens=config.chain_of_thought_tokens)
    if judge is not None and judge.is_paid and respondent.is_paid:
        missing = sum(missing_count(study, condition, item_set, task, limit) for task in TASKS)
        study.check_budget(judge, 2 * missing)  # thoughts and verdicts, before the first thought is paid for
    replies = ask(
        study, respondent, k, item_sets=[item_set], form=form, max_tokens=config.chain_of_thought_tokens, limit=limit
    )
    return replies if judge is None else _judged(study, replies, judge)


def judge_name(judge: Respondent | None) -> str:
    """As `Reply.judge` and tables have it."""
    return PARSER if judge is None else judge.name


def _judged(study: Study, replies: Sequence[Reply], judge: Respondent) -> list[Reply]:
    condition = Condition(
        model=judge.name,
        revision=judge.revision,
        form="chat",
        k=0,
        temperature=JUDGE_TEMPERATURE,
        max_tokens=JUDGE_TOKENS,
        seed=study.config.seed,
    )
    path = study.replies_folder / replies[0].condition.name() / f"judged-by-{condition.name()}.jsonl"
    judged = read_replies(path) if path.is_file() else []
    _check_same(path, judged, replies)
    if missing := replies[len(judged) :]:
        prompts = [Prompt(judge_prompt(reply.reply or ""), LETTERS) for reply in missing]
        with writing(study):
            verdicts = study.answers(judge, [reply.item for reply in missing], prompts, condition)
            judged += [
                replace(reply, judge=judge.name, verdict=verdict.reply)
                for reply, verdict in zip(missing, verdicts, strict=True)
            ]
            write_replies(path, judged)
    return judged[: len(replies)]


def _check_same(path: Path, judged: Sequence[Reply], replies: Sequence[Reply]) -> None:
    for old, new in zip(judged, replies, strict=False):
        if (old.item, old.reply) != (new.item, new.reply):
            raise ValueError(
                f"{path} holds verdicts on other replies than the run has now; delete it to ask the judge again"
            )
