"""The presets whose results the repository keeps, all of them, and made-up ones that look like them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.main_table import main_lines
from saelib.htest.scoring.readings import readings_of
from saelib.htest.tasks import TASKS
from saelib.results.provenance import write_table
from saelib.run.files import write_json
from saelib.run.stored import RESULTS
from saelib.transfer.presets import resolve_config
from saelib.transfer.tables import Results
from tests.helpers.answers import noisy_replies, replies_of

KEPT_PRESETS = sorted(path.parent.name for path in RESULTS.glob("*/config.json"))


def kept_results(preset: str) -> Results:
    """How the SAEs of a preset that is kept were scored, by held-out row too."""
    return Results(*(pd.read_parquet(RESULTS / preset / f"{name}.parquet") for name in
                     ("evaluation", "evaluation_rows")))  # fmt: skip


def keep(folder: Path, results: Results, model: str, parameters: int, **htest: Any) -> None:
    """What the table of several models reads of a preset's results.

    Args:
        htest: of `made_scores`.
    """
    write_json(folder / "config.json", resolve_config(language_model=model).as_dict())
    model_values = {"parameters": parameters, "angular_distance": [[0, 0.2], [0.2, 0]]}
    write_json(folder / "values" / "10_language_model.json", {"values": model_values})
    assert results.rows is not None
    for name, table in {"evaluation": results.evaluation, "evaluation_rows": results.rows}.items():
        write_table(table, folder / f"{name}.parquet")
    keep_scores(folder, [model], **htest)


def keep_scores(folder: Path, models: Sequence[str], knowledge: float = 0.5, items: int = 8) -> dict[str, Any]:
    """Scores of models and a control on fresh and on released items; returns what 31_htest_accuracy records of them.

    Beside what the main table has stand fewer shots, and shots in another order.
    """
    usual: dict[str, Any] = {"form": "completion", "k": 50}
    replies = replies_of(lambda _: "A", items, TASKS, model="control:constant_a", k=0)
    for way in (usual, usual | {"k": 4}, usual | {"shuffle_seed": 1}):
        replies += [reply for model in models for reply in noisy_replies(knowledge, -1, items, model=model, **way)]
    fresh = accuracies_of(readings_of(replies))
    released = fresh.assign(item_set=OFFICIAL_SET, accuracy=fresh["accuracy"] - 1 / items)
    write_table(pd.concat([fresh, released], ignore_index=True), folder / "htest.parquet")
    main = released[(released["k"] != 4) & released["shuffle_seed"].isna()]
    accuracy = main[["model", "condition", "task", "reader"]].to_dict("records")
    values = {"item_set": OFFICIAL_SET, "models": [*models], "main": main_lines(main), "accuracy": accuracy}
    write_json(folder / "values" / "31_htest_accuracy.json", {"values": values})
    return values
