"""Which parquet files a data set on the Hugging Face Hub has.

In: its name, and a revision. Out: the commit that this is now, and the files of its train split in order. Without a
network the hub's cache says so, as far as it knows.
"""

import re
from functools import partial
from pathlib import Path

from saelib.language.hub import ask_hub, network_errors
from saelib.run.secrets import one_line

OF_HOW_MANY = re.compile(r"-of-(\d+)")  # train-00003-of-00089-....parquet


def training_files(name: str, revision: str | None) -> tuple[str, list[str]]:
    """Commit of a data set and its training files in order, from the hub or, without a network, from the cache.

    Raises:
        FileNotFoundError: no such data set in the cache or on the hub.
        ValueError: it has no parquet files, not all of them are known, or they belong to several data sets.
    """
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, IncompleteSnapshotError

    try:  # with the data set's card the list of all its files is fetched and kept
        folder = Path(
            ask_hub(
                f"data set {name}",
                partial(snapshot_download, name, repo_type="dataset", revision=revision, allow_patterns="README.md"),
            )
        )
    except IncompleteSnapshotError as error:  # offline, and the card was never fetched: the files may well be there
        folder = Path(error.snapshot_path)
    except network_errors() as error:
        raise FileNotFoundError(
            f"corpus {name!r} is neither 'docstrings' nor a file or folder of texts, and no data set of that name is "
            f"in the Hugging Face cache or can be fetched from the hub ({one_line(error)}); check the name, or run "
            f"`hf download {name} --repo-type dataset` where there is a network, or give the path of a text"
        ) from error
    try:
        paths = [file.path for file in get_cached_repo_tree(name, repo_type="dataset", revision=folder.name)]
    except CachedRepoTreeNotFoundError:  # a cache that something else has filled
        paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return folder.name, _of_train_split(name, paths)


def _of_train_split(name: str, paths: list[str]) -> list[str]:
    """The parquet files of the train split, or all of them where none is called so.

    Raises:
        ValueError: there is none, some of a numbered series are missing, or they belong to several data sets.
    """
    parquet = sorted(path for path in paths if path.endswith(".parquet"))
    files = [path for path in parquet if "train" in path] or parquet
    if not files:
        raise ValueError(
            f"data set {name} has no parquet files; the hub keeps a parquet copy of most: "
            f"try {name}@refs/convert/parquet"
        )
    folders = sorted({path.rpartition("/")[0] for path in files})
    if len(folders) > 1:
        raise ValueError(f"data set {name} has several configurations ({', '.join(folders)}); only one is supported")
    series = OF_HOW_MANY.search(files[0])
    if series and int(series[1]) != len(files):
        raise ValueError(
            f"the cache holds {len(files)} of {series[1]} files of data set {name} and no list of them; "
            "run once where there is a network"
        )
    return files
