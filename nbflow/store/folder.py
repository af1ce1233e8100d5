"""The store's own folder: made private, kept out of version control and backups, refused if others could write it."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from nbflow.errors import StoreError

__all__ = ["prepare", "sync"]

_FILES: Final = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# See https://bford.info/cachedir/\n",
}
_CURE = "set NBFLOW_STORE to a folder of your own"


def prepare(folder: Path) -> None:
    """Make the folder if it is not there, or check that it is safe to use.

    Raises:
        StoreError: It belongs to somebody else, or anybody could write it.
        OSError: It cannot be made.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(20, "a file stands in its way", str(folder))
    if found.st_uid != os.geteuid():
        raise StoreError(
            f"the store {folder} belongs to another user (number {found.st_uid}), who could change or delete results "
            f"while they are in use: {_CURE}, and take theirs over by `nbflow export` and `nbflow import`"
        )
    if found.st_mode & stat.S_IWOTH:
        raise StoreError(
            f"anybody could write the store {folder}, and change or delete results while they are in use: chmod o-w "
            f"it, or {_CURE}"
        )
    for name, text in _FILES.items():
        with suppress(FileExistsError), (folder / name).open("x") as file:  # "x" follows no link out of the folder
            file.write(text)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk itself."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
