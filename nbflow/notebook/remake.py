"""Classes, decorated functions and the like are made again by running their statements, before anything is bound.

What a statement needs of the cell is made first, in the order of the cell, and lent to the namespace while it runs:
the body of a class looks names up there. What it changes on the way, such as a registry, was recorded with the rest;
so the change is undone, and what it prints is not shown.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from IPython import get_ipython

from nbflow.notebook.forms import form, own, same
from nbflow.notebook.heap import Content, altered, contents
from nbflow.notebook.interrupts import undisturbed
from nbflow.notebook.places import mentioned, targets

__all__ = ["Maker", "needs", "registered", "remember"]

_live: dict[str, tuple[bytes, type | None, dict[str, Any], list[Content]]] = {}
"""Name -> statement, class, what it held, and what that held: classes that are still as their statement made them."""


def needs(body: list[ast.stmt], statement: ast.stmt) -> set[str]:
    """Names that running a statement may read, by way of the cell's own functions and classes too."""
    defined = {name: each for each in body for name in targets(each) if not isinstance(each, ast.Assign)}
    found, todo = set[str](), mentioned(statement)
    while todo:
        found |= todo
        todo = set[str]().union(*(mentioned(defined[name]) for name in todo if name in defined)) - found
    return found


class Maker:
    """Runs the statements of one cell again.

    Args:
        body: The cell.
        namespace: The user's globals, in which nothing stays bound.
        run: Runs a statement with a namespace for what it binds.

    Attributes:
        made: All that there is by now: what was given, and what was made.
        fresh: The statements that had to be run, by name. A live class of the same text is kept, so that older
            instances stay its own.
    """

    def __init__(
        self, body: list[ast.stmt], namespace: dict[str, Any], run: Callable[[ast.stmt, dict[str, Any]], object]
    ) -> None:
        self.statements = {name: each for each in body for name in targets(each)}
        self.namespace, self.run = namespace, run
        self.made: dict[str, Any] = {}
        self.fresh: dict[str, ast.stmt] = {}

    def make(self, name: str, given: Mapping[str, Any]) -> None:
        """Make what a name is bound to, with more names given."""
        self.made.update(given)
        statement = self.statements[name]
        kept = _kept(self.namespace.get(name), name, statement)
        if kept is not None:
            self.made[name] = kept
            return
        held = contents(self.made)
        with _lent(self.namespace, self.made), _hushed():
            self.run(statement, self.made)
        self.fresh[name] = statement
        for obj, how, content in altered(held):
            if how.put is not None:
                how.put(obj, content)


@contextmanager
def _lent(namespace: dict[str, Any], names: Mapping[str, Any]) -> Iterator[None]:
    """A namespace with more names bound, for a while."""
    lent = dict(names)
    before = {name: namespace[name] for name in lent if name in namespace}
    try:
        namespace.update(lent)
        yield
    finally:
        with undisturbed():
            for name in lent:
                namespace.pop(name, None)
            namespace.update(before)


@contextmanager
def _hushed() -> Iterator[None]:
    """What is shown is not: the record has it. The objects stay, for widgets look at them while they are made."""
    shell = get_ipython()
    doors = [(sys.stdout, "write"), (sys.stderr, "write"), *([(shell.display_pub, "publish")] if shell else [])]
    doors = [(owner, name) for owner, name in doors if hasattr(owner, "__dict__")]
    before = [(owner, name, vars(owner).get(name)) for owner, name in doors]
    for owner, name in doors:
        setattr(owner, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for owner, name, held in before:
            if held is None:
                delattr(owner, name)
            else:
                setattr(owner, name, held)


def _kept(now: Any, name: str, statement: ast.stmt) -> type | None:
    text, live, held, inner = _live.get(name, (b"", None, {}, []))
    alike = live is not None and now is live and text == _text(statement) and same(held, own(live))
    return live if alike and not altered(inner) else None


def _text(statement: ast.stmt) -> bytes:
    return ast.dump(statement).encode()


def remember(name: str, statement: ast.stmt, value: Any, changed: Iterable[Any] = ()) -> None:
    """A class that a statement has just made: while it stays as it is, a hit keeps it.

    Not if the cell has put something into it, or changed it there, that its other names may hold too.
    """
    if isinstance(value, type) and not any(form(each) for each in changed if not isinstance(each, FunctionType)):
        _live[name] = _text(statement), value, own(value), contents(own(value))


def registered(function: Any) -> list[Any]:
    """What was registered with a generic function, as those of `functools.singledispatch` show it."""
    registry = getattr(function, "registry", None)
    return [*registry.values()] if isinstance(registry, Mapping) else []
