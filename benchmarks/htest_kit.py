"""This kit on H-Test, as a process of its own: read items and model, ask, write the replies.

In: a work folder of `benchmarks.htest`. Out: `replies-<task>.jsonl` in it, and one line of JSON with the seconds that
asking took, tokenisation included, imports and loading left out.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.htest_work import ITEMS_FILE
from saelib.htest.asking.encoded import first_token_text
from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.asking.replies import Condition, make_replies, write_replies
from saelib.htest.engines.local import LocalEngine
from saelib.htest.items.item import Item, read_items, select
from saelib.language.loading import load_language_model


def ask(engine: LocalEngine, items: list[Item], task: str, condition: Condition, replies: Path) -> float:
    """Seconds for one task; the replies are written outside of them."""
    test = select(items, task, "test")
    prompts = render(test, choose_shots(select(items, task, "dev"), condition.k), condition.form)
    start = time.perf_counter()
    answers = engine(test, prompts, condition)
    seconds = time.perf_counter() - start
    write_replies(replies, make_replies(test, prompts, condition, answers))
    return seconds


def main() -> None:
    """Ask all tasks and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    options = parser.parse_args()
    items = read_items(options.folder / ITEMS_FILE)
    language_model = load_language_model(options.model, device="cpu")
    first = first_token_text(language_model.tokenizer)  # lm-eval lets the tokenizer put it, too
    condition = Condition(model=options.model, form="completion", k=options.k, max_tokens=0, first_token=first)
    engine = LocalEngine(language_model)
    seconds = [ask(engine, items, task, condition, options.folder / f"replies-{task}.jsonl") for task in options.tasks]
    print(json.dumps({"scoring_seconds": sum(seconds), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
