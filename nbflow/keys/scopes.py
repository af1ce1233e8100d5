"""Which variable a name in a piece of source means: Python's scoping rules on an AST, without a recursion limit.

`symtable` needs the source text and its numbers differ between versions of Python; this needs the nodes only.
Rules: https://docs.python.org/3/reference/executionmodel.html#naming-and-binding
"""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Import", "Scope", "Scopes", "arguments", "scopes"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Import(NamedTuple):
    """What a local name was imported from: `from module import symbol`, or the module itself if symbol is None."""

    module: str
    level: int
    symbol: str | None


class Scope:
    """One block of names. `kind` is "outer", "function", "class" or "comprehension".

    Attributes:
        bound: Names that this block binds.
        fixed: Those of them whose spelling can be seen from outside: parameters, functions, classes.
        imports: Those of them that an import statement binds.
    """

    __slots__ = ("bound", "fixed", "free", "imports", "kind", "nonlocals", "parent", "reads_annotations")

    def __init__(self, kind: str, parent: "Scope | None" = None) -> None:
        self.kind, self.parent = kind, parent
        self.bound: set[str] = set()
        self.fixed: set[str] = set()
        self.free: set[str] = set()
        self.nonlocals: set[str] = set()
        self.imports: dict[str, Import] = {}
        self.reads_annotations = False

    def bind(self, name: str, *, fixed: bool = False) -> None:
        """Notes that this block binds `name`."""
        self.bound.add(name)
        if fixed or name.startswith("__"):  # a name like __this is mangled inside a class
            self.fixed.add(name)

    def owner(self, name: str) -> "Scope | None":
        """The scope whose variable `name` means here, None if it lies outside of the source given."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.free and (scope is self or scope.kind != "class"):
                return None
            if name in scope.bound and name not in scope.nonlocals and (scope is self or scope.kind != "class"):
                return None if scope.kind == "outer" else scope
            scope = scope.parent
        return None


class Scopes(NamedTuple):
    """`at` tells by id the scope of every node that carries a name; `outer` is the one around the source."""

    at: dict[int, Scope]
    outer: Scope

    def owner(self, node: ast.AST, name: str) -> Scope | None:
        """The scope whose variable `name` means at this node, None if it is global or of an enclosing function."""
        return self.at[id(node)].owner(name)


def arguments(args: ast.arguments) -> Iterator[ast.arg]:
    """All parameters, in their order."""
    yield from args.posonlyargs
    yield from args.args
    if args.vararg:
        yield args.vararg
    yield from args.kwonlyargs
    if args.kwarg:
        yield args.kwarg


def scopes(root: ast.AST | list[ast.stmt]) -> Scopes:
    """Finds the scope of every name in `root`, a function, class, module, expression or list of statements."""
    found = Scopes({}, Scope("outer"))
    nodes = root if isinstance(root, list) else [root]
    stack: list[tuple[Any, Scope]] = [(node, found.outer) for node in nodes]
    while stack:
        node, scope = stack.pop()
        found.at[id(node)] = scope
        if isinstance(node, FUNCTIONS):
            stack += function(node, scope, found)
        elif isinstance(node, COMPREHENSIONS):
            inner = Scope("comprehension", scope)
            first = node.generators[0]
            stack.append((first.iter, scope))  # evaluated before the block is entered
            stack += [(child, inner) for child in ast.iter_child_nodes(node) if child is not first]
            stack += [(child, inner) for child in (first.target, *first.ifs)]
            found.at[id(first)] = inner
        elif isinstance(node, ast.ClassDef):
            scope.bind(node.name, fixed=True)
            inner = Scope("class", scope)
            stack += [(child, inner) for child in node.body]
            stack += [(child, scope) for child in (*node.decorator_list, *node.bases, *node.keywords)]
            stack += [(child, scope) for child in (getattr(node, "type_params", None) or ())]
        elif isinstance(node, ast.NamedExpr):
            stack.append((node.value, scope))
            while scope.kind == "comprehension" and scope.parent is not None:
                scope = scope.parent  # a walrus binds around any comprehension
            stack.append((node.target, scope))
        else:
            bind(node, scope)
            stack += [(child, scope) for child in ast.iter_child_nodes(node)]
    return found


def function(node: Any, scope: Scope, found: Scopes) -> Iterator[tuple[ast.AST, Scope]]:
    """Opens the block of a function; hands on its parts with the scope each is evaluated in."""
    inner = Scope("function", scope)
    keywords = {id(arg) for arg in (*node.args.args, *node.args.kwonlyargs)}  # those that callers can name
    found.at[id(node.args)] = scope
    for arg in arguments(node.args):
        inner.bind(arg.arg, fixed=id(arg) in keywords)
        found.at[id(arg)] = inner
        if arg.annotation:
            yield arg.annotation, scope
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if default is not None:
            yield default, scope
    if isinstance(node, ast.Lambda):
        yield node.body, inner
        return
    scope.bind(node.name, fixed=True)
    for child in (*node.decorator_list, node.returns, *(getattr(node, "type_params", None) or ())):
        if child is not None:
            yield child, scope
    for child in node.body:
        yield child, inner


def bind(node: Any, scope: Scope) -> None:  # noqa: C901 - one case for each kind of node
    """Notes what one node binds by itself."""
    match node:
        case ast.Name(id=name) if not isinstance(node.ctx, ast.Load):
            scope.bind(name)
        case ast.Import():
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                scope.imports[alias.asname or module] = Import(module, 0, None)
        case ast.ImportFrom():
            for alias in node.names:
                scope.imports[alias.asname or alias.name] = Import(node.module or "", node.level, alias.name)
        case ast.alias(name=name, asname=asname) if name != "*":
            scope.bind(asname or name.partition(".")[0])
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            scope.bind(name)
        case ast.MatchMapping(rest=str(name)):
            scope.bind(name)
        case ast.Global(names=names):
            scope.free.update(names)
        case ast.Nonlocal(names=names):
            scope.nonlocals.update(names)
        case _:
            pass
