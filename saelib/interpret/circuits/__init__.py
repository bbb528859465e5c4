"""Which features does a model use for a task, and is the task done by them alone?

In: a language model, SAEs of its layers, and pairs of prompts that differ in what the right answer hangs on. Out:
effects of features by attribution, checked against exact patching; circuits of the largest; how much of the task a
circuit does alone (faithfulness), and how much is left without it (completeness).

1. `examples`: one pass over the prompts for all layers, and one gradient for each; all SAEs of a layer share them.
2. `attribution`: effect of every feature at every position, estimated from that gradient.
3. `circuit`: a `circuit.Circuit` keeps some of the features; it stands between attribution and evaluation.
4. `faithfulness`: the others are set to their means, and the task is done again.

`tasks` and `facts` are the prompts. `splice` is how features take a stream's place; `patching` is the exact way, one
feature at a time.

Public: `study.run_attribution` and `study.run_circuits`, stages of a run; `faithfulness.circuit_curves` for any SAE and
pairs of prompts, `faithfulness.evaluate_circuits` for any circuit; `tables`, with intervals; `reference`, the same
numbers by other ways.
"""
