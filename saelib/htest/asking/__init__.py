"""How is an item put to a model, and what did it reply?

In: items and shots. Out: the text that a model sees (`prompts.choose_shots`, `prompts.render`), the `Condition` under
which it is asked and the raw `Reply` (`replies`; kept as it comes by `unfinished`), which the readers of `parsers` turn
into a choice; `judge` is the question to a model that reads a chain of thought. `lm_eval_export.export` gives the same
prompts to another harness.
"""
