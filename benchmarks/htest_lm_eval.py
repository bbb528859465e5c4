"""lm-evaluation-harness on H-Test without its start: the model loaded first, then `simple_evaluate` timed inside.

Runs in the peers' environment. In: a work folder of `benchmarks.htest`. Out: one line of JSON with the seconds of
`loglikelihood`, which tokenises and scores all requests; imports, loading, metrics and writing are left out.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.htest_work import EXPORT_FOLDER


def main() -> None:
    """Evaluate once and report."""
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    options = parser.parse_args()

    class TimedModel(HFLM):
        """lm-eval's own model with a stopwatch."""

        seconds = 0.0

        def loglikelihood(self, *arguments: Any, **named: Any) -> Any:
            """Score requests."""
            start = time.perf_counter()
            found = super().loglikelihood(*arguments, **named)
            self.seconds += time.perf_counter() - start
            return found

    model = TimedModel(options.model, dtype="float32", device="cpu", batch_size=options.batch_size)
    manager = TaskManager(include_path=str(options.folder / EXPORT_FOLDER), include_defaults=False)
    simple_evaluate(model, tasks=[options.group], task_manager=manager, bootstrap_iters=0)
    print(json.dumps({"scoring_seconds": model.seconds, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
