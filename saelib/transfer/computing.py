"""The modules whose code decides the numbers of a layer transfer.

In: nothing. Out: their names, for `run.library.code_digest`: a run that one version of them began is not gone on with
by another. What reads finished tables, holds locks or speaks to hubs and servers may change at any time.
"""

COMPUTING = (
    *("language", "sae"),
    *(f"run/{name}.py" for name in ("config", "memory", "parquet", "reading", "resume", "threads")),
    "results/parted.py",
    *(f"transfer/{name}.py" for name in ("checks", "config", "depth_config", "directions", "experiment", "fetched",
                                         "fields", "inputs", "lambda_search", "lambdas", "ledger", "maps", "model_fit",
                                         "parts", "passes", "plans", "released_config", "scored", "scoring", "source",
                                         "stages", "trial_scores", "trials")),
    *(f"transfer/depth/{name}.py" for name in ("lambdas", "maps", "plans", "scores", "study")),
)  # fmt: skip
