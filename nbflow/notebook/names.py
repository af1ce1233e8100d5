# ruff: noqa: N815 - ast.NodeVisitor names these methods
"""Names that a cell reads before binding them, binds, deletes; one pass in the order of evaluation.

A read of a name that nothing so far can have bound is an input; of one bound on every path, it is not.
In between (bound in a branch, a loop, a `with`) nothing is guessed: the statement goes to `checks`, and
when the wrapped cell gets there it sees whether the name still holds the object from before.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nbflow.keys.canon import READERS, called, mentioned, words
from nbflow.keys.scopes import bound, free, outside
from nbflow.keys.source import compiled
from nbflow.notebook.mentions import assigned, magic

__all__ = ["Names", "names_of"]

_REFLECTIVE = {"globals", "locals", "get_ipython"}
_REFLECTIVE_WITHOUT_ARGUMENTS = {"vars", "dir"}
_CODE_STRINGS = {"eval", "exec"}
_Part = ast.AST | str | Iterable["_Part"] | None


@dataclass(frozen=True, slots=True)
class Names:
    """What a cell does to the namespace, as far as its text tells.

    Attributes:
        reads: Names read before they are bound: the inputs, builtins among them.
        mentions: Names that stand in a string somebody may evaluate; inputs where they are bound.
        queries: Names whose value, where it is text, is evaluated: its words are mentions too.
        binds: Names that may be bound.
        sure: Those of them that are bound whatever happens.
        opaque: What makes the inputs unknowable, in words; empty for most cells.
        checks: Statement to the names whose reads are decided when the cell gets there.
        texts: Statements of Python that stand in strings and are run: by `%time`, `{x}` in a shell line, `eval`.
        may_await: Whether something at the top level may await.
    """

    reads: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    sure: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    checks: Mapping[ast.stmt, frozenset[str]] = field(default_factory=dict)
    texts: tuple[ast.stmt, ...] = ()
    may_await: bool = False


def names_of(body: list[ast.stmt]) -> Names:
    """Analyse the statements of a cell.

    >>> found = names_of(ast.parse("total = price * rate; price = 0").body)
    >>> sorted(found.reads), sorted(found.binds)
    (['price', 'rate'], ['price', 'total'])
    """
    try:
        walk = _Walk(body, body)
    except RecursionError:
        return Names(opaque=frozenset({"code nested too deeply to be analysed"}), may_await=True)
    return Names(
        frozenset(walk.reads),
        frozenset(walk.mentions - walk.reads),
        frozenset(walk.queries),
        frozenset(walk.binds),
        frozenset(walk.sure),
        frozenset(walk.opaque),
        {statement: frozenset(names) for statement, names in walk.checks.items()},
        tuple(walk.texts),
        walk.may_await,
    )


class _Walk(ast.NodeVisitor):
    def __init__(self, body: list[ast.stmt], whole: list[ast.stmt], *, in_class: bool = False) -> None:
        self.whole = whole
        self.in_class = in_class  # then inner scopes do not see what is bound here
        self.reads: set[str] = set()
        self.mentions: set[str] = set()
        self.queries: set[str] = set()
        self.binds: set[str] = set()
        self.deletes: set[str] = set()
        self.opaque: set[str] = set()
        self.checks: dict[ast.stmt, set[str]] = {}
        self.sure: set[str] = set()  # bound on every path to here
        self.local: set[str] = set()  # bound by an enclosing comprehension or type parameter list
        self.later: dict[str, tuple[set[str], set[str]]] = {}  # function -> what calling it reads, binds
        self.texts: list[ast.stmt] = []
        self.called = self.may_await = False
        self.here: ast.stmt | None = None
        self.in_text = False  # statements there have no place in the cell where a check could stand
        self.walk(body)

    def walk(self, *parts: _Part) -> None:
        """Visit nodes and bind names, in the order they happen."""
        for part in parts:
            match part:
                case None:
                    pass
                case str(name):
                    self.bind(name)
                case ast.stmt():
                    before, self.here = self.here, self.here if self.in_text else part
                    self.visit(part)
                    self.here = before
                case ast.AST():
                    self.visit(part)
                case _:
                    self.walk(*part)

    def branch(self, *parts: _Part) -> None:
        """The same, where it is not certain that all of it happens."""
        sure = set(self.sure)
        self.walk(*parts)
        self.sure = sure - self.deletes

    def read(self, name: str, *, mention: bool = False) -> None:
        """A name is read, and with it what the body of a function of that name reads."""
        todo, seen, bound_then = [name], {*self.local}, set[str]()
        while todo:
            if (name := todo.pop()) in seen:
                continue
            seen.add(name)
            if name not in self.sure:
                if name in self.binds and self.here is not None:
                    self.checks.setdefault(self.here, set()).add(name)
                elif mention:
                    self.mentions.add(name)
                else:
                    self.reads.add(name)
                    self.opaque |= {f"{name}()"} if name in _REFLECTIVE else set()
            if name in self.later:
                late, writes = self.later[name]
                self.called, bound_then = True, bound_then | writes
                todo += self.seen_from_below(late)
        self.binds |= bound_then

    def seen_from_below(self, names: set[str]) -> list[str]:
        """What is left to read here of what an inner scope reads."""
        self.reads |= names if self.in_class else set()
        return [] if self.in_class else sorted(names)

    def bind(self, name: str) -> None:
        if name not in self.local:
            self.binds.add(name)
            self.sure.add(name)
            self.deletes.discard(name)
            self.later.pop(name, None)

    def delete(self, names: set[str]) -> None:
        self.deletes |= names
        self.sure -= names

    def text(self, source: str) -> None:
        """Python source inside a string is code of the cell."""
        before, self.in_text = self.in_text, True
        try:
            body = compiled(source.strip(), ast.PyCF_ONLY_AST).body
            self.texts += body
            self.walk(body)
        except SyntaxError:
            self.opaque.add("code in a string that does not parse")
        finally:
            self.in_text = before

    def visit_Constant(self, _: ast.Constant) -> None:
        """Nothing is in it; what Python has here asks after names of old."""

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            return self.bind(node.id)
        self.read(node.id)
        if isinstance(node.ctx, ast.Del):
            self.binds.add(node.id)
            self.delete({node.id})
        return None

    def visit_Call(self, node: ast.Call) -> None:
        if (found := magic(node)) is not None:
            for source in found.code:
                self.text(source)
            for name in sorted(set(words(found.text))):
                self.read(name, mention=True)
            self.opaque |= {found.reflects} - {""}
            return
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(source))]) if name in _CODE_STRINGS:
                self.text(source)
            case ast.Call(func=ast.Name(id=name)) if name in _CODE_STRINGS - self.sure:
                self.opaque.add(f"{name}()")
            case ast.Call(func=ast.Name(id=name), args=[]) if name in _REFLECTIVE_WITHOUT_ARGUMENTS - self.sure:
                self.opaque.add(f"{name}()")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in READERS:
                self.evaluated(arguments)
        self.generic_visit(node)

    def evaluated(self, arguments: list[ast.expr]) -> None:
        """Arguments of a call that looks up names of ours: their words are read where they are bound."""
        given = {child.id for node in arguments for child in ast.walk(node) if isinstance(child, ast.Name)}
        self.queries |= given
        values = [*arguments, *(assigned(self.whole, given) if given else ())]
        for name in sorted(set().union(*map(mentioned, values))):
            self.read(name, mention=True)

    def visit_alias(self, node: ast.alias) -> None:
        self.opaque |= {"import *"} if node.name == "*" else set()
        self.opaque |= {"__main__"} if node.name == "__main__" else set()
        self.walk(bound(node))

    def definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda) -> None:
        """A function's body runs when it is called, a class's here and now, in a namespace of its own."""
        generic = {each.name for each in getattr(node, "type_params", ())} - self.local
        self.local |= generic
        self.walk(outside(node))
        at_once = isinstance(node, ast.Lambda) or bool(node.decorator_list)  # anything may call it at once
        if isinstance(node, ast.ClassDef):
            inner = _Walk(node.body, self.whole, in_class=True)
            for name in sorted(inner.reads.union(*inner.checks.values())):
                self.read(name)
            for name in sorted(inner.mentions):
                self.read(name, mention=True)
            late: set[str] = set().union(*(reads for reads, _ in inner.later.values()))
            writes: set[str] = set().union(*(binds for _, binds in inner.later.values()))
            self.opaque |= inner.opaque
            self.queries |= inner.queries
            self.texts += inner.texts
            at_once = at_once or inner.called
        else:
            late, writes = free(node)
            self.hidden(node)
        if at_once:
            for name in self.seen_from_below(late - (set() if isinstance(node, ast.Lambda) else bound(node))):
                self.read(name)
            self.binds |= writes
        self.local -= generic
        if not isinstance(node, ast.Lambda):
            self.bind(node.name)
            self.later[node.name] = late, writes

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = definition

    def hidden(self, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Names that stand in strings in a function's body, which is not walked in order."""
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(), *_]) if name in _CODE_STRINGS:
                    pass  # a mention, as below
                case ast.Call(func=ast.Name(id=name)) if name in _CODE_STRINGS - self.sure:
                    self.opaque.add(f"{name}()")
            if isinstance(node, ast.Call) and called(node.func) in READERS:
                self.evaluated([*node.args, *(keyword.value for keyword in node.keywords)])

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first = node.generators[0]
        self.may_await = self.may_await or any(generator.is_async for generator in node.generators)
        self.visit(first.iter)
        names = {
            child.id
            for generator in node.generators
            for child in ast.walk(generator.target)
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
        }
        outer, self.local = self.local, self.local | names
        before = self.sure, self.binds
        if self.in_class:
            self.sure, self.binds = set(), set()
        self.branch(
            *([g.iter if g is not first else None, g.target, g.ifs] for g in node.generators),
            [getattr(node, part, None) for part in ("elt", "key", "value")],
        )
        if self.in_class:
            self.sure, self.binds = before
        self.local = outer

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.walk(node.value, node.target)

    def visit_Await(self, node: ast.Await) -> None:
        self.may_await = True
        self.visit(node.value)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.walk(node.values[0])
        self.branch(node.values[1:])

    def visit_Assign(self, node: ast.Assign) -> None:
        self.walk(node.value, node.targets)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target.id)
        self.walk(node.value, node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        binds = node.value is not None or not isinstance(node.target, ast.Name)
        self.walk(node.value, node.target if binds else None, node.annotation)

    def visit_If(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self.walk(node.test)
        self.branch(node.body)
        self.branch(node.orelse)

    visit_While = visit_IfExp = visit_If

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.may_await = self.may_await or isinstance(node, ast.AsyncFor)
        self.walk(node.iter)
        self.branch(node.target, node.body)
        self.branch(node.orelse)

    visit_AsyncFor = visit_For

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        self.may_await = self.may_await or isinstance(node, ast.AsyncWith)
        self.walk(*([item.context_expr, item.optional_vars] for item in node.items))
        self.branch(node.body)  # the context may swallow an error half-way

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try) -> None:
        self.branch(node.body, node.orelse)
        for handler in node.handlers:
            self.branch(handler.type, bound(handler), handler.body)
            self.delete(bound(handler))  # `except E as e` leaves no `e`
        self.walk(node.finalbody)

    visit_TryStar: Callable[..., None] = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self.walk(node.subject)
        for case in node.cases:
            names = set[str]().union(*map(bound, ast.walk(case.pattern)))
            self.branch(case.pattern, names, case.guard, case.body)
            self.binds |= names  # a pattern that fails may have bound some
