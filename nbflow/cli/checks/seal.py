"""The key that seals results."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nbflow.cli.checks.check import Check, fail, ok, warn
from nbflow.errors import StoreError
from nbflow.store import locate
from nbflow.store.seal import key_file, read_key

__all__ = ["checks"]

_PASSING = ("COLAB_RELEASE_TAG", "BINDER_SERVICE_HOST", "KUBERNETES_SERVICE_HOST")
"""Variables of machines whose home directories often do not last."""


def checks() -> Iterator[Check]:
    """All about the key. Nothing is made: it comes with the first result."""
    try:
        path = key_file(os.environ)
    except RuntimeError:
        yield fail("key", "there is no home directory to keep it in", "set HOME, or NBFLOW_STORE_KEY_FILE")
        return
    yield from _key(path)
    if path.is_relative_to(locate()):
        todo = "move it out, and point NBFLOW_STORE_KEY_FILE there"
        yield fail("key", "it lies in the store: whoever can read the store can forge results", todo)
    if not os.environ.get("NBFLOW_STORE_KEY_FILE") and any(name in os.environ for name in _PASSING):
        todo = "point NBFLOW_STORE_KEY_FILE at a file that lasts, or yesterday's results are misses"
        yield warn("key", "home directories often do not last on a machine like this one", todo)


def _key(path: Path) -> Iterator[Check]:
    try:
        mode, owner = stat.S_IMODE(path.stat().st_mode), path.stat().st_uid
        read_key(path)
    except FileNotFoundError:
        place = next(each for each in path.absolute().parents if each.exists())
        if os.access(place, os.W_OK):
            yield ok("key", f"{path} is not there yet; it is made with the first result")
        else:
            yield fail("key", f"{path} cannot be made", "point NBFLOW_STORE_KEY_FILE at a file that you can write")
    except StoreError as error:
        yield fail(
            "key", str(error), f"chmod 600 {path}, or delete it: a new one is made, and older results are misses"
        )
    except OSError as error:
        yield fail("key", f"{path} cannot be read: {error.strerror}", "point NBFLOW_STORE_KEY_FILE at your key")
    else:
        if owner not in {os.geteuid(), 0}:
            todo = "use a key of your own, or make sure that you trust whoever owns it"
            yield warn("key", f"{path} belongs to another user (number {owner})", todo)
        elif mode & 0o077:
            yield warn("key", f"others can read {path} ({mode:04o}), and so forge results", f"chmod 600 {path}")
        else:
            yield ok("key", f"{path}, yours alone ({mode:04o})")
