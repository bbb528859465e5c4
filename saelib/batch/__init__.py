"""The run as a whole: which notebooks, in which order, when again, and what is kept of them?

In: the stored notebooks and a run's settings, from the environment (`settings`). Out, by way of `reproduce`, the
Snakefile, `execute` and papermill: executed notebooks, `report.html`, and the small files in `results/`.

Public: `notebooks.NOTEBOOKS`, the one list; `digests`, which say when a notebook must run again; `engine.IpcEngine`,
papermill without TCP ports; `console`, what a person sees meanwhile, with `durations` and `failures.failure_report`;
`report.write_report`, with the parts of its `page` and what it says from `answers`, `report_tables` and `experiments`,
the one list of the papers' experiments, with `carried`; `publish.publish`, with the two tables of a preset from
`first_page`, and that of all that are kept from `models`.
"""
