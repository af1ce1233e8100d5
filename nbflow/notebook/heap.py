"""Mutable objects within reach of a cell's inputs: found by path, compared, put back in place.

A path is a name and the indices of members below it. Inputs of equal content have equal paths, so that
what a run did to an object can be done again to its twin in another kernel.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from nbflow.errors import UnstorableError
from nbflow.notebook.forms import Form, cast, form, members, same

__all__ = ["Change", "Heap", "Path", "at", "sharing"]

Path = tuple[Any, ...]
"""A name, then indices."""

_SNAPSHOT_LIMIT = 1 << 30  # bytes of arrays and frames that are copied so that an attempt can be undone


class Change(NamedTuple):
    """An object that no longer holds what it did."""

    path: Path
    obj: Any
    form: Form
    old: Any
    new: Any


class _Found(NamedTuple):
    path: Path
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
        room = _SNAPSHOT_LIMIT if keep else 0
        for path, obj, how in _reachable(roots, []):
            size = _size(obj) if how.big else 0
            content = how.take(obj) if how.put and size <= room and (keep or not how.big) else None
            room -= size if content is not None else 0
            mark = (known.get(id(obj)) or digest(obj), cast(obj)) if how.big else None
            self.found[id(obj)] = _Found(path, obj, how, content, mark)

    def changed(self, names: frozenset[str], *, comparable: bool = False) -> Iterator[Change]:
        """Each object below these names that holds something else by now.

        Args:
            names: Of what is looked at.
            comparable: Whether what has no content to compare is held to be as it was, instead of changed.

        Raises:
            UnstorableError: One was changed whose type cannot be changed in place.
        """
        for path, obj, how, old, mark in self.found.values():
            if path[0] not in names or (comparable and how.big and not isinstance(mark[0], bytes)):
                continue
            if not (self.digest(obj) != mark[0] if how.big else not same(old, how.take(obj))):
                continue
            if how.put is None or (mark and cast(obj) != mark[1]):
                raise UnstorableError(
                    f"{path[0]}: a {type(obj).__name__} was changed, and cannot be changed again in place"
                )
            yield Change(path, obj, how, old, how.take(obj))

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


def sharing(roots: Mapping[str, Any]) -> list[tuple[Path, Path]]:
    """Which paths below some names lead to an object that another path leads to as well."""
    shared: list[tuple[Path, Path]] = []
    for _ in _reachable(roots, shared):
        pass
    return shared


def _reachable(roots: Mapping[str, Any], shared: list[tuple[Path, Path]]) -> Iterator[tuple[Path, Any, Form]]:
    seen: dict[int, tuple[Path, Any]] = {}
    todo: list[tuple[Path, Any]] = [((name,), value) for name, value in reversed([*roots.items()])]
    while todo:
        path, obj = todo.pop()
        how = form(obj)
        below = members(obj) if how is not None or isinstance(obj, tuple) else []
        if how is None and not below:
            continue
        if id(obj) in seen:
            shared.append((seen[id(obj)][0], path))
            continue
        seen[id(obj)] = path, obj
        if how is not None:
            yield path, obj, how
        todo += [((*path, index), member) for index, member in reversed([*enumerate(below)])]


def at(namespace: Mapping[str, Any], path: Path) -> Any:
    """The object that a path leads to."""
    obj = namespace[path[0]]
    for index in path[1:]:
        obj = members(obj)[index]
    return obj


def _size(obj: Any) -> int:
    """Bytes of an array or a frame."""
    if hasattr(obj, "nbytes"):
        return int(obj.nbytes)
    usage = obj.memory_usage(deep=False) if hasattr(obj, "memory_usage") else 0
    return int(usage.sum() if hasattr(usage, "sum") else usage)
