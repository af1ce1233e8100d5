"""The namespace around a cell's attempts: what it was before, how it is put back, what became of it."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from nbflow.errors import UnstorableError
from nbflow.notebook import ambient
from nbflow.notebook.forms import memory, own
from nbflow.notebook.freeze import Surroundings
from nbflow.notebook.heap import Content, Heap, altered, contents, memories
from nbflow.notebook.inputs import Inputs, cautious, ipythons, lent, users_names
from nbflow.notebook.interrupts import undisturbed
from nbflow.notebook.places import definitions, imports, places, unbinds
from nbflow.notebook.remake import registered, remember
from nbflow.notebook.restore import Recording
from nbflow.notebook.setters import Patches, globals_set, put_environment
from nbflow.notebook.tells import mark_of
from nbflow.notebook.transform import Cell
from nbflow.trace import Fact
from nbflow.world import rng

__all__ = ["Stage", "shared_digest"]

_MISSING = object()
_CONTAINERS = (list, dict, set, deque)  # what else a class holds belongs to libraries as often as not
_FEW = 10_000  # objects below the inputs: walking over so many takes some 5 ms


class Stage:
    """A namespace in which attempts are made.

    Args:
        cell: What is attempted.
        namespace: The user's globals.
        inputs: What is in the key.
        keep: Whether everything may have to be put back.
    """

    def __init__(self, cell: Cell, namespace: dict[str, Any], inputs: Inputs, *, keep: bool) -> None:
        self.cell, self.namespace = cell, namespace
        self.named, self.inputs = frozenset(inputs.names), frozenset(inputs.names) | inputs.reached
        self.before = users_names(namespace)
        self.lent = {name: namespace.get(name, _MISSING) for name in cell.names.binds if lent(name)}
        self.excused = self.before.keys() if inputs.options.key is not None else {*inputs.options.ignore}
        decided: frozenset[str] = frozenset().union(*cell.names.checks.values())
        names = [*sorted(self.inputs), *sorted(decided - self.inputs)]
        self.roots = {name: self.before[name] for name in names if name in self.before}
        known = {id(namespace[name]): digest for name, digest in inputs.digests.items() if name in namespace}
        self.heap = Heap(self.roots, cautious, known, keep=keep)
        self.doubtful = {name: inputs.now(name) for name in sorted(decided & self.before.keys())}
        self.touched: set[str] = set()
        self._now = inputs.now
        self._left: dict[str, bytes] = {}
        self._changed = False
        self.classes: dict[str, tuple[type, dict[str, Any], dict[str, list[Content]]]] = {}
        self.generic: dict[str, tuple[Any, list[Any]]] = {}
        self.sets = globals_set(self.roots.values(), namespace) - self.inputs
        self.patches = Patches([*cell.body, *cell.names.texts], namespace, inputs.modules)
        self.figures = _figures()
        self.random = rng.snapshot(unseeded=True) if keep else None
        self.settings = ambient.taken()
        self.environment = dict(os.environ) if keep else {}
        self.assigned: frozenset[str] = frozenset()

    def touch(self, names: Iterable[str]) -> None:
        """Before a read that finds a name either as it was before the cell, or bound meanwhile."""
        before = self.before
        self.touched |= {n for n in names if n in before and self.namespace.get(n, _MISSING) is before[n]}

    def made(self, name: str) -> None:
        """The statement of a class or a decorated function at the top of the cell has just run."""
        value = self.namespace.get(name)
        if isinstance(value, type):
            held = own(value)
            inner = {key: contents({key: each}) for key, each in held.items() if isinstance(each, _CONTAINERS)}
            self.classes[name] = value, held, inner
        elif value is not None:
            self.generic[name] = value, registered(value)

    def rollback(self) -> None:
        """Put everything back as it was before the cell.

        Raises:
            UnstorableError: An input cannot be put back. The names are.
        """
        with undisturbed():
            for name in [name for name in self.namespace if name not in self.before and not ipythons(name)]:
                del self.namespace[name]
            self.namespace.update(self.before)
            self.namespace.pop("__warningregistry__", None)  # a warning is shown by each attempt
            put_environment({name: self.environment.get(name) for name in self.assigned})
            ambient.make(ambient.changes(self.settings), undo=True)
            self.heap.rollback(self._read())
            if self.random is not None:
                rng.rewind(self.random)
        for number in _figures() - self.figures:
            sys.modules["matplotlib.pyplot"].close(number)
        self.assigned = frozenset()
        self.touched.clear()
        self.classes.clear()
        self.generic.clear()

    def facts(self) -> tuple[Fact, ...]:
        """What the run found out about names: reads that its text had left open, and which inputs are one object.

        The latter shows when an input is changed, or kept in an output. Where the objects below the inputs are very
        many, only the former counts.
        """
        found = [
            Fact("name", name, digest.hex())
            for name in self._decided()
            if isinstance(digest := self.doubtful.get(name), bytes)
        ]
        gone = unbinds(self.cell.body) - self.before.keys() - self.namespace.keys()
        found += [Fact("name", name, "") for name in sorted(gone)]  # was it bound and deleted, or never bound?
        found += [Fact("name", name, digest.hex()) for name, digest in sorted(self._left.items())]
        if self._changed or 1 < len(self.heap.found) <= _FEW:
            found.append(Fact("sharing", "what the inputs share", shared_digest(self.heap.sharing.below(self.inputs))))
        return tuple(found)

    def record(self, out: tuple[str, ...] | None, *, keyed: bool) -> tuple[Recording, Surroundings]:
        """What the attempt left behind in the namespace, and what of it need not be stored.

        Args:
            out: Only these names; None is all.
            keyed: Whether the inputs' values are in the key; if not, the user answers for those without content.

        Raises:
            UnstorableError: It read or changed something that a hit could not compare or change again.
        """
        for name in self._decided():
            if not isinstance(self.doubtful.get(name), bytes):
                raise UnstorableError(f"{name} was read, and has no content to compare; leave it out by --ignore")
        unmarked = self._unmarked()
        now, binds = users_names(self.namespace) | self._taken(), self.cell.names.binds
        unsure = binds - self.cell.names.sure - self.cell.told - self.inputs
        self._left = self._maybe_left(now, unsure if out is None else unsure.intersection(out))
        self._left |= {} if out is not None else self._set_to_the_same(now)
        bound = {name: value for name, value in now.items() if name in binds or self._rebound(name, value)}
        bound = {name: value for name, value in bound.items() if name not in unmarked and name not in self._left}
        deleted = [name for name in self.before if name not in now]
        if out is not None:
            if missing := [name for name in out if name not in bound and name not in self._left]:
                raise UnstorableError(f"--out {missing[0]}: the cell has not bound it")
            bound, deleted = {name: bound[name] for name in out if name in bound}, []
        read = self._read()
        alike = self.inputs - self.named if keyed else read
        changed = [(change.path, change.new) for change in self.heap.changed(read, alike)]
        self._changed = bool(changed)
        codes = places(self.cell.compiled())
        statements = definitions(self.cell.body, bound, codes)
        classes = self._changed_classes(statements)
        for name, statement in statements.items():
            remember(name, statement, bound[name], classes[name][0].values() if name in classes else ())
        remade = {id(bound[name]): name for name in statements if callable(bound[name])}
        remade = {key: name for key, name in remade.items() if not isinstance(bound[name], type)}
        for name, (value, known) in self.generic.items():
            more = {id(each) for each in registered(value)} - {*map(id, known)} - remade.keys()
            if name in statements and bound[name] is value and more:
                raise UnstorableError(f"{name}: a function was registered with it; do that in a cell of its own")
        inputs = {key: found for key, found in self.heap.found.items() if found.spot.name in read}
        around = Surroundings(
            self.namespace,
            self.before,
            {key: found.spot for key, found in inputs.items()},
            codes,
            {id(owner): found.obj for found in inputs.values() if (owner := memory(found.obj)) is not None},
            memories(bound),
            frozenset(statements),
            remade,
        )
        settings, patches = ambient.changes(self.settings), self.patches.made()
        loaded = imports([*self.cell.body, *self.cell.names.texts])
        return Recording(
            bound, deleted, changed, classes=classes, settings=settings, patches=patches, imports=loaded
        ), around

    def _decided(self) -> list[str]:
        """Names that turned out to be read, and count."""
        return [name for name in sorted(self.touched - self.named) if name not in self.excused]

    def _taken(self) -> dict[str, Any]:
        """What the cell has bound to names that IPython, or Python, had bound first, such as `open`."""
        found = {name: self.namespace[name] for name in self.lent if name in self.namespace}
        sure = self.cell.names.sure
        return {name: value for name, value in found.items() if name in sure or value is not self.lent[name]}

    def _read(self) -> frozenset[str]:
        """Names whose values the attempt may have changed or kept: whatever it did not read, it did not touch."""
        return self.inputs | self.touched

    def _unmarked(self) -> frozenset[str]:
        """Names that would have told it, had the cell bound them."""
        told, step = self.cell.told, self.cell.step
        return frozenset(name for name in told if self.namespace.pop(mark_of(step, name), _MISSING) is _MISSING)

    def _maybe_left(self, now: Mapping[str, Any], names: Iterable[str]) -> dict[str, bytes]:
        """Names that still hold what they did: the cell did not bind them, or bound them to the very same.

        Either way a hit has to find them holding that, and need do nothing. Gives the digest of what they hold.

        Raises:
            UnstorableError: One holds something without content to compare.
        """
        left: dict[str, bytes] = {}
        for name in names:
            if name not in self.before or now.get(name, _MISSING) is not self.before[name]:
                continue
            digest = self._now(name)
            if not isinstance(digest, bytes):
                raise UnstorableError(
                    f"{name} may or may not be bound, and holds nothing that could be compared; leave it out by --out"
                )
            left[name] = digest
        return left

    def _rebound(self, name: str, value: Any) -> bool:
        """Whether a name that the cell's text does not bind was bound by what it called.

        One that was bound before, is no input and was not simply set, is counted on or collected in: an effect, which
        a hit has not.
        """
        before = self.before.get(name, _MISSING)
        return before is _MISSING or (before is not value and (name in self.inputs or name in self.sets))

    def _set_to_the_same(self, now: Mapping[str, Any]) -> dict[str, bytes]:
        """Names that functions may have set to the very object that they held: the digests of what has one."""
        names = [name for name in self.sets & self.before.keys() if now.get(name, _MISSING) is self.before[name]]
        return {name: digest for name in names if isinstance(digest := self._now(name), bytes)}

    def _changed_classes(self, statements: Iterable[str]) -> dict[str, tuple[dict[str, Any], list[str]]]:
        changed: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for name in statements:
            if name not in self.classes or self.namespace.get(name) is not self.classes[name][0]:
                continue
            cls, held, inner = self.classes[name]
            now = own(cls)
            new = {
                key: value
                for key, value in now.items()
                if held.get(key, _MISSING) is not value or altered(inner.get(key, ()))
            }
            gone = [key for key in held if key not in now]
            if new or gone:
                changed[name] = new, gone
        return changed


def shared_digest(shared: list[tuple[Any, ...]]) -> str:
    """Which paths below inputs lead to one object before a cell runs, as a fact has it."""
    return blake2b(repr(shared).encode(), digest_size=16).hexdigest()


def _figures() -> set[int]:
    managers = sys.modules.get("matplotlib._pylab_helpers")
    return set(managers.Gcf.figs) if managers else set()
