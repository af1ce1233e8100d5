"""Where in a cell's code a function or a class was made, so that it can be made again from the cell's text.

A function comes back from the code object at the same place, with the source as it stands now. A class, a
decorated function, a `namedtuple(...)` comes back by running its statement again.
"""

import ast
import collections
import sys
import types
import typing
from collections.abc import Container, Iterator, Mapping
from typing import Any

__all__ = [
    "CodePath", "definitions", "imports", "leads_to", "mentioned", "places", "speaks_of", "statements", "targets",
    "unbinds",
]  # fmt: skip

CodePath = tuple[tuple[str, int], ...]
"""Names of code objects down to one, each counted among its equals."""

_MADE = (type, typing.TypeVar, typing.ParamSpec, typing.NewType)


def places(code: types.CodeType) -> dict[types.CodeType, CodePath]:
    """Every code object within one, with the way to it."""
    return {inner: path for path, inner in _walk(code)}


def leads_to(code: types.CodeType) -> dict[CodePath, types.CodeType]:
    """The code object at each place."""
    return dict(_walk(code))


def _walk(code: types.CodeType) -> Iterator[tuple[CodePath, types.CodeType]]:
    todo: list[tuple[CodePath, types.CodeType]] = [((), code)]
    while todo:
        path, outer = todo.pop()
        yield path, outer
        counts: collections.Counter[str] = collections.Counter()
        for inner in outer.co_consts:
            if isinstance(inner, types.CodeType):
                todo.append(((*path, (inner.co_name, counts[inner.co_name])), inner))
                counts[inner.co_name] += 1


def definitions(
    body: list[ast.stmt], bound: Mapping[str, Any], codes: Container[types.CodeType]
) -> dict[str, ast.stmt]:
    """Statements at the top of a cell that made what some names are bound to, and can make it again.

    A function of the cell's own code is found by its place and needs none, unless something from elsewhere decorates
    it, which may keep it too.
    """
    own = {name for name, value in bound.items() if _coded(value, codes)}
    found: dict[str, ast.stmt] = {}
    for statement in body:
        match statement:
            case ast.ClassDef(name=name):
                made = True
            case (
                ast.FunctionDef(name=name, decorator_list=wrappers)
                | ast.AsyncFunctionDef(name=name, decorator_list=wrappers)
            ):
                made = bool(wrappers) and not {name, *map(_root, wrappers)} <= own
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call()):
                made = _named_after(bound.get(name), name)
            case _:
                continue
        found.pop(name, None)
        if made and name in bound:
            found[name] = statement
    return found


def targets(statement: ast.stmt) -> set[str]:
    """The name that a statement binds which may have to be run again."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name}
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
    return set()


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell and those within them, but for those of functions and classes."""
    todo: list[ast.AST] = [*reversed(body)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            parts = [getattr(node, part, ()) for part in ("body", "handlers", "cases", "orelse", "finalbody")]
            todo += reversed([each for part in parts for each in part])


def imports(body: list[ast.stmt]) -> list[str]:
    """Modules that the statements import by themselves, and that are loaded: `import a.b` gives `a` its `b`."""
    found: dict[str, None] = {}
    for statement in statements(body):
        match statement:
            case ast.Import(names=names):
                found |= dict.fromkeys(each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                found |= dict.fromkeys([module, *(f"{module}.{each.name}" for each in names)])
    return [name for name in found if name in sys.modules and name != "__main__"]


def _coded(value: Any, codes: Container[types.CodeType]) -> bool:
    return type(value) is types.FunctionType and value.__code__ in codes


def _root(node: ast.expr) -> str:
    """The name that an expression such as `app.route("/")` starts from."""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _named_after(value: Any, name: str) -> bool:
    """Whether a value is a class, or the like, that pickle will look up under this name."""
    return (
        isinstance(value, _MADE)
        and getattr(value, "__module__", None) == "__main__"
        and getattr(value, "__qualname__", getattr(value, "__name__", None)) == name
    )


def mentioned(statement: ast.stmt) -> set[str]:
    """All names in a statement: what running it again may need."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def speaks_of(body: list[ast.stmt], names: frozenset[str]) -> bool:
    """Whether one of these names stands in the statements, by itself or behind a dot."""
    nodes = (node for statement in body for node in ast.walk(statement))
    return any(getattr(node, "attr", getattr(node, "id", None)) in names for node in nodes)


def unbinds(body: list[ast.stmt]) -> set[str]:
    """Names that a cell may unbind after it has bound them."""
    found: set[str] = set()
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Del()) | ast.ExceptHandler(name=str(name)):
                found.add(name)
    return found
