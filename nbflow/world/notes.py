"""What a run was seen to do, and the facts that this makes once they are asked for."""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109, PTH120

import os
from collections.abc import Iterable
from itertools import chain
from stat import S_ISREG
from typing import NamedTuple

from nbflow.trace import Fact
from nbflow.world import files, versions
from nbflow.world.paths import absolute

__all__ = ["Notes", "Read", "Written", "facts_of", "here", "made"]


class Read(NamedTuple):
    """A path that was read or named: how it is called, its status then, and its fact where it was read anew."""

    subject: str
    seen: os.stat_result | None
    settled: Fact | None = None


class Written(NamedTuple):
    """A path that was written whole: how it is called, and whether it was there before."""

    subject: str
    existed: bool


class Notes:
    """What a sight has seen; made at the first thing that it sees, so that one that sees nothing is cheap."""

    def __init__(self) -> None:
        self.base = here()
        self.adopted: list[Fact] = []
        self.assigned: set[str] = set()
        self.imports: dict[str, None] = {}
        self.listings: dict[str, Fact] = {}
        self.mentions: dict[str, Read] = {}
        self.probes: dict[tuple[str, bool], Fact] = {}
        self.reads: dict[str, Read] = {}
        self.scratch: set[str] = set()
        self.set_here: set[str] = set()
        self.touched: set[str] = set()
        self.updated: set[str] = set()
        self.variables: dict[str, Fact] = {}
        self.writes: dict[str, Written] = {}

    def scratched(self, path: str) -> bool:
        """Whether a path is a temporary file of this run, or in a temporary folder of its own."""
        while self.scratch and path not in self.scratch:  # upwards, for there may be a thousand of them
            path, below = os.path.dirname(path), path
            if path == below:
                return False
        return bool(self.scratch)

    def settle(self, path: str) -> None:
        """Read a file that was seen read, before it is lost."""
        read = self.reads.get(path)
        if read is not None and read.settled is None and read.seen is not None:
            self.reads[path] = read._replace(settled=_settled(path, read))


def facts_of(notes: Notes, drawn: tuple[Fact, ...]) -> Iterable[Fact]:
    """The facts, cheapest to verify first; `drawn` are those of the random generators."""
    found = [*tuple(notes.variables.values()), *drawn]
    found += chain.from_iterable(map(versions.facts, tuple(notes.imports)))
    found += tuple(notes.listings.values())
    for path, read in tuple(notes.reads.items()):
        # Of a log that the run added to itself, what was there before is part of what is there now.
        fact = files.fact(path, read.subject) if path in notes.updated and not read.settled else None
        fact = fact or read.settled or _settled(path, read)
        if fact is not None:
            found.append(fact)
    found += _answers(notes)
    for path, mention in tuple(notes.mentions.items()):
        known = path in notes.reads or path in notes.writes or path in notes.updated or notes.scratched(path)
        seen = files.status(path)
        if not known and seen is not None and S_ISREG(seen.st_mode):
            fact = files.fact(path, mention.subject)
            found += [fact] if fact is not None else []
    for path, written in tuple(notes.writes.items()):
        fact = files.fact(path, written.subject)
        if fact is not None and fact.digest:
            found.append(fact)
    for fact in notes.adopted:
        if fact.kind == "random" or (fact.kind == "environment" and fact.subject in notes.set_here):
            continue
        if fact.kind == "file" and absolute(fact.subject, notes.base) in notes.writes:
            continue
        found.append(fact)
    return {fact[:3]: fact for fact in reversed(found)}.values().__reversed__()


def _answers(notes: Notes) -> list[Fact]:
    """What the run was told of paths that it asked after; what it changed itself says nothing of how it was."""
    return [
        fact
        for (path, whole), fact in tuple(notes.probes.items())
        if not (path in notes.writes or path in notes.updated) and fact == files.look(path, fact.subject, whole=whole)
    ]


def _settled(path: str, read: Read) -> Fact | None:
    """A file as the run read it; one that changed since is known by nothing that could be told."""
    now = files.status(path)
    if read.seen is None:
        return Fact("file", read.subject, "")
    if now is None or files.stamp(now) != files.stamp(read.seen):
        return Fact("file", read.subject, files.UNSTABLE)
    return files.fact(path, read.subject)


def here() -> str:
    """The working directory."""
    try:
        return os.getcwd()
    except OSError:  # the folder was removed
        return os.sep


def made(notes: Notes, path: str) -> bool:
    """Whether a file that was only mentioned came about or changed in the run: something wrote it unseen."""
    if path in notes.reads or path in notes.writes or path in notes.updated or notes.scratched(path):
        return False
    then, now = notes.mentions[path].seen, files.status(path)
    if now is None or not S_ISREG(now.st_mode):
        return False
    return then is None or files.stamp(then) != files.stamp(now)
