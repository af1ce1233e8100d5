"""One look at one run: what it touched, in order, and the facts that this makes.

Contents are read when facts are asked for, not while the run goes on, but for a file that the run read and is about
to overwrite: what it depended on is about to be lost. A file that somebody else changes meanwhile gets a digest that
never holds.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109, PTH111, PTH117

import os
from collections.abc import Iterable
from stat import S_ISDIR
from typing import Any, Self

from nbflow.trace import Fact
from nbflow.world import environ, files, listings, probes, readers, rng
from nbflow.world.current import Witness, current, running
from nbflow.world.notes import Notes, Read, Written, facts_of, here, made
from nbflow.world.paths import absolute, excluded, subject_of

__all__ = ["Sight", "Stretches", "may_name"]

_LONG = 1024
_MANY = 1000
_NAMELESS = frozenset({type(None), bool, int, float, complex})


class Sight:
    """Sees what the code inside a `with` block touches, in its own threads and coroutines too.

    A sight is used once. Its methods beside `facts`, `touched`, `state` and `mention` are for the hook.
    """

    __slots__ = ("_before", "_facts", "_notes", "_outer", "_random", "chain")

    again = False
    """Whether it was left before, and is entered again."""

    def __init__(self) -> None:
        self._outer: Witness | None = None
        self._notes: Notes | None = None
        self._facts: tuple[Fact, ...] | None = None
        self._before: rng.Before | None = None
        self._random: tuple[tuple[Fact, ...], rng.State] = (), {}
        self.chain: tuple[Sight, ...] = ()

    def __enter__(self) -> Self:
        self._open()
        self._before = rng.before()
        return self

    def _open(self) -> None:
        self._outer = outer = current.get()
        self.chain = (self,) if outer is None else (self, *outer.chain)
        running[self] = None
        current.set(self)
        environ.arm()
        probes.arm()
        readers.arm()

    def __exit__(self, *_: object) -> None:
        """Close it, also if it is half open, or was half closed: an interrupt may come between any two lines."""
        running.pop(self, None)
        if current.get() is self:
            current.set(self._outer)
        if self.chain[:1] == (self,):  # or it would hold itself
            self.chain = self.chain[1:]
        if not running:
            environ.disarm()
            probes.disarm()
        self._random = rng.changed(self._before)

    def may_seed(self) -> None:
        """The code of the run speaks of seeding."""
        if self._before is not None:
            self._before.set.add("numpy.random")

    def seeds(self, function: object) -> None:
        """The code of the run is about to call this function with a number, which may seed numpy's generator."""
        rng.seeds(self._before, function)

    @property
    def state(self) -> rng.State:
        """Where the run left the seeded generators that it drew from, for `rng.restore` on a hit; often empty."""
        return self._random[1]

    @property
    def assigned(self) -> frozenset[str]:
        """Environment variables that the run set itself, not by importing something that sets them."""
        return frozenset() if self._notes is None else frozenset(self._notes.assigned)

    @property
    def touched(self) -> frozenset[str]:
        """What the run reached: of `network`, `database`, `child process`, `files` (it wrote or removed one)."""
        notes = self._notes
        if notes is None:
            return frozenset()
        kinds = set(notes.touched)
        left = (*notes.writes, *notes.updated, *(path for path in tuple(notes.mentions) if made(notes, path)))
        if any(map(os.path.lexists, left)):
            kinds.add("files")
        return frozenset(kinds)

    def facts(self) -> tuple[Fact, ...]:
        """What the run was seen to depend on, cheapest to verify first. Reads each file once."""
        if self._notes is None:
            return self._random[0]
        if self._facts is None:
            self._facts = tuple(facts_of(self._notes, self._random[0]))
        return self._facts

    def trace(self) -> tuple[Fact, ...]:
        """The facts, and what was touched as facts that always hold: a hit hands both on to the steps around it."""
        if self._notes is None:
            return self._random[0]
        return (*(Fact("touched", kind, "") for kind in sorted(self.touched)), *self.facts())

    def mention(self, candidates: Iterable[object]) -> None:
        """Count values that name files, such as string constants and inputs, before they are used.

        Those that name no file, or that the run is seen to open by itself, change nothing. Containers are looked
        into, but not where they hold so much that it could hardly all be names of files.
        """
        todo, left = [*candidates], _MANY  # containers hold each other, and themselves: so many members in all
        while todo:
            value = todo.pop()
            if type(value) in _NAMELESS:
                continue
            try:
                if isinstance(value, dict):
                    value = (*value.values(),)
                if isinstance(value, (list, tuple, set, frozenset)):
                    if len(value) <= left:
                        left -= len(value) or 1
                        todo += value
                elif isinstance(value, (str, bytes, os.PathLike)):
                    self._mention(value)
            except Exception:  # noqa: BLE001, S112 - a class of the user's: what cannot be asked names nothing
                continue

    def _mention(self, value: "str | bytes | os.PathLike[Any]") -> None:
        named = os.fspath(value)
        if len(named) < _LONG and may_name(written := os.fsdecode(named)):
            notes = self.noted()
            written = os.path.expanduser(written)
            path = absolute(written, here())
            if path not in notes.mentions and not excluded(path):
                notes.mentions[path] = Read(subject_of(path, written, notes.base), files.status(path))

    # For the hook

    def noted(self) -> Notes:
        """The notes, begun if need be."""
        if self._notes is None:
            self._notes = Notes()
        return self._notes

    def touch(self, kind: str) -> None:
        """Something beyond files was reached."""
        self.noted().touched.add(kind)

    def adopt(self, facts: Iterable[Fact]) -> None:
        """Take on what a step inside this one depended on when it ran, and what it touched."""
        notes = self.noted()
        folder = here()
        for fact in facts:
            if fact.kind == "touched":
                notes.touched.add(fact.subject)
            elif fact.kind in {"file", "listing"} and folder != notes.base and not os.path.isabs(fact.subject):
                # Named from the folder that this run has changed to.
                subject = subject_of(absolute(fact.subject, folder), fact.subject, notes.base)
                slash = os.sep if fact.subject.endswith(os.sep) else ""
                notes.adopted.append(fact._replace(subject=subject + slash))
            else:
                notes.adopted.append(fact)

    def imported(self, module: str) -> None:
        """The user's code imports a top-level module for the first time."""
        self.noted().imports[module] = None

    def variable(self, name: str) -> None:
        """The user's code reads an environment variable."""
        notes = self.noted()
        if name not in notes.variables and name not in notes.set_here:
            notes.variables[name] = environ.fact(name)

    def sets(self, name: str, *, importing: bool = False) -> None:
        """The run sets an environment variable, or a module that it imports does; from now on it is no input."""
        notes = self.noted()
        notes.set_here.add(name)
        if not importing:
            notes.assigned.add(name)

    def moves(self) -> None:
        """The working directory is about to change: note where the run began."""
        self.noted()

    def reads(self, path: str, written: str) -> None:
        """A file is about to be opened for reading; it need not exist."""
        notes = self.noted()
        if path not in notes.reads and path not in notes.writes and not notes.scratched(path):
            notes.reads[path] = Read(subject_of(path, written, notes.base), files.status(path))

    def probes(self, path: str, written: str, *, whole: bool) -> None:
        """The user's code asks whether a path is there, or if whole, for its size or time.

        One that is not there yet may come about unseen: it is looked for again in the end.
        """
        notes = self.noted()
        if (path, whole) in notes.probes or path in notes.writes or notes.scratched(path):
            return
        subject = subject_of(path, written, notes.base)
        found = files.look(path, subject, whole=whole)
        notes.probes[path, whole] = found
        if not found.digest:
            notes.mentions.setdefault(path, Read(subject, None))

    def writes(self, path: str, written: str) -> None:
        """A file is about to be written whole, or a folder made: on a hit it has to be as it was left.

        What the run removes again never was, nor anything made by `tempfile`.
        """
        notes = self.noted()
        if path in notes.writes or notes.scratched(path):
            return
        found = files.status(path)
        if found is None or not S_ISDIR(found.st_mode):
            notes.settle(path)
            notes.writes[path] = Written(subject_of(path, written, notes.base), found is not None)

    def updates(self, path: str) -> None:
        """A file is about to be appended to, or changed in place: no fact."""
        notes = self.noted()
        if not notes.scratched(path):
            notes.settle(path)
            if path not in notes.writes:
                notes.updated.add(path)

    def ignores(self, path: str) -> None:
        """A database's own file: neither read nor written as a file."""
        self.noted().updated.discard(path)
        self.noted().mentions.pop(path, None)

    def renames(self, source: str, target: str, written: str) -> None:
        """A file or folder is about to be renamed, over the target if there is one."""
        notes = self.noted()
        moved, found = [source] if source in notes.writes else [], files.status(source)
        if found is not None and S_ISDIR(found.st_mode):
            moved += [path for path in notes.writes if path.startswith(source + os.sep)]
        for path in moved:
            old = notes.writes.pop(path)
            if old.existed:
                notes.touched.add("files")
            if path != source and not notes.scratched(target):
                subject = subject_of(target, written, notes.base) + path[len(source) :]
                notes.writes[target + path[len(source) :]] = Written(subject, existed=False)
        if notes.scratched(target):
            return
        self.writes(target, written)
        self.removes(source)

    def removes(self, path: str) -> None:
        """A file or folder is about to be removed."""
        notes = self.noted()
        notes.settle(path)
        made = notes.writes.pop(path, None)
        own = notes.scratched(path) or (made is not None and not made.existed)
        if not own and files.status(path) is not None:
            notes.touched.add("files")

    def scratches(self, path: str) -> None:
        """`tempfile` is about to make a file or a folder."""
        self.noted().scratch.add(path)

    def lists(self, path: str, written: str) -> None:
        """A folder is about to be listed."""
        notes = self.noted()
        if path not in notes.listings and path not in notes.writes and not notes.scratched(path):
            notes.listings[path] = listings.folder(path, subject_of(path, written, notes.base))

    def globs(self, path: str, written: str, *, recursive: bool, include_hidden: bool) -> None:
        """Paths that match a pattern are about to be looked for."""
        notes = self.noted()
        if path not in notes.listings and not notes.scratched(path):
            # Seen from the folder where the run began, as it will be when it is verified.
            subject = subject_of(path, written, notes.base)
            place = subject if notes.base == os.getcwd() else path
            found = listings.pattern(place, recursive=recursive, include_hidden=include_hidden)
            notes.listings[path] = found._replace(subject=subject)


class Stretches(Sight):
    """A sight of a run that goes on in stretches, as a generator's does: it is entered anew for each.

    What happens to random generators between the stretches counts as well: nobody can tell it apart.
    """

    __slots__ = ("again",)

    def __init__(self) -> None:
        super().__init__()
        self.again = False

    def __enter__(self) -> Self:
        if not self.again:
            return super().__enter__()
        self._open()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.again = True


def may_name(text: str) -> bool:
    """Whether a text looks like the name of a file."""
    return len(text) < _LONG and (os.sep in text or "." in text) and "\n" not in text and "\0" not in text
