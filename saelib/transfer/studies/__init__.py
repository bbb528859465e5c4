"""Runs beside the default one: each answers one question, and leaves a small table in `results/`.

In: the preset tiny with a few other values. Out: the table, which figures and notebooks read again. Programs:

- `python -m saelib.transfer.studies.choice_of_lambda`: which lambda and learning rate;
- `python -m saelib.transfer.studies.starts`: copies, affine maps and rotations, up to three layers away, and how many
  tokens a map needs;
- `python -m saelib.transfer.studies.paper_schedule`: the default run by the schedule of the paper.

Public: `choice_of_lambda.stored_trials`; `starts.stored_savings`, `starts.stored_leads` and
`starts.stored_map_tokens`; `paper_schedule.stored_paper_schedule`.
"""
