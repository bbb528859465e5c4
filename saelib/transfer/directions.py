"""The two directions of a transfer: the one place where the kit says which layer is whose source.

In: nothing. Out: a table. It stands alone, so that whoever reads tables need not import what trains.
"""

DIRECTIONS = {"forward": -1, "backward": +1}
"""By name: from a transfer's place in the list of layers to that of its source."""
