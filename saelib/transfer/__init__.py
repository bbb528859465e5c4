"""Paper 1: who starts from whom, and what does it save?

In: a preset and overrides. Out: a run with scratch SAEs and transfers of every direction, start and distance asked for,
scored on the same rows; what its curves say, beside what the paper published; figures.

Public: `experiment.open_experiment`; `stages.train_phase`, `stages.evaluate_phase` and `stages.evaluate_zero_shot`;
`rehearsal`, what a run would take; `passes.planned_memory`, what it would hold; `tables.read_results`;
`curves.matched`, through which every comparison goes; `convergence`, `savings` and `gains`, what the curves say;
`claims` and `agreement`, what the paper says; `ledger`, what it cost; `maps`, from layer to layer; `depth`, how far
they carry; `released.push_saes`, a run's SAEs for others; `studies` beside the default run; `published`, the paper's
own numbers; `figures`, all of them by short names. README.md beside this file has the columns of the tables and the
differences from the paper.
"""
