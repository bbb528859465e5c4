"""How an SAE may start from another one: the names, for configs and tables.

In: nothing. Out: names. It stands alone, so that whoever reads tables need not import what trains.
"""

from typing import Literal, get_args

Start = Literal["copy", "affine", "procrustes"]
"""The source's own parameters, as in paper 1; or carried over by a linear map between the two residual streams."""
STARTS: tuple[Start, ...] = get_args(Start)
MAPPED: tuple[Start, ...] = ("affine", "procrustes")
"""Those for which a map is fitted, on tokens of its own."""
