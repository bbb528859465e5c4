"""Inspect AI's side of scoring: one scorer that shows both parsers, and the grader for chains of thought.

In: the state of an answered sample. Out: a score with the keys "paper" and "strict", 1 where the parsed option is the
right one. The numbers are for Inspect's own viewer: the kit imports the raw replies and scores them itself
(`scoring`), with intervals and shares of none.
"""

from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from saelib.htest.asking.judge import JUDGE_TEMPERATURE, JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.parsers import PARSERS
from saelib.htest.items.item import item_of

GRADER = "grader"


@solver
def ask(judged: bool = False) -> Solver:
    """Send the sample's prompt as one user message; refuse to where a judge will be needed and none is named."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if judged:
            grader()
        return await generate(state)

    return solve


@scorer(metrics={parser: [accuracy()] for parser in PARSERS})
def both_parsers(judged: bool = False) -> Scorer:
    """Read the reply, or a judge's verdict on it, by both parsers.

    Args:
        judged: ask the model in the role of the grader what a chain of thought arrives at, and read its verdict.
    """

    async def score(state: TaskState, target: Target) -> Score:
        item = item_of(state.metadata["item"])
        said, judgement = state.output.completion, {}
        if judged:
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
        return get_model(role=GRADER, required=True)
    except PrerequisiteError as error:
        raise RuntimeError(
            f"a chain of thought is read by a judge, and no model has the role {GRADER!r}: name one, as in "
            f"--model-role {GRADER}=openai/gpt-4o-mini"
        ) from error
