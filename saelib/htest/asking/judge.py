"""How a chain of thought is read: a judge model is asked which label the assistant arrives at.

In: a raw reply. Out: the one user message that the judge gets, to the letter of the authors' run_h_test.py, and the
settings it is asked with. Its verdict is read by the same parsers as any reply.
"""

JUDGE_TEMPERATURE = 0.7
JUDGE_TOKENS = 5


def judge_prompt(said: str) -> str:
    """What the judge is asked about what a reply says after its thoughts; the blanks are the authors'."""
    return (
        f"Assistant: {said} \n\n What does the Assistant think the sentence belongs to?\nA\nB\nNone "
        "(Respond in one word and nothing else)"
    )
