"""One value on the walk of an encoder: a container whose members are being taken in, run by run."""

import marshal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nbflow.keys import plain
from nbflow.keys.nodes import Node, join

__all__ = ["NOWHERE", "Frame"]

NOWHERE = 1 << 60
_RUN = 1024  # members that are written by one call
_FEW = 4  # members among which large ones are looked for first, to spare a copy
_NAN = ...  # stands for every NaN of Python: their payloads cannot be told apart by ordinary means


class Frame:
    """A value whose members are being taken in, or that waits for the others of its circle.

    Attributes:
        index, low: When it was met, and the first met of those it leads back to, as in Tarjan's algorithm
            (https://doi.org/10.1137/0201010).
        circular: Whether a member has no digest yet because it leads back here.
        up: The highest place on the path that something below refers to by its level.
        at, start: The member at hand, and where its run begins.
        run: Its atoms stand for themselves, `(digest,)`, `(plain tuple,)` or a frame for other members.
        todo: Places in the run that are still empty.
    """

    __slots__ = (
        *("_end", "_members", "_ordered", "_parts", "_tag"),
        *("at", "circular", "index", "label", "low", "run", "start", "todo", "up", "value"),
    )

    def __init__(self, node: Node, value: object = None, index: int = 0, up: int = NOWHERE) -> None:
        self._tag, self._members, self._ordered, self.label = node
        self.value = value
        self.index = self.low = index
        self.up = up
        self.circular = False
        self.at = self.start = self._end = 0
        self.run: list[Any] = []
        self.todo: Iterator[int] = iter(())
        self._parts: list[bytes | list[Any]] = []  # the runs before; lists if members of a circle are among them

    def member(self, place: int) -> Any:
        """The member at a place of the run, which becomes the one at hand."""
        self.at = self.start + place
        return self._members[self.at]

    def step(self) -> str:
        """The member at hand, as a path is written."""
        return self.label(self._members, self.at) if self.at < len(self._members) else ""

    def more(self) -> bool:
        """End the run and begin another with its atoms; False if that was the last."""
        if self.run:
            self._parts.append(self.run if self.circular else self._written(self.run))
            self.run = []
        size = len(self._members)
        while self._end < size:
            self.start, self._end = self._end, min(self._end + _RUN, size) if self._ordered else size
            some = [*self._members[self.start : self._end]]
            blob = plain.dump(some) if self._ordered and not (len(some) <= _FEW and plain.has_large(some)) else None
            if blob is None:
                self._begin(some)
                return True
            self._parts.append(plain.pack(blob))
        self.at = size
        return False

    def _begin(self, some: Sequence[Any]) -> None:
        atoms, kinds = plain.ATOMS, {*map(type, some)}
        large = not kinds.isdisjoint(plain.TEXTS) and plain.has_large(some)
        if kinds <= atoms and not large:
            self.run = [each if each == each else _NAN for each in some]  # noqa: PLR0124 - a NaN
            return
        self.run = [(each if each == each else _NAN) if type(each) in atoms else None for each in some]  # noqa: PLR0124
        self.todo = iter(
            [at for at, each in enumerate(some) if type(each) not in atoms or (large and plain.is_large(each))]
        )

    def digest(self, resolve: Callable[["Frame"], bytes] | None = None) -> bytes:
        """Of tag and members, with what `resolve` says for those that have no digest yet."""
        return join(self._tag, [part if type(part) is bytes else self._resolved(part, resolve) for part in self._parts])

    def _resolved(self, run: Any, resolve: Any) -> bytes:
        return self._written([(resolve(each), None) if type(each) is Frame else each for each in run])

    def _written(self, run: list[Any]) -> bytes:
        if not self._ordered:
            run = sorted([marshal.dumps(each, 2) for each in run])
        return b"." + plain.pack(marshal.dumps(run, 2))
