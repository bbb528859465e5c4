"""Replies to a part of what was asked, kept while the others are still to come.

In: replies as an engine gives them, and the file that all of them go into. Out: a sealed file beside it, written every
`SECONDS` and read by whoever asks the same again: a kill loses seconds of work, not a task. It holds no result: nobody
else looks at it, and what comes into the whole file goes from it. A smaller request leaves the others there.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from saelib.htest.asking.replies import Condition, Question, Reply, read_replies, write_replies
from saelib.run.reading import DamagedFileError

ENDING = ".unfinished"  # behind the name of the whole file
SECONDS = 20.0  # between two writings

Place: TypeAlias = tuple[str, int]
"""Key of an item, and which of its samples."""


class Unfinished:
    """The replies that will go into a file, until it is written.

    Args:
        whole: that file.
    """

    def __init__(self, whole: Path) -> None:
        self.path, self._written = whole.with_name(whole.name + ENDING), time.monotonic()
        self._left: dict[Place, Reply] = {}  # by an ended process

    def keep(self, replies: Iterable[Reply]) -> None:
        """Write all that have come so far, with what was left to others, if the last time is `SECONDS` ago."""
        if time.monotonic() - self._written >= SECONDS:
            write_replies(self.path, (self._left | {_place(reply): reply for reply in replies}).values())
            self._written = time.monotonic()

    def read(self, library: str) -> list[Reply]:
        """Replies that an ended process left; none of a damaged file, nor of another version of the library.

        Args:
            library: of who is asked now, as in `Reply.library`.
        """
        try:
            found = [reply for reply in read_replies(self.path) if reply.library == library]
        except (FileNotFoundError, DamagedFileError):
            found = []
        self._left = {_place(reply): reply for reply in found}
        return found

    def answers_to(self, questions: Sequence[Question], condition: Condition, library: str) -> dict[int, Reply]:
        """Those of them that answer a question under a condition, by its place."""
        kept = {(reply.item, reply.prompt, reply.sample): reply
                for reply in self.read(library) if reply.condition == condition}  # fmt: skip
        found = [kept.get((item, prompt.text, sample)) for item, prompt, sample in questions]
        return {place: reply for place, reply in enumerate(found) if reply is not None}

    def is_unsettled(self, whole: Iterable[Reply], library: str) -> bool:
        """Whether some are there that are in their whole files too, or are of no use: a process ended just before."""
        if not self.path.is_file():
            return False
        left = {_place(reply) for reply in self.read(library)}
        return not left or not left.isdisjoint(map(_place, whole))

    def settle(self, whole: Iterable[Reply]) -> None:
        """Replies are in their whole files: what was left to others stays, and without any the file goes."""
        settled = {_place(reply) for reply in whole}
        if rest := [reply for place, reply in self._left.items() if place not in settled]:
            write_replies(self.path, rest)
        else:
            self.path.unlink(missing_ok=True)


def _place(reply: Reply) -> Place:
    """What one reply can be there to."""
    return reply.item.key, reply.sample
