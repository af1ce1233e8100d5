"""Statements in branches and loops that tell what they have bound.

A name that holds, after a cell, the very object that it held before may have been bound to it again, or have been left
alone: a hit has to do the same. So behind each statement that binds such a name there comes a store of ours, which
costs some nanoseconds and no line.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator

from nbflow.keys.scopes import bound
from nbflow.notebook.names import Names

__all__ = ["mark_of", "tell", "told"]

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Place = tuple[list[ast.stmt], ast.stmt | None, set[str]]


def mark_of(step: str, name: str) -> str:
    """What is bound when a name has been bound; nobody else could write it."""
    return f"{step} {name}"


def told(body: list[ast.stmt], names: Names) -> frozenset[str]:
    """Names that may or may not be bound, and only by statements below the top level that can tell it."""
    unsure = names.binds - names.sure
    if not unsure:
        return frozenset()
    telling = Counter(name for *_, names_bound in _places(body) for name in names_bound)
    nodes = [node for statement in body for node in ast.walk(statement)]
    stores = Counter(name for node in nodes for name in bound(node))
    elsewhere = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    return frozenset(name for name in unsure if stores[name] == telling[name] and name not in elsewhere)


def tell(body: list[ast.stmt], names: frozenset[str], step: str) -> None:
    """Put the stores where these names have been bound; the body is changed in place."""
    for below, behind, here in [*_places(body)] if names else ():
        at = behind or below[0]
        line = at.end_lineno or at.lineno if isinstance(at, ast.Assign | ast.AnnAssign | ast.AugAssign) else at.lineno
        marks = [_mark(mark_of(step, name), line) for name in sorted(here & names)]
        index = below.index(behind) + 1 if behind is not None else 0
        below[index:index] = marks


def _mark(name: str, line: int) -> ast.stmt:
    place = {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}
    mark = ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None))
    for node in (mark, mark.targets[0], mark.value):
        vars(node).update(place)
    return mark


def _places(body: list[ast.stmt]) -> Iterator[_Place]:
    """Where names have been bound below the top level: among which statements, behind which one (None: first)."""
    todo: list[ast.AST] = [*body]
    while todo:
        node = todo.pop()
        if isinstance(node, _SCOPES):
            continue
        todo += [*getattr(node, "handlers", ()), *getattr(node, "cases", ())]
        for part in ("body", "orelse", "finalbody"):
            below: list[ast.stmt] = getattr(node, part, [])
            todo += below
            if part == "body" and (names := _entered(node)):
                yield below, None, names
            for each in below:
                if names := _bound(each):
                    yield below, each, names


def _entered(node: ast.AST) -> set[str]:
    """What is bound when the body of a statement is entered."""
    match node:
        case ast.For(target=target) | ast.AsyncFor(target=target):
            return _names([target])
        case ast.With(items=items) | ast.AsyncWith(items=items):
            return _names([item.optional_vars for item in items if item.optional_vars])
    return set()


def _bound(statement: ast.stmt) -> set[str]:
    """What is bound when a statement has been executed."""
    match statement:
        case ast.Assign(targets=targets):
            return _names(targets)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()):
            return _names([target])
        case ast.Import(names=several) | ast.ImportFrom(names=several):
            return set[str]().union(*map(bound, several))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return bound(statement)
    return set()


def _names(targets: Iterable[ast.expr]) -> set[str]:
    return {name for target in targets for node in ast.walk(target) for name in bound(node)}
