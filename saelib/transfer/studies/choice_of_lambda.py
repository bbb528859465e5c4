"""How lambda and the learning rate of `tiny` were chosen: `python -m saelib.transfer.studies.choice_of_lambda`.

In: the preset, and a few values of each. Out: `results/choice_of_lambda.csv`, one row for each trial: how sparse, how
good, and how far an untransferred neighbour is behind, which is the room that a transfer has to show anything.
"""

import pandas as pd

from saelib.run.files import write_atomically
from saelib.run.reading import read_csv
from saelib.run.stored import REMEDY, RESULTS
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.presets import PRESETS
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.studies.shared import tells_of

TRIALS = ((3.0, 3e-3), (10.0, 3e-3), (30.0, 3e-3), (10.0, 1e-3))  # lambda and learning rate


PLACE = RESULTS / "choice_of_lambda.csv"
CHOICE_COLUMNS = ("l1_coefficient", "learning_rate", "tokens", "ce_score", "zero_shot_ce_score", "l0", "mse")


def stored_trials(config: ExperimentConfig | None = None) -> pd.DataFrame:
    """The trials from which the `tiny` preset's lambda and learning rate were chosen; empty as `shared.read_kept`.

    Raises:
        DamagedFileError: the file is no table.
    """
    if not (PLACE.is_file() and tells_of(config)):
        return pd.DataFrame(columns=list(CHOICE_COLUMNS), dtype=float)
    return read_csv(PLACE, REMEDY)


def open_trial(l1_coefficient: float, learning_rate: float) -> Experiment:
    """The scratch phase of `tiny` with one SAE for each layer, scored at its end only."""
    phase = {"checkpoints": (0, PRESETS["tiny"].scratch.tokens), "learning_rate": learning_rate}
    return open_experiment(
        preset="tiny",
        run=f"choice-{l1_coefficient:g}-{learning_rate:g}",
        sae_seeds=1,
        l1_coefficient=l1_coefficient,
        scratch=phase,
        transfer=phase,
    )


def trial(l1_coefficient: float, learning_rate: float) -> dict[str, float]:
    """Train and score one trial: means over layers, and over neighbouring layers for `zero_shot_ce_score`."""
    experiment = open_trial(l1_coefficient, learning_rate)
    train_phase(experiment, "scratch")
    scores = evaluate_phase(experiment, "scratch")
    final = scores[scores["tokens"] == scores["tokens"].max()]
    zero_shot = evaluate_zero_shot(experiment)
    neighbours = zero_shot[(zero_shot["sae_layer"] - zero_shot["act_layer"]).abs() == 1]
    return {
        "l1_coefficient": l1_coefficient,
        "learning_rate": learning_rate,
        "tokens": experiment.config.scratch.tokens,
        "zero_shot_ce_score": neighbours["ce_score"].mean(),
        **final[["ce_score", "mse", "l0", "explained_variance", "dead_latents"]].mean().to_dict(),
    }


def main() -> None:
    """Run all trials (finished ones are read back) and write the table."""
    table = pd.DataFrame([trial(*values) for values in TRIALS])[[*CHOICE_COLUMNS, "dead_latents"]].round(4)
    write_atomically(PLACE, lambda path: table.to_csv(path, index=False))
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
