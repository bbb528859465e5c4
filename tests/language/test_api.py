"""Models of an API open with a clear error where a key is missing, and an evaluation is taken up again."""

import subprocess
import sys

import pytest
from inspect_ai import Task
from inspect_ai.dataset import Sample

from saelib.language.api import open_api_model, run_eval_set
from saelib.run.files import PROJECT
from tests.helpers.asked import mock_model


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RuntimeError, match="^openai/gpt-4o: .*OPENAI_API_KEY.* in the environment.*keys are never"):
        open_api_model("openai/gpt-4o")


def test_a_missing_address_is_named(monkeypatch):
    monkeypatch.setenv("LOOPBACK_API_KEY", "key")
    monkeypatch.delenv("LOOPBACK_BASE_URL", raising=False)
    with pytest.raises(RuntimeError, match="LOOPBACK_BASE_URL"):
        open_api_model("openai-api/loopback/served-1")


def test_a_model_is_opened_without_a_request(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert str(open_api_model("openai/gpt-4o")) == "openai/gpt-4o"


def test_what_a_log_holds_is_not_asked_again(tmp_path):
    told: list[str] = []

    def task() -> Task:
        return Task(dataset=[Sample(id=str(n), input=f"question {n}") for n in (1, 2)], name="two", version="1")

    logs = run_eval_set(task(), mock_model(lambda prompt: "yes", told), tmp_path)
    assert len(logs) == 1
    assert logs[0].endswith(".eval")
    assert sorted(told) == ["question 1", "question 2"]
    again = run_eval_set(task(), mock_model(lambda prompt: "no", told), tmp_path)
    assert [log.removeprefix("file://") for log in again] == logs
    assert len(told) == 2


def test_requests_of_a_library_that_is_imported_later_are_counted():
    program = """
import importlib, sys, types
from saelib.language.metering import DOORS, metered
from saelib.language.request_budget import RequestBudget
missing = [library for library, *_ in DOORS if library not in sys.modules and importlib.util.find_spec(library)]
model = types.SimpleNamespace(api=types.SimpleNamespace(generate=None))
with metered(model, RequestBudget(1)):
    for library, owner, method in DOORS:
        if library in missing:
            getattr(getattr(importlib.import_module(library), owner), method).__wrapped__  # is counted
print(sorted(set(missing)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert "urllib3" in done.stdout
