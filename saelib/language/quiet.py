"""How a library that loads a model is made to speak: errors that name the model, and no progress bar.

In: whatever is done with a model's files, as the body of a `with`. Out: its errors, as the kit says them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from saelib.language.hub import fetching
from saelib.language.saved import remedy_of


@contextmanager
def naming_model(source: str, what: str = "language model") -> Iterator[None]:
    """Have whatever is raised over the files of a model said by its name: each library has errors of its own.

    Raises:
        ValueError: in place of them all, but for memory that does not suffice and packages that are missing.
    """
    try:
        with nullcontext() if Path(source).is_dir() else fetching(f"{what} {source}"):
            yield
    except (MemoryError, torch.OutOfMemoryError, ImportError):
        raise
    except Exception as error:  # the library tokenizers raises nothing narrower
        said = " ".join(str(error).split())
        text = said if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {said}"
        raise ValueError(f"{what} {source} cannot be read ({text}); {remedy_of(source)}") from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Loading a model takes a moment; its bar would only fill the outputs of notebooks."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
