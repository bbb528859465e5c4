"""The first stage of a study: items are asked, replies are stored.

In: a study and whoever is asked. Out: replies, and under `runs/<run>/htest/replies/` one file for each condition, set
of items and task. `asking` says who is asked what, `answered` has one task answered and its files written, `stored`
reads them and counts what is missing. What is there is not asked again.
"""

from saelib.htest.stages.answered import ask_items
from saelib.htest.stages.asking import ask, ask_controls, ask_letter_geometry, ask_models
from saelib.htest.stages.questions import condition_of, forms_of, is_calibrated
from saelib.htest.stages.stored import (
    missing_prompts,
    missing_requests,
    replies_files,
    stored_count,
    stored_replies,
)

__all__ = [
    "ask",
    "ask_controls",
    "ask_items",
    "ask_letter_geometry",
    "ask_models",
    "condition_of",
    "forms_of",
    "is_calibrated",
    "missing_prompts",
    "missing_requests",
    "replies_files",
    "stored_count",
    "stored_replies",
]
