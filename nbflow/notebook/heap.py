"""Mutable objects within reach of a cell's inputs: found by path, compared, put back in place.

A path is a name and the indices of members below it. Inputs of equal content have equal paths, so that
what a run did to an object can be done again to its twin in another kernel.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nbflow.errors import UnstorableError
from nbflow.notebook.forms import Form, cast, form, members, memory, same, start

__all__ = ["Change", "Content", "Finder", "Heap", "Path", "Spot", "altered", "below", "contents", "memories", "sharing"]

Path = tuple[Any, ...]
"""A name, then indices."""


class Spot(NamedTuple):
    """Where an object was found; its path is spelled only when asked for, since deep ones are long.

    Attributes:
        name: What it is below.
        member: Its index among the members of the object above.
        above: Where that is; None: the object is bound to the name itself.
    """

    name: str
    member: int = 0
    above: "Spot | None" = None

    @property
    def path(self) -> Path:
        """The name, and all indices down to the object."""
        indices, spot = [], self
        while spot.above is not None:
            indices.append(spot.member)
            spot = spot.above
        return self.name, *reversed(indices)


_SNAPSHOT_LIMIT = 1 << 30  # bytes of arrays and frames that are copied so that an attempt can be undone


class Change(NamedTuple):
    """An object that no longer holds what it did."""

    path: Path
    obj: Any
    form: Form
    old: Any
    new: Any


Content = tuple[Any, Form, Any]
"""An object, how to handle it, and what it held."""


class _Found(NamedTuple):
    spot: Spot
    obj: Any
    form: Form
    content: Any
    mark: Any


class Heap:
    """The mutable objects below some names, as they are now.

    Args:
        roots: The names and what they are bound to; an object below two of them belongs to the first.
        digest: Content of an object, for comparing only.
        known: Digests that are there already, by `id`.
        keep: Also copy the big contents (arrays, frames), for a rollback, up to 1 GiB.

    Attributes:
        found: The objects, by `id`.
        sharing: Which of them several paths lead to.
    """

    def __init__(
        self,
        roots: Mapping[str, Any],
        digest: Callable[[Any], Any],
        known: Mapping[int, Any],
        *,
        keep: bool,
    ) -> None:
        self.digest = digest
        self.found: dict[int, _Found] = {}
        self.sharing = Sharing()
        room = _SNAPSHOT_LIMIT if keep else 0
        for spot, obj, how in _reachable(roots, self.sharing):
            size = _size(obj) if how.big else 0
            content = how.take(obj) if how.put and size <= room and (keep or not how.big) else None
            room -= size if content is not None else 0
            mark = (known.get(id(obj)) or digest(obj), cast(obj)) if how.big else None
            self.found[id(obj)] = _Found(spot, obj, how, content, mark)

    def changed(self, names: frozenset[str], alike: frozenset[str] = frozenset()) -> Iterator[Change]:
        """Each object below these names that holds something else by now.

        Args:
            names: Of what is looked at.
            alike: Those below which what has no content to compare is held to be as it was, instead of changed.

        Raises:
            UnstorableError: One was changed whose type cannot be changed in place.
        """
        for spot, obj, how, old, mark in self.found.values():
            if spot.name not in names or (spot.name in alike and how.big and not isinstance(mark[0], bytes)):
                continue
            recast = mark is not None and cast(obj) != mark[1]
            if not (recast or (self.digest(obj) != mark[0] if how.big else not same(old, how.take(obj)))):
                continue
            if how.put is None or recast:
                raise UnstorableError(
                    f"{spot.name}: a {type(obj).__name__} was changed, and cannot be changed again in place: "
                    "change a copy"
                )
            yield Change(spot.path, obj, how, old, how.take(obj))

    def rollback(self, names: frozenset[str]) -> None:
        """Put back what the objects below these names held.

        Raises:
            UnstorableError: One cannot be put back, or was too large to be copied. Then nothing is put back.
        """
        changes = [*self.changed(names)]
        for path, obj, _, old, _ in changes:
            if old is None:
                raise UnstorableError(f"{path[0]}: a {type(obj).__name__} was changed, and is too large to be put back")
        for _, obj, how, old, _ in changes:
            assert how.put is not None
            how.put(obj, old)


def contents(values: Mapping[str, Any]) -> list[Content]:
    """What the mutable objects below some names hold, but for arrays, frames and the like."""
    return [(obj, how, how.take(obj)) for _, obj, how in _reachable(values) if how.put and not how.big]


def altered(held: Iterable[Content]) -> list[Content]:
    """Those that hold something else by now, with what they held."""
    return [each for each in held if not same(each[2], each[1].take(each[0]))]


def below(values: Mapping[str, Any]) -> Iterator[Any]:
    """The mutable objects below some names."""
    for _, obj, _ in _reachable(values):
        yield obj


class Sharing:
    """Which paths lead to an object that another path leads to as well, or to the same memory, when they are walked."""

    def __init__(self) -> None:
        self._again: list[tuple[Spot, Spot]] = []
        self._arrays: dict[int, list[tuple[Spot, int, Any]]] = {}

    def found(self, spot: Spot, obj: Any) -> None:
        """An object is seen for the first time."""
        if (owner := memory(obj)) is not None:
            self._arrays.setdefault(id(owner), []).append((spot, start(obj), obj.strides))

    def again(self, first: Spot, spot: Spot) -> None:
        """It is seen again."""
        self._again.append((first, spot))

    def below(self, names: Container[str]) -> list[tuple[Any, ...]]:
        """The paths below those of the names that were walked first, two by two.

        Arrays that lie in the same memory come with how far apart they start, in bytes, and their strides.
        """
        shared: list[tuple[Any, ...]] = [
            (first.path, spot.path) for first, spot in self._again if first.name in names and spot.name in names
        ]
        for group in self._arrays.values():
            (first, begin, strides), *others = group
            shared += [
                (first.path, spot.path, begins - begin, strides, others_strides)
                for spot, begins, others_strides in others
                if spot.name in names
            ]
        return shared


def sharing(roots: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What is shared below some names now."""
    shared = Sharing()
    for _ in _reachable(roots, shared):
        pass
    return shared.below(roots)


