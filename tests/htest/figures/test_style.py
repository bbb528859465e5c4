"""Names in figures are short."""

from saelib.htest.figures.style import as_percent, shown_model, shown_task


def test_models_are_shown_by_short_names() -> None:
    names = {"EleutherAI/pythia-70m-deduped": "pythia-70m-deduped", "api:openai/gpt-4o": "gpt-4o",
             "control:constant_b": "constant B", "control:coin": "coin", "untrained:embedded": "untrained embedded",
             "embedded": "embedded"}  # fmt: skip
    assert {name: shown_model(name) for name in names} == names


def test_tasks_have_blanks_and_shares_are_percents() -> None:
    assert shown_task("end_punctuation") == "end punctuation"
    assert as_percent(0.5) == "50%"
