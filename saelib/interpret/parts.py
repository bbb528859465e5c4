"""Tables of a run's interpretation, part by part: what is there is checked and kept, what is missing is made and kept.

In: the parts that are wanted, each with the SAEs that it is of, and a function that makes one. Out: the whole table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.same_saes import check_same_saes
from saelib.interpret.subjects import Subject
from saelib.run.lock import writing
from saelib.run.progress import progress

Asked = Mapping[str, Sequence[Subject]]
"""Names of parts, and the SAEs of each."""


def make_parts(
    interpretation: Interpretation,
    name: str,
    asked: Asked,
    make: Callable[[str], pd.DataFrame],
    columns: Sequence[str] = (),
) -> pd.DataFrame:
    """The table, with all parts that are asked for; of stored results as it is.

    Args:
        name: of the table.
        make: the rows of a part, without columns that say where they come from.
        columns: that the table has; all of them, where no part is asked for.

    Raises:
        FileNotFoundError: an SAE is not trained yet; or these are stored results, and the repository keeps none.
        ValueError: a part was made of another SAE than is there now.
        RunInUseError: another process is at work on the run.
        DamagedFileError: a part is not what was written.
    """
    table = interpretation.table(name, columns)
    if interpretation.config.stored:
        return table.together()
    for part in [part for part, subjects in asked.items() if subjects and table.has(part)]:
        check_same_saes(interpretation, table.read(part), table.place(part), *asked[part])
    if missing := [part for part in asked if not table.has(part)]:
        interpretation.experiment.load_inputs()
        with writing(interpretation), progress(name.replace("_", " "), len(missing), unit="part") as advance:
            for part in missing:
                sha256 = interpretation.sha256(*asked[part]) if asked[part] else ""
                table.write(part, make(part).assign(sae_sha256=sha256, **interpretation.origin()))
                advance(1)
    if not asked:
        return pd.DataFrame(columns=list(columns))
    parts = [*asked]
    whole = table.together(parts)
    if not table.is_joined(parts):
        with writing(interpretation):
            table.join(parts, whole)
    return whole


def parts_state(interpretation: Interpretation, title: str, asked: Mapping[str, Iterable[str]]) -> str:
    """One line: what there is of some tables, and whether it was found or is made now.

    Args:
        title: what they are of.
        asked: parts of each table.
    """
    if interpretation.config.stored:
        return f"{title}: stored results."
    there = [interpretation.table(name).has(part) for name, parts in asked.items() for part in parts]
    missing = there.count(False)
    return f"{title}: {f'{missing} of {len(there)} parts are made now' if missing else 'found, finished'}."