def memories(values: Mapping[str, Any]) -> frozenset[int]:
    """`id` of each array in whose memory more than one of the arrays below some names lie."""
    owners = Counter(id(owner) for _, obj, _ in _reachable(values) if (owner := memory(obj)) is not None)
    return frozenset(owner for owner, count in owners.items() if count > 1)


def _reachable(roots: Mapping[str, Any], shared: Sharing | None = None) -> Iterator[tuple[Spot, Any, Form]]:
    """Each mutable object once; `shared` is told of it, and where it was found again."""
    seen: dict[int, tuple[Spot, Any]] = {}
    todo: list[tuple[Spot, Any]] = [(Spot(name), value) for name, value in reversed([*roots.items()])]
    while todo:
        spot, obj = todo.pop()
        how = form(obj)
        inner = members(obj, how)
        if how is None and not inner:
            continue
        if id(obj) in seen:
            if shared is not None:
                shared.again(seen[id(obj)][0], spot)
            continue
        seen[id(obj)] = spot, obj
        if how is not None:
            if shared is not None:
                shared.found(spot, obj)
            yield spot, obj, how
        todo += [(Spot(spot.name, index, spot), member) for index, member in reversed([*enumerate(inner)])]


class Finder:
    """The objects that paths lead to, for as long as none of them changes.

    Args:
        namespace: Where paths begin.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self._known: dict[int, tuple[Any, list[Any]]] = {}

    def at(self, path: Path) -> Any:
        """The object that a path leads to."""
        obj = self.namespace[path[0]]
        for index in path[1:]:
            if id(obj) not in self._known:
                self._known[id(obj)] = obj, members(obj, form(obj))
            obj = self._known[id(obj)][1][index]
        return obj


def _size(obj: Any) -> int:
    """Bytes of an array or a frame."""
    if hasattr(obj, "nbytes"):
        return int(obj.nbytes)
    usage = obj.memory_usage(deep=False) if hasattr(obj, "memory_usage") else 0
    return int(usage.sum() if hasattr(usage, "sum") else usage)
