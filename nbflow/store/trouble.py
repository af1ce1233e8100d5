"""What the operating system and SQLite say, in one line: what, where, what to do."""

import errno
import sqlite3
from pathlib import Path
from typing import Final

from nbflow.errors import StoreError

__all__ = ["CORRUPT", "REFUSALS", "code_of", "trouble"]

REFUSALS: Final = (sqlite3.Error, OSError, UnicodeDecodeError)
"""How a statement fails when the disk or the index is at fault; the last one where SQLite's own words are damaged."""

CORRUPT: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))

_ELSEWHERE = "set NBFLOW_STORE to a folder that you can write"
_FULL = ("the disk is full", "free some space, or run `nbflow clear`")
_DENIED = ("no permission", _ELSEWHERE)

_SYSTEM: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: ("the file system takes no file of that size", _ELSEWHERE),
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: ("it is read-only", _ELSEWHERE),
    errno.ENOTDIR: ("a file stands in its way", "move that file, or set NBFLOW_STORE to another folder"),
    errno.EEXIST: ("a file stands in its way", "move that file, or set NBFLOW_STORE to another folder"),
    errno.EISDIR: ("a folder stands in its way", "move that folder, or set NBFLOW_STORE to another one"),
    errno.EMFILE: ("too many files are open", "raise `ulimit -n`, or let go of some big values"),
}
_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: ("another process has kept its index busy for a minute", "end that process, or try again"),
    sqlite3.SQLITE_LOCKED: ("its index is in use", "try again"),
    sqlite3.SQLITE_READONLY: ("its index is read-only", _ELSEWHERE),
    sqlite3.SQLITE_CANTOPEN: ("its index cannot be opened", _ELSEWHERE),
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: ("its disk gives errors", "check that the disk is there and not full"),
}


def trouble(folder: Path, error: Exception) -> StoreError:
    """The error that a caller gets in place of another one's.

    Args:
        folder: The store.
        error: What happened, from `os` or `sqlite3`; a `StoreError` stays itself.
    """
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError):
        plain = error.strerror or str(error)
        what, cure = _SYSTEM.get(error.errno or 0, (plain, _ELSEWHERE))
    else:
        what, cure = _SQLITE.get(code_of(error), (str(error), "`nbflow clear --all` empties it"))
    return StoreError(f"the store {folder} cannot be used: {what}; {cure}")


def code_of(error: Exception) -> int:
    """SQLite's primary result code, 0 where there is none; text that is not UTF-8 is damage too."""
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode to UTF-8"):
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
