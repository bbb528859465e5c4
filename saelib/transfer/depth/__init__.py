"""How far does a linear map carry an SAE? One trained layer, carried to every other layer of the language model.

In: an experiment whose config names a source for it (depth_source), its scratch SAEs trained. Out: `depth.parquet`, a
row for each SAE and layer: the source copied and mapped, scratch SAEs of chosen layers at several λ, short trainings
from mapped starts, one SAE for several layers; and `depth_maps.parquet`, how well the maps fit.

Public: `study.run_depth`; `tables.read_depth` and `tables.read_depth_maps`; `compare`, curves against distance and
differences at equal L0, and `changes`, what more training changes, all with intervals; `costs`, what SAEs for all
layers cost by each way; `study.mapped_sae`, the source carried to a layer, for use.
"""
