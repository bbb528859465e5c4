"""Features that are said to be dead though they are not."""

from collections.abc import Iterable

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject


def mark_dead(interpretation: Interpretation, subject: Subject, features: Iterable[int]) -> None:
    """Rewrite a profile as if these features never fired."""
    table = interpretation.table("features")
    part = table.read(subject.part)
    gone = part["feature"].isin([int(feature) for feature in features])
    table.write(subject.part, part.assign(dead=part["dead"] | gone))
