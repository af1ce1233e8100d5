"""Which variable a name in a piece of source means: Python's scoping rules on an AST, without a recursion limit.

`symtable` needs the source text and its numbers differ between versions of Python; this needs the nodes only.
Rules: https://docs.python.org/3/reference/executionmodel.html#naming-and-binding
"""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["LEAVES", "Import", "Scope", "Scopes", "bound", "free", "outside", "scopes"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Import(NamedTuple):
    """What a local name was imported from: `from module import symbol`, or the module itself if symbol is None."""

    module: str
    level: int
    symbol: str | None


class Scope:
    """One block of names. `kind` is "outer", "function", "class", "comprehension", or "head" of type parameters.

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
        inside = True  # of a class, whose names its methods do not see, but its heads do
        while scope is not None:
            if inside or scope.kind != "class":
                if name in scope.free:
                    return None
                if name in scope.bound and name not in scope.nonlocals:
                    return None if scope.kind == "outer" else scope
            inside = inside and scope.kind == "head"
            scope = scope.parent
        return None


class Scopes(NamedTuple):
    """What is known of all names.

    Attributes:
        at: The scope of every node that carries a name, by the node's id.
        outer: The scope around the source.
        early: Ids of names in the block of a class that it may read before it binds them: then they are global,
            whatever an enclosing function binds.
    """

    at: dict[int, Scope]
    outer: Scope
    early: set[int]

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


LEAVES = frozenset({ast.Constant, ast.Load, ast.Store, ast.Del})
"""Most nodes of a long cell: they bind nothing, and nothing is below them."""


def scopes(root: ast.AST | list[ast.stmt]) -> Scopes:
    """Finds the scope of every name in `root`, a function, class, module, expression or list of statements."""
    found = Scopes({}, Scope("outer"), set())
    classes: list[tuple[ast.ClassDef, Scope]] = []
    nodes = root if isinstance(root, list) else [root]
    stack: list[tuple[Any, Scope]] = [(node, found.outer) for node in nodes]
    while stack:
        node, scope = stack.pop()
        found.at[id(node)] = scope
        if type(node) in LEAVES:
            continue
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
            head = generic(node, scope)
            inner = Scope("class", head)
            classes.append((node, inner))
            stack += [(child, inner) for child in node.body]
            stack += [(child, head) for child in (*outside(node), *getattr(node, "type_params", ()))]
        elif isinstance(node, ast.NamedExpr):
            stack.append((node.value, scope))
            while scope.kind == "comprehension" and scope.parent is not None:
                scope = scope.parent  # a walrus binds around any comprehension
            stack.append((node.target, scope))
        else:
            bind(node, scope)
            stack += [(child, scope) for child in ast.iter_child_nodes(node)]
    for node, scope in classes:
        found.early.update(early(node, scope, found))
    return found


def early(node: ast.ClassDef, scope: Scope, found: Scopes) -> Iterator[int]:
    """Names that the block of a class reads and no statement before has bound for sure."""
    sure: set[str] = set()
    for statement in node.body:
        gone: set[str] = set()
        new: set[str] = set()
        simple = isinstance(statement, ast.Assign | ast.Import | ast.ImportFrom | ast.AnnAssign | DEFS)
        for each in ast.walk(statement):
            if found.at.get(id(each)) is not scope:
                continue
            if isinstance(each, ast.Name) and (isinstance(each.ctx, ast.Load) or isinstance(statement, ast.AugAssign)):
                if each.id in scope.bound - scope.nonlocals - sure:
                    yield id(each)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Del):
                gone.add(each.id)
            elif simple:
                new |= bound(each)
        empty = isinstance(statement, ast.AnnAssign) and statement.value is None
        sure = (sure if empty else sure | new) - gone


def function(node: Any, scope: Scope, found: Scopes) -> Iterator[tuple[ast.AST, Scope]]:
    """Opens the block of a function; hands on its parts with the scope each is evaluated in."""
    head = generic(node, scope)
    inner = Scope("function", head)
    keywords = {id(arg) for arg in (*node.args.args, *node.args.kwonlyargs)}  # those that callers can name
    found.at[id(node.args)] = scope
    for arg in arguments(node.args):
        inner.bind(arg.arg, fixed=id(arg) in keywords)
        found.at[id(arg)] = inner
    for part in (*outside(node), *getattr(node, "type_params", ())):
        yield part, head
    if isinstance(node, ast.Lambda):
        yield node.body, inner
        return
    scope.bind(node.name, fixed=True)
    for child in node.body:
        yield child, inner


def generic(node: ast.AST, scope: Scope) -> Scope:
    """The scope of a function's or class's head: one of its own if it has type parameters (https://peps.python.org/pep-0695/)."""
    names = [each.name for each in getattr(node, "type_params", ())]
    head = Scope("head", scope) if names else scope
    for name in names:
        head.bind(name, fixed=True)
    return head


def outside(node: ast.AST) -> list[ast.expr]:
    """What a function or class evaluates where it stands: decorators, bases, annotations, defaults."""
    parts = [*getattr(node, "decorator_list", ()), *getattr(node, "bases", ()), *getattr(node, "keywords", ())]
    if isinstance(node, FUNCTIONS):
        hints = [arg.annotation for arg in arguments(node.args)]
        parts += [*hints, *node.args.defaults, *node.args.kw_defaults, getattr(node, "returns", None)]
    return [part for part in parts if part]


def free(function: ast.AST) -> tuple[set[str], set[str]]:
    """Names from outside that a function reads, and those that it binds there, once it is called.

    The order within it does not matter: nobody knows when, or how far, it will run.
    """
    found = scopes(function)
    reads: set[str] = set()
    writes: set[str] = set()
    for node in ast.walk(function):
        scope = found.at.get(id(node), found.outer)
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if scope is not found.outer:
                if scope.owner(name) is None or id(node) in found.early:
                    reads.add(name)
            case ast.Global(names=names):
                writes.update(names)
    return reads | writes, writes


def bound(node: ast.AST) -> set[str]:
    """Names that this one node binds, where it stands.

    >>> bound(ast.parse("import os.path").body[0].names[0])
    {'os'}
    """
    match node:
        case ast.alias(name=name, asname=alias):
            return {alias or name.partition(".")[0]} - {"*"}
        case (
            ast.Name(id=name, ctx=ast.Store() | ast.Del())
            | ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ClassDef(name=name)
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            return {name}
    return set()


def bind(node: Any, scope: Scope) -> None:
    """Notes what one node binds by itself."""
    for name in bound(node):
        scope.bind(name)
    match node:
        case ast.Import():
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                scope.imports[alias.asname or module] = Import(module, 0, None)
        case ast.ImportFrom():
            for alias in node.names:
                scope.imports[alias.asname or alias.name] = Import(node.module or "", node.level, alias.name)
        case ast.Global(names=names):
            scope.free.update(names)
        case ast.Nonlocal(names=names):
            scope.nonlocals.update(names)
