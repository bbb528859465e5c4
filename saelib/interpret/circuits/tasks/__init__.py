"""Prompts of which a circuit can be asked: what should the model say, and what if one word were another?

In: a tokenizer, a count and a seed. Out: pairs of prompts, clean and patched, of one length in tokens, each with the
answer that is right for it; and how well the model itself does. After section 5 of the layer-transfer paper (indirect
objects, greater than, agreement across a relative clause), with tasks beside them that a small model can do.

Public: `library.TASKS` and `library.make_prompts`; `prompts.Prompts`; `accuracy.task_accuracy`.
"""
