"""The store: its folder, its disk, its locks, its index, what lies about in it."""

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from nbflow.cli.checks.check import Check, fail, ok, warn
from nbflow.cli.tables import store
from nbflow.errors import StoreError
from nbflow.store import locate
from nbflow.store.mounts import network_mount
from nbflow.widget import plain

__all__ = ["checks"]

_ELSEWHERE: Final = "set NBFLOW_STORE to a folder of your own"
_LITTLE: Final = 1 << 30
_NOTHING: Final = 50 << 20
_SKEW: Final = 5.0
"""Seconds that two clocks may differ."""


def checks() -> Iterator[Check]:
    """All about the store of this folder."""
    folder = Path(os.path.realpath(locate()))
    there = folder.is_dir()
    yield from _folder(folder)
    yield from _disk(folder)
    if not there or not os.access(folder, os.W_OK):
        return
    yield from _locks(folder)
    sound = True
    for name in ("index/cache.db", "ledger.db"):
        if (folder / name).is_file():
            found = _database(folder / name)
            sound = sound and found.state == "ok"
            yield found
    if sound:
        yield from _content()


def _folder(folder: Path) -> Iterator[Check]:
    try:
        found = folder.stat()
    except FileNotFoundError:
        place = next(each for each in folder.parents if each.exists())
        if os.access(place, os.W_OK):
            yield ok("folder", f"{folder} is not there yet; it is made with the first result")
        else:
            yield fail("folder", f"{folder} cannot be made: {place} is not yours to write", _ELSEWHERE)
        return
    except OSError as error:
        yield fail("folder", f"{folder}: {error.strerror}", _ELSEWHERE)
        return
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        yield fail("folder", f"{folder} is a file", f"move that file, or {_ELSEWHERE}")
    elif found.st_uid != os.geteuid():
        yield fail("folder", f"{folder} belongs to another user (number {found.st_uid})", _ELSEWHERE)
    elif mode & stat.S_IWOTH:
        yield fail("folder", f"anybody can write {folder} ({mode:04o})", f"chmod 700 {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield fail("folder", f"{folder} cannot be written ({mode:04o})", f"chmod 700 {folder}, or {_ELSEWHERE}")
    elif mode & 0o077:
        yield warn("folder", f"others can look into {folder} ({mode:04o})", f"chmod 700 {folder}")
    else:
        yield ok("folder", f"{folder}, yours alone ({mode:04o})")


def _disk(folder: Path) -> Iterator[Check]:
    kind = network_mount(folder)
    if kind:
        todo = "set NBFLOW_STORE to a folder on a local disk, if there is one that lasts"
        yield warn("disk", f"a network mount ({kind}): values are read instead of mapped, which is slower", todo)
    else:
        yield ok("disk", "local")
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free, said = shutil.disk_usage(place).free, f"{plain.size(shutil.disk_usage(place).free)} free"
    if free < _NOTHING:
        yield fail("space", said, "free some space, or run `nbflow prune --max-size SIZE`")
    elif free < _LITTLE:
        yield warn("space", said, "free some space, or run `nbflow prune --max-size SIZE`")
    else:
        yield ok("space", said)


def _locks(folder: Path) -> Iterator[Check]:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            skew = os.fstat(file.fileno()).st_mtime - time.time()
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        todo = "one step may run twice at a time here; a folder on a local disk has locks: NBFLOW_STORE"
        yield warn("locks", f"no locks in {folder}: {error.strerror}", todo)
        return
    if abs(skew) > _SKEW:
        said = f"the disk's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        yield warn("clock", said, "set both clocks by NTP: changed files are told by their times")
    holders = _holders(folder / "locks")
    stopped = [process for process in holders if _is_stopped(process)]
    if stopped:
        those = " ".join(map(str, stopped))
        said = f"held by processes that are stopped: {those}; whoever needs the same results waits for them"
        yield warn("locks", said, f"kill -CONT {those} lets them go on; kill -KILL {those} ends them")
    else:
        busy = f"; held now by process {', '.join(map(str, holders))}" if holders else ""
        yield ok("locks", f"free of those who died{busy}")


def _holders(path: Path) -> list[int]:
    """Processes that hold a byte of the file: the kernel's list, empty where it has none to show."""
    try:
        inode, listed = path.stat().st_ino, Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return []
    lines = [line.split() for line in listed.splitlines()]
    return sorted(
        {int(line[4]) for line in lines if len(line) > 5 and line[5].endswith(f":{inode}") and int(line[4]) > 0}
    )


def _is_stopped(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


def _database(path: Path) -> Check:
    """SQLite's own check of the pages, by a connection that cannot write."""
    name = "index" if path.name == "cache.db" else "ledger"
    mended = "`nbflow ls` sets it aside and makes a new one from what is left"
    lost = "move it away to start anew: what jobs and effects had done is then not known"
    todo = mended if name == "index" else lost
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as link:
            found = [text for (text,) in link.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return fail(name, f"{path} cannot be read: {error}", todo)
    if found != ["ok"]:
        return fail(name, f"{path} is damaged: {plain.line(found[0], 120)}", todo)
    return ok(name, f"sound, {plain.size(path.stat().st_size)}")


def _content() -> Iterator[Check]:
    try:
        where = store()
        full, left, owners = where.stats(), where.leftovers(), where.owners()
    except StoreError as error:
        yield fail("results", str(error), "see above")
        return
    said = f"{plain.spell_count(full.entries, 'result')}, {plain.size(full.size)} of {plain.size(full.max_size)}"
    yield ok("results", said)
    foreign = sum(each.entries for each in owners if each.standing == "not trusted")
    if foreign:
        said = f"{plain.spell_count(foreign, 'result')} sealed with keys that are not trusted: misses"
        yield warn("seals", said, "`nbflow trust KEYFILE` with the key file of whoever made them, or `nbflow clear`")
    newest = max((each.newest for each in full.tasks), default=0.0) - time.time()
    if newest > 60:
        said = f"the newest result was made {plain.spell_count(round(newest / 60), 'minute')} from now"
        yield warn("clock", said, "set this machine's clock by NTP: results expire by it")
    for kind, files, todo in (
        ("quarantine", left.quarantine, "nothing: they were damaged, were computed again, and go after a week"),
        ("orphans", left.orphans, "`nbflow verify --repair` deletes what killed processes left"),
    ):
        if files:
            size = plain.size(sum(size for _, size in files))
            yield warn(kind, f"{plain.spell_count(len(files), 'file')}, {size}", todo)
