"""The strict parser: a letter that stands alone or is named as the answer, both letters alike.

In: a raw reply without its thoughts. Out: "A", "B" or None. The rules were made for 1,197 replies judged by hand
(`tests/htest/asking/replies_by_hand.txt`); they would rather find none than a wrong letter.
"""

import re
import unicodedata

WHOLE = re.compile(r"\W*([ab])(?:\W+\1)*\W*", re.IGNORECASE)
# Around a letter: special tokens, tags (not "<A>"), LaTeX but for its words, quotes, emphasis; the "'" of "it's" stays.
DECORATION = re.compile(
    r"<\|[^|<>]*\|>|</?(?![AB]>)\w+>|\\(?:text|math)\w*|\\(?:[()\[\]]|(?=[AB]\b))|[*_`\"“”«»$#✓✅❌]|(?<!\w)'|'(?!\w)"
)
CJK = re.compile(r"([\u3040-\u30ff\u3400-\u9fff])")  # written without blanks
NEXT_QUESTION = re.compile(r"\n\s{0,9}Input:|(?<=\b[AaBb])(?=\W+Input:)")
BLANKS = re.compile(r"\s{2,}")  # long runs would cost a search through all of them from each of their places

NOUN = r"(?i:label|lable|answer|ans|option|choice|letter|category|class)"
HEADER = (  # what a colon may follow
    rf"(?:(?:{NOUN}(?: for (?:the|this) \w+)?|(?i:here you go|output|respon[ds]e?|result|prediction|classification"
    r"|verdict|decision|conclusion|solution|tag|final|assistant|réponse|antwort|respuesta|ответ)|答\s+案)"
    r"(?: here|\s*\([^()\n]{0,40}\))?)"
)
LEADS = (  # words after which a capital letter is the answer
    r"(?i:(?:\b(?:(?:is|be|choice was)(?: labell?ed| classified)?(?: as)?|(?:choos|pick|select)\w*(?: one)?|chose"
    r"|says?|think|meant|assign(?: it)?(?: to)?|give|guess|conclude|(?:answer|respond)(?:s|ed)?(?: with)?"
    r"|settle[sd]? (?:on|for)|(?:looks?|seems?) like|puts? (?:it|this) (?:in|into|under|down as)"
    r"|(?:points?|leads?)(?: me| us)? to|concludes with"
    r"|go(?:ing)? (?:with|for)|lean(?:ing)?(?: towards?)?|vote(?: for)?|boxed|but|so|thus|hence|therefore|then|overall"
    r"|(?:in|to) (?:conclusion|conclude|summary|short)|clearly|definitely|probably|likely|simply|just|finally"
    r"|belongs to|falls (?:under|into)|matches|corresponds to|gets|(?:we|i) (?:get|have)"
    r"|(?:gives|leaves)(?: us)?(?: with)?|(?:label|call|mark|classify|makes) (?:it|this(?: \w+)?)(?: as)?"
    r"|ist|est|es|答\s+案\s+是|は)|'s)\b)"
)
GAP = r"[\s:=,>→(\[{<-]*"
END = (  # what may follow a letter that is an answer, and no article or part of "A.M." or "A-level"
    r"(?=\s*(?:$|[.,;!。)\]}>–—-](?!\w)|[(\[{<]|/\s"
    r"|(?:because|since|as|given|due|based|here|(?:for|in|to) (?:this|the|it)|I (?:guess|think|suppose))\b|で))"
)
PRAISE = (  # after "A is" or "A seems"
    r"(?:(?:clearly|therefore|thus|definitely|probably|the|my|more|most|best|better|final|intended|expected)\s+)*"
    r"(?:correct|right|best|better|appropriate|suitable|fitting|likely|accurate|plausible|answer|choice|label|option"
    r"|fit|what (?:i|we) (?:would |'d )?(?:choose|pick|say))\b"
)
OTHER_TEXT = (
    r"(?i:first|second|third|last|previous|next|other|above)"
    r"\s+(?:(?i:example|sentence|input|one|line|pair|item)s?\b|(?=is\b|was\b))"
)
CHANGE = r"(?i:then|hmm+|no|wait|maybe|perhaps)"
ASIDES = [  # letters that are talked about and not chosen
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"\b(?i:not|instead of|rather than)\s+([AB])\s*,(?=\s*(?!\1)[AB]\s*[.!]?\s*$)",  # not A, B
        r"\b([AB])\b\W*(?:(?:or|nor)\b(?:\W+\w+){0,4}?|and|[/,&|])\W*(?:(?i:label)\W*)?(?!\1)[AB]\b"
        r"(?!\s+(?:is|would|must|should|seems|fits))",  # A or B
        r"\b([AB])[ )]*\n\s*(?!\1)[AB](?=[ )]*(?:$|\())",  # A and B in lines of their own, as the prompt offers them
        r"(?:\band )?\b(?i:not|cannot|nor|never|doubt|unlikely|(?:rather )?than|instead of"
        r"|(?:any|every)thing (?:but|except)|\w+n't)\b"
        rf"(?:\s+(?:sure|certain|think|believe|say|that|can|it(?:'s)?|is|be|an?|to|the|correct|right|{NOUN}))*"
        r"[ (\[]+[AB]\b",
        r"\b[AB]\b[^.,;\n]{0,200}?\b(?:if|unless|when|otherwise)\b(?! (?i:i|we|you|forced)\b)",  # A would be right if
        r"\b(?i:if (?!i\b|we\b|you\b|forced\b)|whether|unless|when(?:ever)?\b)[^.,;\n]{0,200}?\b[AB]\b",  # if A
        r"\b(?i:if|unless|when)\s+(?!(?i:i|we|you|forced)\b)[^.;\n]{0,200}?\b[AB]\b",  # if they rhyme, it is A
        r"(?i:\botherwise|[.,;:]\s*(?:or )?else|\bor else)\b[^.;\n]{0,200}?\b[AB]\b",  # otherwise, it is B
        r"\b(?i:could|might|may)(?: \w+){0,3} be\W+[AB]\b",
        r"\b(?i:thought|going to say|at first(?: glance| sight)?,?|initially,?)[^.,;\n]{0,200}?\b[AB]\b",
        r"\b[AB]\b(?:\s*(?:\.\.\.|…|[?,])\s*(?i:no),|\W*(?i:wait,? no)\b)",  # A... no,
        rf"\b{OTHER_TEXT}[^.,;\n]{{0,200}}?\b[AB]\b",
        r"(?<!\()\b[AB]\s*([:)]).*(?<!\()\b[AB]\s*\1",  # A: a capital, B: none
        r"\b(?i:(?:(?:first|last|initial|starting|capital|upper-?case|lower-?case) (?:letter|character|word|one)"
        r"|capital)(?: (?:of|in)(?: \w+){1,3})?\s*(?:is|:))\W+(?:the letter\W+)?[AB]\b",  # of the text in question
        rf"\b([AB])\b\W+(?:{CHANGE}\W+){{0,3}}(?!\1)[AB]\b{END}",  # A, then B
    )
]
NAMED = re.compile(
    rf"(?:{LEADS},?(?:\s+(?:the\s+)?(?:(?i:first|second)\s+)?{NOUN},?)?(?:\s+an?\b)?|\b{HEADER}[)\]}}]?\s*(?=[:=→>-])"
    rf"|^\W*{NOUN}[)\]}}]?\s){GAP}([AB])\b{END}"
    r"|\b([AB])[)\]}]?\s+(?:"
    rf"(?:is|would be|must be|should be|seems(?: to be)?)\s+{PRAISE}"
    r"|(?:is|does)\s*[.!]|(?:it is|fits|applies|works|wins)(?: (?:here|best|better))?\s*(?:$|[.,;!]))"
    rf"|\b{NOUN} (?:is|should be|must be):?\s*([ab])\s*[.!]?\s*$",
    re.MULTILINE,
)
CORRECTION = re.compile(  # what comes before it no longer counts
    r"\b(?:wait,? no|actually|sorry|i mean|correction|scratch that|on (?:second thought|closer look|reflection))\b",
    re.IGNORECASE,
)
FINAL = re.compile(
    r"\b(?:so|thus|hence|therefore|final|finally|conclusion|conclude|overall|boxed|correct)\b", re.IGNORECASE
)
SURE = r"(?i:sure|certainly|of course|ok|okay|yes|no|well|right|alright|hmm+)"
ALONE = re.compile(
    rf"^[^\w\n]*+(?:\d\)\s*|.{{0,200}}\b{HEADER}\s*[:=]\s*|{SURE}[,.!:]+\s*)?([AaBb])[^\w\n?]*$", re.MULTILINE
)
OPENING = re.compile(rf"(?:^|[.;!?]\s|(?=\([AB]\)))[^\w\n]*+([AB])\b(?:(?=\s*:)|{END})", re.MULTILINE)


