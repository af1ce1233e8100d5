"""What a piece of source reads from outside of itself: names, imports, and what its strings mention.

A name that is only updated (`calls.append(x)` as a statement, `n += 1`, an item or attribute store) and never read
otherwise is an effect, not an input.
"""

import ast
import re
from typing import Any, NamedTuple

from nbflow.keys.canon import READERS, called, mentioned
from nbflow.keys.scopes import LEAVES, Import, Scopes, scopes

__all__ = ["Chain", "Reads", "reads"]

Chain = tuple[str, ...]
"""`("np", "random", "seed")`: a name and the attributes read from it."""

UPDATES = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "inc", "insert", "observe", "pop",
    "popitem", "popleft", "put", "put_nowait", "record", "remove", "setdefault", "update", "write", "writelines",
})  # fmt: skip
"""Methods that, called as a statement, only update the object they belong to."""

SHOWN = {
    "get_annotations": "__annotations__", "get_type_hints": "__annotations__", "getdoc": "__doc__",
    "getfullargspec": "__annotations__", "signature": "__annotations__",
}  # fmt: skip
"""Functions that show, of the function they are given, what its identity leaves out."""

looks_like_path = re.compile(r"[^\n\r\t\0<>|]{1,300}").fullmatch


class Reads(NamedTuple):
    """What a function reads.

    Attributes:
        chains: Free names, each with the attributes that follow.
        imported: The same for names that its own imports bind: the import, then the attributes.
        imports: Modules that it imports, `import a.b` by its full name.
        mentions: Words in strings that something may look up: free names only if they are bound.
        effects: Free names that are only updated, each with the attributes that lead to what is updated.
        dynamic: Whether it may look up any global: by `globals()`, or by `eval` of text that is not written here.
        strings: Its string constants that could name a file.
    """

    chains: tuple[Chain, ...]
    imported: tuple[tuple[Import, Chain], ...]
    imports: tuple[Import, ...]
    mentions: tuple[str, ...]
    effects: tuple[Chain, ...]
    dynamic: bool
    strings: tuple[str, ...]


def reads(root: ast.AST) -> Reads:
    """Reads of a function as its call does them: without its defaults and annotations, with its decorators."""
    walk = Walk(scopes(root))
    args = getattr(root, "args", None)
    walk.skip.update(id(default) for default in (*args.defaults, *args.kw_defaults) if args) if args else None
    walk.run(root)
    roots = {chain[0] for chain in walk.chains} | walk.mentions
    read = {chain for chain in walk.effects if chain[0] in roots}
    return Reads(
        tuple(sorted(walk.chains | read)),
        tuple(sorted(walk.imported, key=repr)),
        tuple(sorted(walk.imports, key=repr)),
        tuple(sorted(walk.mentions - {chain[0] for chain in walk.chains | read})),
        tuple(sorted(walk.effects - read)),
        walk.dynamic,
        tuple(sorted(walk.strings)),
    )


class Walk:
    """One walk over a tree, without recursion."""

    def __init__(self, names: Scopes) -> None:
        self.names = names
        self.skip: set[int] = set()
        self.todo: list[Any] = []
        self.chains: set[Chain] = set()
        self.imported: set[tuple[Import, Chain]] = set()
        self.imports: set[Import] = set()
        self.mentions: set[str] = set()
        self.effects: set[Chain] = set()
        self.strings: set[str] = set()
        self.dynamic = False

    def run(self, root: ast.AST) -> None:
        self.todo.append(root)
        while self.todo:
            node = self.todo.pop()
            if id(node) not in self.skip:
                self.visit(node)

    def visit(self, node: Any) -> None:  # noqa: C901 - one case for each kind of node
        """Notes what one node reads; leaves to do what is below it."""
        match node:
            case ast.Expr(value=ast.Constant()):
                return
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr)) as call) if attr in UPDATES:
                self.todo += [*call.args, *call.keywords]
                self.updated(call.func)
                return
            case ast.AugAssign(target=ast.Name() as name):
                self.updated(name)
                self.todo.append(node.value)
                if id(name) in self.names.early:
                    self.chains.add((name.id,))
                return
            case ast.Attribute() | ast.Subscript() | ast.Name() if not isinstance(node.ctx, ast.Load):
                self.updated(node)
                return
            case ast.Attribute() | ast.Name():
                self.chain(node)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self.skip.add(id(getattr(node, "returns", None)))
                self.skip.update(id(n.annotation) for n in ast.walk(node.args) if isinstance(n, ast.arg))
            case ast.AnnAssign() if self.names.at[id(node)].kind == "function":
                self.skip.add(id(node.annotation))
            case ast.Import():
                self.imports.update(Import(alias.name, 0, None) for alias in node.names)
            case ast.ImportFrom():
                self.imports.update(Import(node.module or "", node.level, alias.name) for alias in node.names)
            case ast.Constant(value=str(text)) if looks_like_path(text):
                self.strings.add(text)
            case ast.Call():
                self.call(node)
        self.todo += () if type(node) in LEAVES else ast.iter_child_nodes(node)

    def call(self, node: ast.Call) -> None:
        """Calls that look names up: by a string, or by all names there are."""
        name = called(node.func)
        first = node.args[0] if node.args else None
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        if name in READERS:
            self.mentions |= {word for arg in (*node.args, *node.keywords) for word in mentioned(arg)}
        if isinstance(node.func, ast.Name) and self.names.owner(node.func, name) is None:
            self.dynamic |= name == "globals" or (name in ("eval", "exec") and text is None)
        if name in ("import_module", "__import__") and text:
            self.imported.add((Import(text, 0, None), ()))
        if name in SHOWN and isinstance(first, ast.Name | ast.Attribute):
            self.chain(first, (SHOWN[name],))
        if name == "getattr" and len(node.args) > 1 and isinstance(first, ast.Name | ast.Attribute):
            attr = node.args[1]
            if isinstance(attr, ast.Constant) and isinstance(attr.value, str):
                self.skip.add(id(first))
                self.chain(first, (attr.value,))

    def chain(self, node: Any, attrs: Chain = ()) -> None:
        """A name, and the attributes that are read from it."""
        while isinstance(node, ast.Attribute):
            attrs = (node.attr, *attrs)
            node = node.value
        if not isinstance(node, ast.Name):
            self.todo.append(node)
            return
        scope = self.names.owner(node, node.id)
        if scope is None or id(node) in self.names.early:
            self.chains.add((node.id, *attrs))
        if scope is None:
            scope = self.names.outer  # of a cell, which imports and reads in one scope
        if node.id in scope.imports:
            self.imported.add((scope.imports[node.id], attrs))

    def updated(self, node: Any) -> None:
        """What is stored to, or updated by a method: what leads there is no read of its root."""
        attrs: Chain = ()
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Subscript):
                self.todo.append(node.slice)
                attrs = ()
            else:
                attrs = (node.attr, *attrs)
            node = node.value
        if not isinstance(node, ast.Name):
            self.todo.append(node)
        elif self.names.owner(node, node.id) is None and not self.binds(node):
            self.effects.add((node.id, *attrs))

    def binds(self, name: ast.Name) -> bool:
        """Whether a cell binds or deletes a name of its own."""
        return not isinstance(name.ctx, ast.Load) and self.names.at[id(name)] is self.names.outer
