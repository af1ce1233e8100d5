"""What one scope of Python binds and reads: the parts of name analysis that know no order."""

import ast
from collections.abc import Iterable

__all__ = ["COMPREHENSIONS", "FUNCTIONS", "bound", "bound_all", "free", "outside"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TYPE_PARAMETERS = ("TypeVar", "ParamSpec", "TypeVarTuple")  # nodes of Python 3.12 and later


def bound(node: ast.AST) -> set[str]:
    """Names that this one node binds, where it stands.

    >>> bound(ast.parse("import os.path").body[0].names[0])
    {'os'}
    """
    match node:
        case ast.alias(name=name, asname=alias):
            return {alias or name.split(".")[0]} - {"*"}
        case (
            ast.Name(id=name, ctx=ast.Store() | ast.Del())
            | ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ClassDef(name=name)
            | ast.arg(arg=name)
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            return {name}
    return {node.name} if type(node).__name__ in _TYPE_PARAMETERS else set()  # type: ignore[attr-defined]


def bound_all(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that any of these nodes binds."""
    return set().union(*map(bound, nodes))


def outside(node: ast.AST) -> list[ast.AST]:
    """What the head of an inner scope evaluates where it stands: decorators, defaults, annotations, bases."""
    if isinstance(node, COMPREHENSIONS):
        return [node.generators[0].iter]
    parts: list[ast.AST | None] = [
        *getattr(node, "decorator_list", ()),
        *getattr(node, "bases", ()),
        *getattr(node, "keywords", ()),
    ]
    if isinstance(node, FUNCTIONS):
        hints = [child.annotation for child in ast.walk(node.args) if isinstance(child, ast.arg)]
        parts += [*node.args.defaults, *node.args.kw_defaults, *hints, getattr(node, "returns", None)]
    return [part for part in parts if part]


def free(scope: ast.AST) -> tuple[set[str], set[str]]:
    """Names of the outer scope that a function reads, and those it binds, once it is called.

    The order within the function does not matter: nobody knows when, or how far, it will run.
    """
    own: set[str] = set()
    loads: set[str] = set()
    inner: set[str] = set()
    writes: set[str] = set()
    declared: set[str] = set()
    nonlocals: set[str] = set()
    head, todo = outside(scope), [*ast.iter_child_nodes(scope)]
    while todo:
        node = todo.pop()
        if node in head:
            continue
        own |= bound(node)
        if isinstance(node, (*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef)):
            reads, below = free(node)
            inner, writes, todo = inner | reads, writes | below, todo + outside(node)
            if isinstance(node, COMPREHENSIONS):  # its `:=` binds out here
                own |= bound_all(child.target for child in ast.walk(node) if isinstance(child, ast.NamedExpr))
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                loads.add(name)
            case ast.Global(names=names):
                declared |= set(names)
            case ast.Nonlocal(names=names):
                nonlocals |= set(names)
        todo += ast.iter_child_nodes(node)
    if isinstance(scope, ast.ClassDef):  # a name bound in a class body may be read from outside before
        return loads | inner | declared | nonlocals, writes | declared
    own -= declared | nonlocals
    return (loads | inner | nonlocals) - own | declared, writes | declared
