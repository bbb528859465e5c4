"""In which order SAEs read a text, some at a time, so that a process that is killed loses little.

In: the SAEs whose profiles are missing. Out: groups of them, whole layers in their order. What an SAE shows depends on
which features are alive in the sources of its lineages: its part waits for these, which lie a layer further as a rule.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from saelib.interpret.subjects import OWN, Subject

SAES_AT_ONCE = 16  # at least, where there are so many: each group is one more pass of the language model


def rounds(subjects: Iterable[Subject], least: int = SAES_AT_ONCE) -> Iterator[list[Subject]]:
    """The SAEs, layer by layer of what they read, in groups of so many or more; the last may be smaller.

    A source from elsewhere, for which all wait, comes first.
    """
    group: list[Subject] = []
    for _, of_layer in groupby(sorted(subjects, key=_place), key=_place):
        group += of_layer
        if len(group) >= least:
            yield group
            group = []
    if group:
        yield group


def _place(subject: Subject) -> tuple[bool, int]:
    return subject.arm != OWN, subject.act_layer
