"""Facts about listings: the names in a folder, or the paths that match a pattern.

A pattern is a fact of its own, so that a step which reads `*.csv` does not mind a new plot beside them.
The hint tells the two apart: `[mtime, ctime, inode, seen]` of a folder, whose times change with its
names, and `[recursive, hidden]` of a pattern. Order never counts: the system's is arbitrary.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH100, PTH109, PTH116, PTH206, PTH207, PTH208

import glob
import os
import time
from collections.abc import Iterable
from hashlib import blake2b

from nbflow.trace import Fact
from nbflow.world.current import unseen
from nbflow.world.files import MARGIN
from nbflow.world.paths import absolute, hidden, own

__all__ = ["broken", "folder", "pattern"]


def folder(path: str, subject: str, now: int | None = None) -> Fact:
    """What is in a folder; a digest of `""` if it cannot be listed."""
    now = time.time_ns() if now is None else now
    label = subject.rstrip("/") + "/"
    try:
        seen = os.stat(path)
        with unseen():
            names = os.listdir(path)
    except (OSError, ValueError):
        return Fact("listing", label, "")
    return Fact(
        "listing", label, _digest(names, os.path.abspath(path)), [seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, now]
    )


def pattern(subject: str, *, recursive: bool, include_hidden: bool) -> Fact:
    """Which paths match a pattern of `glob.glob`."""
    with unseen():
        found = glob.glob(subject, recursive=recursive, include_hidden=include_hidden)
    return Fact("listing", subject, _digest(found, os.getcwd()), [recursive, include_hidden])


def broken(known: Fact) -> str | None:
    """Why a listing is no longer as it was, None if it is."""
    _, subject, digest, hint = known
    if hint is not None and len(hint) == 2:
        now = pattern(subject, recursive=bool(hint[0]), include_hidden=bool(hint[1]))
    else:
        if hint is not None:
            mtime, ctime, inode, when = hint
            try:
                seen = os.stat(subject)
            except (OSError, ValueError):
                return f"{subject} is gone"
            if (mtime, ctime, inode) == (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino) and ctime + MARGIN < when:
                return None
        now = folder(subject, subject)
    if now.digest == digest:
        return None
    return f"the listing of {subject} changed" if now.digest else f"{subject} is gone"


def _digest(names: Iterable[str], base: str) -> str:
    """Of names as they are seen from a folder, but for those of our own."""
    kept = sorted(
        os.fsencode(name)
        for name in names
        if not (hidden.intersection(name.split(os.sep)) or own(absolute(name, base)))
    )
    return blake2b(b"\0".join(kept), digest_size=16).hexdigest()
