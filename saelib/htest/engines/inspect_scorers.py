"""Inspect AI's side of scoring: one scorer that shows both parsers, and the grader for chains of thought.

In: the state of an answered sample. Out: a score with the keys "paper" and "strict", 1 where the parsed option is the
right one. The numbers are for Inspect's own viewer: the kit imports the raw replies and scores them itself
(`scoring`), with intervals and shares of none.
"""

from collections import defaultdict

from inspect_ai.model import GenerateConfig, GenerateConfigArgs, Model, get_model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from saelib.htest.asking.judge import JUDGE_TEMPERATURE, JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.thinking import without_thoughts
from saelib.htest.engines.refusals import (
    Attendance,
    NoAnswerError,
    NoReplyError,
    last_word,
    may_be_asked_again,
    problem_of,
    refusal_of,
)
from saelib.htest.items.item import item_of
from saelib.language.api import attempt_seconds
from saelib.language.server_errors import guard, words_of

GRADER = "grader"
SEED_STEP = 1_000_003  # from one sample of an item to the next: no sample then has the seed of another run's


@solver
def ask(judged: bool = False) -> Solver:
    """Send the sample's prompt as one user message, once: a tool that the model asks for is not there to be called.

    A refused or filtered request ends in an error, so that a later call can ask it again. Nothing is sent where a judge
    will be needed and none is named, or to a server that has refused everything so far.
    """
    attendances: defaultdict[str, Attendance] = defaultdict(Attendance)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if judged:
            grader()
        guard(get_model(), attempt_seconds)  # `inspect eval` has opened it by itself
        attendance = attendances[str(state.model)]
        attendance.check()
        try:
            state = await generate(state, tool_calls="none", **_own_seed(state))
        except Exception as error:
            if problem := refusal_of(error):
                attendance.hear(problem)
                raise NoReplyError(problem) from error
            raise NoAnswerError(words_of(last_word(error))) from error
        problem = problem_of(state.output)
        attendance.hear(problem)
        if may_be_asked_again(problem):
            raise NoReplyError(str(problem))
        return state

    return solve


def _own_seed(state: TaskState) -> GenerateConfigArgs:
    """A seed for each sample of an item after the first: a server that keeps to seeds would say the same again."""
    condition = state.metadata["condition"]
    if state.epoch == 1 or not condition["temperature"]:
        return {}
    return {"seed": condition["seed"] + SEED_STEP * (state.epoch - 1)}


@scorer(metrics={parser: [accuracy()] for parser in PARSERS})
def both_parsers(judged: bool = False) -> Scorer:
    """Read the reply, or a judge's verdict on it, by both parsers.

    Args:
        judged: ask the model in the role of the grader what a chain of thought arrives at, and read its verdict.
    """

    async def score(state: TaskState, target: Target) -> Score:
        item = item_of(state.metadata["item"])
        said, judgement = "" if problem_of(state.output) else without_thoughts(state.output.completion) or "", {}
        if judged and said:
            config = GenerateConfig(temperature=JUDGE_TEMPERATURE, max_tokens=JUDGE_TOKENS)
            said = (await grader().generate(judge_prompt(said), config=config)).completion
            judgement = {"judge": f"api:{grader()}", "verdict": said}
        parsed = {name: parse(said, item.options) for name, parse in PARSERS.items()}
        value: dict[str, str | int | float | bool | None] = {
            name: float(option == target.text) for name, option in parsed.items()
        }
        return Score(value=value, answer=said, metadata={"parsed": parsed, **judgement})

    return score


def grader() -> Model:
    """The model in the role of the grader.

    Raises:
        RuntimeError: no model has this role.
    """
    from inspect_ai._util.error import PrerequisiteError

    try:
        return guard(get_model(role=GRADER, required=True), attempt_seconds)
    except PrerequisiteError as error:
        raise RuntimeError(
            f"a chain of thought is read by a judge, and no model has the role {GRADER!r}: name one, as in "
            f"--model-role {GRADER}=openai/gpt-4o-mini"
        ) from error
