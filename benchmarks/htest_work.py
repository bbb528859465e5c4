"""What both sides of the H-Test comparison read and write, and how a process is timed.

Read by both environments, so this module imports nothing of the kit and nothing of a peer.
"""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
ITEMS_FILE, EXPORT_FOLDER = "items.jsonl", "export"
# Nothing may look for a hub or a dashboard while it is timed; threads that wait sleep, so that a neighbour on the
# machine slows neither side many times over.
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false",
         "PYTHONWARNINGS": "ignore", "OMP_WAIT_POLICY": "passive"}  # fmt: skip

LogProbabilities = dict[str, list[float]]  # by item, those of its answers


class Process(NamedTuple):
    """What a program needed as a whole, from its start to its end."""

    seconds: float
    peak_memory_mb: int
    output: str


def run_process(command: Sequence[str | Path], folder: Path, **environment: str) -> Process:
    """Run a program and wait for it.

    Args:
        folder: where what it writes to its standard output and error is kept.

    Raises:
        RuntimeError: it failed; the message holds the end of what it wrote.
    """
    words = [str(word) for word in command]
    output, errors = folder / "stdout.txt", folder / "stderr.txt"
    with output.open("w") as out, errors.open("w") as err:
        start = time.perf_counter()
        started = subprocess.Popen(words, cwd=PROJECT, env=os.environ | QUIET | environment, stdout=out, stderr=err)
        _, status, usage = os.wait4(started.pid, 0)  # the one way to the peak memory of this child alone
        seconds = time.perf_counter() - start
        started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{errors.read_text(encoding='utf-8')[-3000:]}")
    return Process(seconds, round(usage.ru_maxrss / 1024), output.read_text(encoding="utf-8"))


def last_line(process: Process) -> dict[str, Any]:
    """The JSON that a program printed last."""
    return dict(json.loads(process.output.splitlines()[-1]))


def lm_eval_command(
    python: Path, model: Path, export: Path, group: str, batch_size: int, results: Path
) -> list[str | Path]:
    """`lm_eval` as its users start it, on a CPU in float32."""
    return [
        python.parent / "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32",
        "--device", "cpu", "--include_path", export, "--tasks", group, "--batch_size", str(batch_size),
        "--log_samples", "--output_path", results,
    ]  # fmt: skip


def read_samples(results: Path) -> LogProbabilities:
    """Log-probabilities that `lm_eval --log_samples` wrote.

    Raises:
        FileNotFoundError: it wrote none.
    """
    files = sorted(results.rglob("samples_*.jsonl"))
    if not files:
        raise FileNotFoundError(f"lm_eval wrote no samples to {results}")
    samples = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {
        sample["doc"]["key"]: [float(value) for value, _ in sample["filtered_resps"]] for sample in samples
    }  # fmt: skip


def largest_difference(ours: LogProbabilities, theirs: LogProbabilities) -> float:
    """Between any two log-probabilities of the same item and answer.

    Raises:
        ValueError: the items are not the same ones.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"{len(ours.keys() ^ theirs.keys())} items are on one side only")
    pairs = (pair for key, values in ours.items() for pair in zip(values, theirs[key], strict=True))
    return max(abs(one - other) for one, other in pairs)
