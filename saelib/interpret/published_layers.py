"""At which layers the paper's mean may stand beside a run's: those that it has, where the run is of its model.

In: a table of a run, a published one. Out: the rows to be averaged. Another model has other layers: all of them count.
"""

from typing import TYPE_CHECKING

from saelib.transfer.published import MODEL

if TYPE_CHECKING:
    import pandas as pd


def at_published_layers(
    table: "pd.DataFrame", published: "pd.DataFrame", layer: str, language_model: str
) -> "pd.DataFrame":
    """The rows of layers for which the paper has a number; of another model than the paper's all rows.

    Args:
        table: with a column of that name.
        published: the paper's, with it too.
        layer: "act_layer" (likeness, attribution), or "source_layer" (feature transfer), by which the paper counts.
        language_model: of the run.
    """
    return table[table[layer].isin(set(published[layer]))] if MODEL in language_model else table
