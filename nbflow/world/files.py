"""Facts about files: what was in them, told cheaply by when they last changed.

A digest is XXH3-128 of the content; its hint, `[size, mtime, ctime, inode, seen]` in bytes and nanoseconds, lets an
untouched file be trusted unread. The ctime catches a change that puts size and mtime back: nobody can set it.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109, PTH116, PTH123

import os
import time
from stat import S_ISDIR, S_ISREG

import xxhash

from nbflow.trace import Fact
from nbflow.world.current import unseen
from nbflow.world.paths import absolute

__all__ = ["DIRECTORY", "MARGIN", "UNSTABLE", "broken", "content", "fact", "look", "stamp", "status"]

MARGIN = 2_000_000_000
"""Nanoseconds that a change must be in the past for times to tell it from the next: FAT counts in 2 s.

A file whose ctime was younger when it was seen may have changed twice in one tick of its file system's clock, and is
read again, as after `touch` or a copy. Git calls such entries racily clean: https://git-scm.com/docs/racy-git.
"""

DIRECTORY = "directory"
"""The digest of a folder that a run made: all that counts is that it is there."""

PRESENT = "file"
"""The digest of a file that a run only asked after: all that counts is that it is there."""

UNSTABLE = "unstable"
"""The digest of a file that somebody else changed while the run read it: no file ever has it."""

_LOOK = "status "
_CHUNK = 1 << 20
_KEPT = 100_000
_read: dict[str, tuple[tuple[int, ...], str]] = {}  # what was read in this process, by the same rule


def status(path: str) -> os.stat_result | None:
    """What the system says of a path now, None if there is nothing.

    Safe in the audit hook: an error that a signal handler raised meanwhile, such as a timeout, is not
    mistaken for a missing file. One raised by `os.stat` itself has no frame below this one.
    """
    try:
        return os.stat(path)
    except (OSError, ValueError) as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise
        return None


def stamp(seen: os.stat_result) -> tuple[int, ...]:
    """What changes when a file's content does."""
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


def content(path: str, now: int | None = None) -> tuple[str, list[int]]:
    """Digest and hint of a file's content.

    Args:
        path: A regular file.
        now: The time in nanoseconds, by default the clock's.

    Raises:
        OSError: It cannot be read.
    """
    now = time.time_ns() if now is None else now
    known = _read.get(path)
    if known is not None and known[0] == stamp(os.stat(path)):
        return known[1], [*known[0], known[0][2] + MARGIN + 1]
    hasher = xxhash.xxh3_128()
    with unseen(), open(path, "rb", buffering=0) as file:
        seen = stamp(os.fstat(file.fileno()))
        chunk = bytearray(min(_CHUNK, seen[0] + 1))
        view = memoryview(chunk)
        while count := file.readinto(chunk):
            hasher.update(view[:count])
        settled = seen == stamp(os.fstat(file.fileno()))
    digest = hasher.hexdigest()
    if settled and seen[2] + MARGIN < now:
        if len(_read) >= _KEPT:
            _read.clear()
        _read[path] = seen, digest
    return digest, [*seen, now if settled else 0]


def fact(path: str, subject: str, now: int | None = None) -> Fact | None:
    """What a path is now: a file's content, a folder, nothing; None for pipes, devices and what cannot be read."""
    seen = status(path)
    if seen is None:
        return Fact("file", subject, "")
    if S_ISDIR(seen.st_mode):
        return Fact("file", subject, DIRECTORY)
    if not S_ISREG(seen.st_mode):
        return None
    try:
        digest, hint = content(path, now)
    except PermissionError:
        return None
    except OSError:
        return Fact("file", subject, UNSTABLE)
    return Fact("file", subject, digest, hint)


def look(path: str, subject: str, *, whole: bool) -> Fact:
    """What can be told of a path without opening it: whether it is there; if whole, also its size and time."""
    seen = status(path)
    return Fact("file", subject, "" if seen is None else _looks(seen, whole=whole))


def _looks(seen: os.stat_result, *, whole: bool) -> str:
    if whole:
        return f"{_LOOK}{seen.st_size} {seen.st_mtime_ns}"
    return DIRECTORY if S_ISDIR(seen.st_mode) else PRESENT


def broken(known: Fact) -> str | None:  # noqa: PLR0911 - each answer where it is found
    """Why a fact about a file no longer holds, None if it does. About 3 µs while its times stand still."""
    _, path, digest, hint = known
    try:
        now = os.stat(path)
    except (OSError, ValueError):
        return f"{path} is gone" if digest else None
    if hint is not None:
        size, mtime, ctime, inode, seen = hint
        if (
            ctime == now.st_ctime_ns
            and mtime == now.st_mtime_ns
            and size == now.st_size
            and inode == now.st_ino
            and ctime + MARGIN < seen
        ):
            return None
        if size != now.st_size:
            return f"{path} changed"
    if not digest:
        return f"{path} is there now"
    if digest in (DIRECTORY, PRESENT) or digest.startswith(_LOOK):
        return None if digest == _looks(now, whole=digest.startswith(_LOOK)) else f"{path} changed"
    if not S_ISREG(now.st_mode):
        return f"{path} changed"
    try:
        return None if content(absolute(path, os.getcwd()))[0] == digest else f"{path} changed"
    except OSError:
        return f"{path} cannot be read"