def parse_strict(reply: str) -> str | None:
    """The letter that stands alone as the answer, or None.

    1. A reply that is one letter in any decoration is that letter.
    2. What follows when a base model goes on to ask the next question is cut off, and letters that are only talked
       about are left out: "A or B", "not A", "whether it is A". "Not A but B" is therefore B.
    3. Where a reply corrects itself ("wait, no", "actually"), what comes after it counts, if it holds an answer.
    4. A capital letter named in words is the answer: "label: A", "it's A", "A is correct". It has to be followed by a
       mark, a line's end or a word such as "because": in "A sentence" it is the article. Where both letters are named,
       the last one is the answer if its sentence concludes ("so the answer is B"); otherwise there is none.
    5. Where none is named, a letter that is alone in its line, in both cases ("b", "Label: b"), or else a capital that
       opens a line or sentence: "A (upper case)", and "B (Respond in", where a reply that repeats the prompt is cut.
       Two different ones are none.
    """
    text = _plain(reply)
    return _read(CORRECTION.split(text)[-1]) or _read(text)


def _read(text: str) -> str | None:
    """The letter that a plain text gives as its answer."""
    if whole := WHOLE.fullmatch(text):
        return whole[1].upper()
    for aside in ASIDES:
        text = aside.sub(" ", text)
    if named := list(NAMED.finditer(text)):
        return _concluded(text, named)
    for pattern in (ALONE, OPENING):
        if found := {letter.upper() for letter in pattern.findall(text)}:
            return found.pop() if len(found) == 1 else None
    return None


def _plain(reply: str) -> str:
    """A reply without decoration, full-width signs as ordinary ones, up to where it asks the next question itself."""
    text = unicodedata.normalize("NFKC", reply).replace("’", "'")
    text = CJK.sub(r" \1 ", DECORATION.sub(" ", NEXT_QUESTION.split(text)[0]))
    return BLANKS.sub(lambda run: "\n\n" if run[0].count("\n") > 1 else run[0][0], text)


def _concluded(text: str, named: list[re.Match[str]]) -> str | None:
    """The one letter that is named; of two, the last where the sentence that names it concludes."""
    last = named[-1]
    sentence = re.split(r"[.!?\n]", text[: last.start()])[-1] + last[0]
    agreed = len({_letter(match) for match in named}) == 1
    return _letter(last) if agreed or FINAL.search(sentence) else None


def _letter(match: re.Match[str]) -> str:
    """The one group that matched."""
    return next(filter(None, match.groups())).upper()
