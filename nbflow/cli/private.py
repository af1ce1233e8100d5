"""A folder of this run alone: its kernel's sockets, its log. It goes when the run ends, however it ends.

Whoever is killed cannot tidy up, so each run removes what killed ones left. The lock on a folder tells who lives: the
kernel of the operating system sets it free with its holder.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp
from typing import Final

__all__ = ["private_folder"]

_PREFIX: Final = "nbflow-run-"
_YOUNG: Final = 60.0
"""Seconds in which a folder may not be locked yet."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder while the context lasts.

    Raises:
        OSError: There is no place for temporary files.
    """
    _sweep(Path(gettempdir()), time.time())
    folder = Path(mkdtemp(prefix=_PREFIX))
    held = _lock(folder)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _sweep(place: Path, now: float) -> None:
    """Remove the folders of runs that were killed."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or now - found.st_mtime < _YOUNG:
                continue
            held = _lock(folder)
            if held is not None:
                rmtree(folder, ignore_errors=True)
                os.close(held)


def _lock(folder: Path) -> int | None:
    """The folder, open and locked; None where somebody else has locked it, or there are no locks."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
