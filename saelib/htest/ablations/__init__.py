"""What changes an accuracy: thinking aloud, or training on the task?

In: a study. Out: replies to score. `chain_of_thought.think_aloud` has a model think and a judge read it;
`tuned_models.tune_all` and `ask_tuned` tune one model for each task (`fine_tuning`, whose steps are those of
`letter_training`, of all weights or by LoRA as `low_rank` has it) and ask it as it was tuned and with shots;
`tuned_models.tuned_table` shows both. More shots and larger models need no code of their own: `stages.ask` takes them.
"""
