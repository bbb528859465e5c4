"""Random sequences of words that come twice: what followed a word the first time follows it again.

In: a tokenizer. Out: a function that draws one example, in token ids. Nothing but the repetition can tell the answer
(induction; Olsson et al. 2022, arXiv 2209.11895), so that a small model can do it and none can know it by heart.
"""

import numpy as np

from saelib.interpret.circuits.tasks.prompts import Draw, Example, TaskError, Words

LENGTH = 8  # of the sequence
SHOWN = 5  # words of its repetition; the answer is the next
LEAST_WORDS = 200


def repeats(words: Words) -> Draw:
    """What comes next? The patch has another word at the answer's place in the first sequence."""
    tokens = whole_words(words)

    def draw(random: np.random.Generator) -> Example:
        drawn = tokens[random.choice(len(tokens), LENGTH + 1, replace=False)].tolist()
        sequence, other = drawn[:LENGTH], drawn[LENGTH]
        patched = [*sequence[:SHOWN], other, *sequence[SHOWN + 1 :]]
        again = sequence[:SHOWN]
        clean, patch = ([*words.beginning, *first, *again] for first in (sequence, patched))
        return Example(clean, patch, sequence[SHOWN], other)

    return draw


def whole_words(words: Words) -> np.ndarray:
    """Tokens that are a whole word of four letters or more with a blank in front, as far as their text tells.

    Raises:
        TaskError: there are few.
    """
    texts = {token: words.text(token) for token in range(len(words.tokenizer))}
    found = [token for token, text in texts.items() if text[:1] == " " and is_word(text[1:])]
    if len(found) < LEAST_WORDS:
        raise TaskError(
            f"{len(found)} tokens of the tokenizer are a word with a blank in front, {LEAST_WORDS} are needed"
        )
    return np.array(found)


def is_word(text: str) -> bool:
    """Four small letters of the Latin alphabet, or more.

    Narrower than the rule of `facts`, on purpose: names and short words are no random words, while a next word of text
    may be any. One rule for both would change the prompts of one of them.
    """
    return len(text) >= 4 and text.isascii() and text.isalpha() and text.islower()
