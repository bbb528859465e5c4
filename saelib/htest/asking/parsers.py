"""What a reply says: one of the item's options, or nothing.

In: a raw reply, or a judge's verdict on one. Out: the option that was chosen, or None. Two readers stand side by side:

- `paper`, the released rule (utils.py of brucewlee/h-test), bias and all: an "a" anywhere and no "b" is an A. A refusal
  such as "I cannot tell" is therefore an A, and "Answer: B", which holds an "a", is none.
- `strict`: a letter has to stand alone or be named as the answer, and both letters are treated alike.

Letter geometry is read by exact match under both names, as the paper does.
"""

import re
from collections.abc import Callable, Sequence

from saelib.htest.tasks import LETTERS

WHOLE = re.compile(r"\W*([ab])\W*", re.IGNORECASE)
EMPHASIS = re.compile(r"[*_`\"“”$#]|(?<!\w)'|'(?!\w)|\\text\w*")  # the "'" of "it's" stays

NOUN = r"(?i:label|answer|option|choice|letter)"
LEADS = (  # words after which a capital letter is the answer
    r"(?i:(?:\b(?:(?:is|be)(?: labell?ed| classified)?(?: as)?|choose|pick|select|say|assign|give|guess|conclude"
    r"|go with|boxed|but|so|thus|hence|therefore|then|clearly|definitely|probably|likely|simply|just|finally"
    r"|(?:label|call|mark|classify) (?:it|this(?: \w+)?)(?: as)?)|'s)\b)"
)
GAP = r"[\s:=,>→(\[{<-]*"
END = (  # what may follow a letter that is an answer, and no article or part of "A.M." or "A-level"
    r"(?=\s*(?:$|[.,;!)\]}>–—-](?!\w)|[(\[{<]"
    r"|(?:because|since|as|given|due|based|here|(?:for|in|to) (?:this|the|it))\b))"
)
ASIDES = [  # letters that are talked about and not chosen
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"\b([AB])\b\W*(?:(?:or|nor)\b(?:\W+\w+){0,4}?|and|[/,&])\W*(?:(?i:label)\W*)?(?!\1)[AB]\b",  # A or B
        r"\b([AB])[ )]*\n\s*(?!\1)[AB](?=[ )]*(?:$|\())",  # A and B in lines of their own, as the prompt offers them
        r"(?:\band )?\b(?i:not|cannot|never|doubt|unlikely|rather than|instead of|\w+n't)\b"
        rf"(?:\s+(?:think|believe|say|that|it|it's|is|be|to|the|correct|right|{NOUN}))*[ (\[]+[AB]\b",  # not A
        r"\b(?i:if|whether|unless|when)\b[^.,;\n]*?\b[AB]\b",  # whether it is A
        r"(?<!\()\b[AB]\s*([:)]).*(?<!\()\b[AB]\s*\1",  # A: a capital, B: none
        r"\b(?:first|last|initial|starting) (?:letter|character|word)(?: (?:of|in)(?: \w+){1,3})?"
        r"\s+is\W+(?:the letter\W+)?[AB]\b",  # of the text in question
    )
]
NAMED = re.compile(
    rf"(?:{LEADS}(?:\s+(?:the\s+)?{NOUN})?|\b{NOUN}\s*(?=[:=→>-])|^\W*{NOUN}\s){GAP}([AB])\b{END}"
    r"|\b([AB])[)\]}]?\s+(?:is|would be|must be|seems)\s+(?:(?:clearly|therefore|thus|definitely|probably)\s+)?"
    r"(?:(?:the |my )?(?:correct|right|best)|(?:the|my) (?:final )?(?:answer|choice))\b",
    re.MULTILINE,
)
FINAL = re.compile(r"\b(?:so|thus|hence|therefore|final|finally|conclusion|conclude|overall|boxed)\b", re.IGNORECASE)
ALONE = re.compile(rf"^[^\w\n]*(?:.*\b{NOUN}\s*[:=]\s*)?([AaBb])[^\w\n?]*$", re.MULTILINE)
OPENING = re.compile(rf"(?:^|[.;!?]\s|(?=\([AB]\)))[^\w\n]*([AB])\b(?:(?=\s*:)|{END})", re.MULTILINE)


def parse_paper(reply: str) -> str | None:
    """The released rule, to the letter; A is tried first."""
    text = reply.lower()
    for letter, other in (("a", "b"), ("b", "a")):
        alone = letter in text and other not in text
        said = f"is {letter}" in text and f"or {other}" not in text
        if alone or f"label: {letter}" in text or said:
            return letter.upper()
    return None


def parse_strict(reply: str) -> str | None:
    """The letter that stands alone as the answer, or None.

    1. A reply that is one letter in any decoration is that letter.
    2. What follows when a base model goes on to ask the next question is cut off, and letters that are only talked
       about are left out: "A or B", "not A", "whether it is A". "Not A but B" is therefore B.
    3. A capital letter named in words is the answer: "label: A", "it's A", "A is correct". It has to be followed by a
       mark, a line's end or a word such as "because": in "A sentence" it is the article. Where both letters are named,
       the last one is the answer if its sentence concludes ("so the answer is B"); otherwise there is none.
    4. Where none is named, a letter that is alone in its line, in both cases ("b", "Label: b"), or else a capital that
       opens a line or sentence: "A (upper case)", and "B (Respond in", where a reply that repeats the prompt is cut.
       Two different ones are none.
    """
    if whole := WHOLE.fullmatch(reply.replace("_", " ")):
        return whole[1].upper()
    text = EMPHASIS.sub(" ", reply.replace("’", "'").split("\nInput:")[0])
    for aside in ASIDES:
        text = aside.sub(" ", text)
    if named := list(NAMED.finditer(text)):
        return _concluded(text, named)
    for pattern in (ALONE, OPENING):
        if found := {letter.upper() for letter in pattern.findall(text)}:
            return found.pop() if len(found) == 1 else None
    return None


def _concluded(text: str, named: list[re.Match[str]]) -> str | None:
    """The one letter that is named; of two, the last where the sentence that names it concludes."""
    last = named[-1]
    sentence = re.split(r"[.!?\n]", text[: last.start()])[-1] + last[0]
    agreed = len({match[1] or match[2] for match in named}) == 1
    return last[1] or last[2] if agreed or FINAL.search(sentence) else None


def parse_option(reply: str, options: Sequence[str]) -> str | None:
    """The option that the reply is, but for blanks around it; None where it is anything else."""
    stripped = reply.strip()
    return stripped if stripped in options else None


def _for_letters(parse: Callable[[str], str | None]) -> Callable[[str, Sequence[str]], str | None]:
    def read(reply: str, options: Sequence[str]) -> str | None:
        return parse(reply) if tuple(options) == LETTERS else parse_option(reply, options)

    return read


PARSERS: dict[str, Callable[[str, Sequence[str]], str | None]] = {
    "paper": _for_letters(parse_paper),
    "strict": _for_letters(parse_strict),
}
