"""Who answers, and how fast?

In: items, prompts, a condition. Out: one `Answer` for each. `local.LocalEngine` asks a model on this machine and reads
the shots once (`shared_prefix`, or `padded_batches` where that is not right); `api.ask_api` asks one behind an API
through Inspect AI (`inspect_tasks`, `inspect_scorers`, `inspect_logs`); `controls.control_engine` replies without a
model, with an accuracy that is known beforehand.
"""
