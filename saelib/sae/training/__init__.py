"""Training many SAEs from one stream of activations.

In: plans (`plan`), a language model and rows. Out: SAE folders at the checkpoints of a grid of token counts, resume
points, and a log. `train` is the loop, `trainee` one SAE in it, `schedule` what changes from step to step.
"""
