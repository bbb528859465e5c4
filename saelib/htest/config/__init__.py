"""The config of an H-Test run: which models are asked what, how often, and how.

In: a preset's name and overrides. Out: an `HTestConfig` (`fields`), which holds the recipe of fine-tuning
(`fine_tuning`); what its values may be say `kinds`, who its names mean `names`, and `presets` has those of the kit.
"""

from saelib.htest.config.fields import HTestConfig
from saelib.htest.config.fine_tuning import FineTuning
from saelib.htest.config.names import API, CONTROL, FAMILIES, PARSER, TUNED, UNTRAINED, expand
from saelib.htest.config.presets import PRESETS, resolve_htest_config

__all__ = [
    "API",
    "CONTROL",
    "FAMILIES",
    "PARSER",
    "PRESETS",
    "TUNED",
    "UNTRAINED",
    "FineTuning",
    "HTestConfig",
    "expand",
    "resolve_htest_config",
]
