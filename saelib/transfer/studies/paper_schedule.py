"""The default run by the paper's schedule: `python -m saelib.transfer.studies.paper_schedule`, minutes on two cores.

In: the `tiny` preset. Out: `results/paper_schedule.parquet`, the run's evaluation table. The learning rate falls once,
at the end; weights that are kept before have not seen it. Transfers get half of scratch's tokens, beside a control from
random starts, as in the paper. Curves of both schedules side by side say what the schedule itself does to them.
"""

from saelib.results.provenance import write_table
from saelib.run.reading import read_table
from saelib.run.stored import REMEDY, RESULTS
from saelib.transfer.checks import Results
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.convergence import final_table
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.presets import checkpoint_grid
from saelib.transfer.studies.shared import tells_of, train_and_score

PLACE = RESULTS / "paper_schedule.parquet"
CHUNK = 64 * 256  # tokens, of `tiny`


def open_paper_schedule() -> Experiment:
    """`tiny` with copies alone, the checkpoints that fit the paper's schedule, and its shares of the steps."""
    return open_experiment(
        preset="tiny",
        run="paper-schedule",
        schedule="paper",
        l1_warm_up_share=0.05,
        starts=("copy",),
        scratch={"checkpoints": checkpoint_grid(CHUNK, 1, 8, 4)},
        transfer={"checkpoints": checkpoint_grid(CHUNK, 1, 8, 2)},
    )


def stored_paper_schedule(config: ExperimentConfig | None = None) -> Results | None:
    """The run's results, without those of single rows; None where they are not kept, or as `shared.read_kept`."""
    return Results(read_table(PLACE, remedy=REMEDY), None) if PLACE.is_file() and tells_of(config) else None


def main() -> None:
    """Train and score (what is finished is read back), and write the table."""
    results = train_and_score(open_paper_schedule())
    write_table(results.evaluation, PLACE)
    print(final_table(results, ("loss", "ce_score", "l0")).to_string(index=False))


if __name__ == "__main__":
    main()
