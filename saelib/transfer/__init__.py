"""Paper 1: who starts from whom, and what does it save?

In: a preset and overrides. Out: a run with scratch SAEs, forward and backward transfers and their control, scored on
the same rows; what its curves say, beside what the paper published; figures.

Public: `experiment.open_experiment`; `stages.train_phase`, `stages.evaluate_phase` and `stages.evaluate_zero_shot`;
`rehearsal`, what a run would take; `passes.planned_memory`, what it would hold; `tables.read_results`; `convergence`,
what the curves say; `agreement`, the paper's claims; `ledger`, what it cost; `published`, the paper's own numbers;
`figures`, all of them by short names. README.md beside this file has the columns of the tables and the differences from
the paper.
"""
