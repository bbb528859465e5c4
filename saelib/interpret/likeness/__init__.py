"""How alike are two SAEs: their decoders, and what their features mean?

In: SAEs of a run that stand side by side, and profiles of their features. Out: `likeness.parquet` and
`feature_transfer.parquet` with means and intervals ("MMCS" and "Feature transfer" in paper 1, and what is stronger).

Public: `study.make_likeness`, `transfer_study.make_feature_transfer`; `tables`, what they say; `cosines`, `moved` and
`transferred`, the measures themselves, on tensors and lists of tokens.
"""
