"""Items with their prompts, mock models and logs, for the tests of the Inspect AI adapter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from saelib.htest.asking.prompts import Prompt, choose_shots, render
from saelib.htest.asking.replies import Condition
from saelib.htest.items.item import Item

COUNT = 10


def items_of(split: str = "test", count: int = COUNT, task: str = "uppercase") -> list[Item]:
    """Odd rows are A, even ones B."""
    return [
        Item(task, split, row, f'he said “{row}”  \\n', "BA"[row % 2], ("A", "B"), 3, "fresh-2")
        for row in range(1, count + 1)
    ]  # fmt: skip


def asked(model: str, k: int = 4, count: int = COUNT, **condition: Any) -> tuple[list[Item], list[Prompt], Condition]:
    """What `ask_api` and `make_task` take."""
    settings: dict[str, Any] = {"form": "chat", "temperature": 0.7} | condition
    stated = Condition(model=model, k=k, **settings)
    items = items_of(count=count)
    return items, render(items, choose_shots(items_of("dev", 50), k), stated.form), stated


def mock_model(say: Callable[[str], str], told: list[str] | None = None, **output: Any) -> Any:
    """Inspect's mock model; `say` gets the message it was sent, which is also added to `told`."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def reply(messages: Any, *_: Any) -> ModelOutput:
        (message,) = messages
        if told is not None:
            told.append(message.text)
        said = ModelOutput.from_content("mock-1", say(message.text))
        said.usage = ModelUsage(input_tokens=7, output_tokens=2, total_tokens=9)  # else it is counted by a download
        for name, value in output.items():
            setattr(said.choices[0], name, value)
        return said

    return get_model("mockllm/model", custom_outputs=reply)


def run_task(task: Any, model: Any, folder: Path, **options: Any) -> Any:
    """The log of one Inspect evaluation."""
    from inspect_ai import eval as evaluate

    (log,) = evaluate(task, model, log_dir=str(folder), display="none", ctl_server=False, **options)
    return log
