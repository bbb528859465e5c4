"""Who answers, and how fast?

In: items, prompts, a condition. Out: one `Answer` for each. `local.LocalEngine` asks a model on this machine and reads
the shots once (`packs`, or `padded_batches` where that is not right), and gives its answers while it works;
`api.ask_api` asks one behind an API through Inspect AI (`inspect_tasks`, `inspect_scorers`, `inspect_logs`);
`controls.control_engine` replies without a model, with an accuracy that is known beforehand.
"""
