"""How a chain of thought is read: a judge model is asked which label the assistant arrives at.

In: a raw reply. Out: the one user message that the judge gets, to the letter of the authors' run_h_test.py, and the
settings it is asked with. Its verdict is read by the same parsers as any reply.
"""

from saelib.htest.asking.thinking import without_thoughts

JUDGE_TEMPERATURE = 0.7
JUDGE_TOKENS = 5


def judge_prompt(reply: str) -> str:
    """What the judge is asked about a reply without its thoughts; the blanks are the authors'."""
    said = without_thoughts(reply) or ""
    return (
        f"Assistant: {said} \n\n What does the Assistant think the sentence belongs to?\nA\nB\nNone "
        "(Respond in one word and nothing else)"
    )
