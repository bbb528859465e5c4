"""Whether results may be added to a run's folder `interpret/`: they have to be of the config that is noted there.

In: the folder, and where its config is noted. Out: nothing, or an error that names the remedy. Parts whose config is
gone may be of any.
"""

from pathlib import Path

from saelib.run.manifest import MANIFEST


def check_results_folder(folder: Path, config_path: Path) -> None:
    """Refuse a folder that cannot be one, or whose results nobody knows the config of.

    Raises:
        FileExistsError: it is a file; or parts are noted in it, and no config. The message says what may be deleted.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, and results go into a folder of that name: move the file away")
    noted = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
    if noted and not config_path.is_file():
        raise FileExistsError(
            f"{config_path} is gone, and nobody knows by which config the parts of {', '.join(noted)} beside it were "
            f"made: put it back, or delete {folder}, and all in it is made again: the SAEs stay"
        )
