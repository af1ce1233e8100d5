"""Source as canonical bytes: equal for sources that do the same, whatever they look like.

Not written: positions, comments, formatting, docstrings (unless `__doc__` is mentioned), annotations of functions
(unless a decorator may read them), the names of local variables (unless something may look them up by name).
Not `ast.dump`, which changes with Python's versions: fields that are empty are left out, f-strings are brought to
one form, and nothing is recursive, so a sum of a thousand terms needs no deep stack.
"""

import ast
import re
import types
from collections.abc import Iterable, Iterator
from typing import Any

from nbflow.keys.scopes import LEAVES, Scopes, scopes

__all__ = ["READERS", "called", "constant", "dump", "mentioned", "words"]

READERS = frozenset({
    "dmatrices", "dmatrix", "eval", "evaluate", "exec", "execute", "executemany", "executescript", "formula",
    "from_formula", "from_query", "getoutput", "glm", "gls", "logit", "mixedlm", "ols", "poisson", "probit", "pysqldf",
    "query", "read_sql", "read_sql_query", "run_cell_magic", "run_line_magic", "sql", "sql_expr", "sqldf", "system",
    "wls",
})  # fmt: skip
"""Functions and methods that look names up in the strings they are given: `df.query("p > @limit")`."""

FRAMES = frozenset({
    "_getframe", "currentframe", "dir", "eval", "exec", "f_locals", "getinnerframes", "getouterframes", "locals",
    "vars",
})  # fmt: skip
"""Names that show local variables by name: where one is used, local variables keep theirs."""

BLIND = frozenset({
    "abstractmethod", "asynccontextmanager", "cache", "cached_property", "classmethod", "contextmanager", "dataclass",
    "deleter", "final", "flow", "getter", "jit", "lru_cache", "njit", "overload", "override", "property", "setter",
    "staticmethod", "task", "total_ordering", "unique", "vectorize", "wraps",
})  # fmt: skip
"""Decorators known to read neither annotations of functions nor docstrings."""

words = re.compile(r"[^\W\d]\w*").findall
Defs = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
sorted_fields: dict[type, tuple[str, ...]] = {}


def dump(node: ast.AST | list[ast.stmt], *, docs: bool = False) -> bytes:
    """The canonical bytes of a statement, an expression, or the statements of a cell.

    They are the same on Python 3.11 and later, and the same for two sources exactly if these differ in nothing but
    what the head of this module names. `docs` keeps docstrings.
    """
    return Dump(node, docs=docs).written()


def constant(value: object) -> bytes:  # noqa: PLR0911 - one for each type
    """A constant of the language, tagged with its type and exact: `1`, `1.0`, `True`, `-0.0`, `0.0` all differ."""
    match value:
        case None | True | False | types.EllipsisType():
            return repr(value).encode()
        case int():
            return b"i%x" % value
        case float():
            return b"f" + value.hex().encode()
        case complex():
            return f"c{value.real.hex()},{value.imag.hex()}".encode()
        case str():
            return sized(b"s", value.encode("utf-8", "surrogatepass"))
        case bytes():
            return sized(b"b", value)
        case tuple():
            return b"(%s)" % b",".join([constant(each) for each in value])
        case frozenset():
            return b"{%s}" % b",".join(sorted([constant(each) for each in value]))
        case _:
            raise TypeError(f"{type(value).__name__} is no constant of the language")


def mentioned(node: ast.AST) -> set[str]:
    """The words in every string of a piece of source: names that it may look up."""
    strings = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return {word for text in strings for word in words(text)}


def sized(tag: bytes, blob: bytes) -> bytes:
    return b"%b%d:%b" % (tag, len(blob), blob)


class Dump:
    """One dump: what is known of the source as a whole, and the numbers its local variables got."""

    def __init__(self, root: ast.AST | list[ast.stmt], *, docs: bool) -> None:
        self.root = root
        self.scopes: Scopes = scopes(root)
        self.numbers: dict[tuple[int, str], int] = {}
        self.spelled: set[str] = set()  # names that queries mention
        self.docs = docs
        self.rename = True
        for node in effective(root):
            self.survey(node)

    def survey(self, node: Any) -> None:
        """Looks for what makes names or docstrings visible."""
        match node:
            case ast.Constant(value=str(text)):
                self.docs |= "__doc__" in text
            case ast.Name(id=name) | ast.Attribute(attr=name):
                self.docs |= name in ("__doc__", "getdoc")
                self.rename &= name not in FRAMES
            case ast.Call() if called(node) in READERS:
                self.spelled |= mentioned(node)
                self.rename &= not node.args or isinstance(node.args[0], ast.Constant)

    def written(self) -> bytes:
        """Writes the tree, each node after its parent."""
        out: list[bytes] = []
        stack: list[Any] = [self.root]
        while stack:
            item = stack.pop()
            kind = type(item)
            if kind is bytes:
                out.append(item)
            elif kind is list:
                out.append(b"[")
                stack.append(b"]")
                stack += reversed(item)
            elif isinstance(item, ast.AST):
                stack += reversed([*self.node(item)])
            else:
                out.append(constant(item))
        return b"".join(out)

    def node(self, node: Any) -> Iterator[object]:
        """What is written for one node: bytes, constants, lists, and nodes yet to be written."""
        match node:
            case ast.Constant(value=literal):
                yield constant(literal)
            case ast.Name(id=name):
                yield self.name(node, name)
            case ast.JoinedStr():
                yield from joined(node)
            case ast.AnnAssign() if self.scopes.at[id(node)].kind in ("function", "comprehension"):
                yield from (b"Assign(.targets", [node.target], b".value", node.value, b")")
            case _:
                yield type(node).__name__.encode() + b"("
                for field, value in self.fields(node):
                    yield b"." + field.encode()
                    yield value
                yield b")"

    def fields(self, node: Any) -> Iterator[tuple[str, object]]:
        """The fields that count, by name, without those that hold what a source without them would mean."""
        special = getattr(self, type(node).__name__, None)
        for field, value in [*special(node)] if special else plain(node):
            counts: Any = value
            if isinstance(value, list) and isinstance(node, ast.stmt | ast.ExceptHandler):
                counts = [part for part in value if not idle(part)]
            if counts is None or counts == [] or (field in ("simple", "is_async", "level") and counts == 0):
                continue
            yield field, counts

    def name(self, node: ast.AST, name: str) -> bytes:
        """A name: by number if it is a local variable's that nobody can see, else as it is spelled."""
        scope = self.scopes.owner(node, name)
        if scope is None or scope.kind == "class" or name in scope.fixed or name in self.spelled or not self.rename:
            return sized(b"n", name.encode())
        return b"v%d;" % self.numbers.setdefault((id(scope), name), len(self.numbers))

    def named(self, body: list[ast.stmt], parameters: list[Any]) -> bool:
        """Whether statements name one of these type parameters: their annotations may, but do not count."""
        names = {each.name for each in parameters}
        return any(isinstance(node, ast.Name) and node.id in names for part in body for node in ast.walk(part))

    def names(self, node: ast.AST, names: Iterable[str]) -> list[bytes]:
        return sorted([self.name(node, name) for name in names])

    # Nodes that carry names as plain strings, or parts that do not count. Called by the name of the node's class.

    def FunctionDef(self, node: Any) -> Iterator[tuple[str, object]]:  # noqa: N802
        shown = not blind(node) or self.scopes.at[id(node)].reads_annotations
        yield "name", self.name(node, node.name)
        yield "decorator_list", node.decorator_list
        generic = getattr(node, "type_params", None)
        yield "type_params", generic if generic and (shown or self.named(node.body, generic)) else None
        yield from self.parameters(node.args, shown=shown)
        yield "returns", node.returns if shown else None
        yield from self.body(node)

    AsyncFunctionDef = FunctionDef

    def Lambda(self, node: ast.Lambda) -> Iterator[tuple[str, object]]:  # noqa: N802
        yield from self.parameters(node.args, shown=False)
        yield "body", node.body

    def ClassDef(self, node: ast.ClassDef) -> Iterator[tuple[str, object]]:  # noqa: N802
        if node.body:
            self.scopes.at[id(node.body[0])].reads_annotations = not blind(node)
        yield "name", self.name(node, node.name)
        for field in ("decorator_list", "type_params", "bases", "keywords"):
            yield field, getattr(node, field, [])
        yield from self.body(node)

    def body(self, node: Defs) -> Iterator[tuple[str, object]]:
        doc = ast.get_docstring(node, clean=False) if self.docs else None
        yield "doc", doc
        yield "body", node.body

    def parameters(self, args: ast.arguments, *, shown: bool) -> Iterator[tuple[str, object]]:
        kinds = (("posonly", args.posonlyargs), ("args", args.args), ("kwonly", args.kwonlyargs))
        for field, group in (*kinds, ("vararg", [args.vararg]), ("kwarg", [args.kwarg])):
            yield field, [part for arg in group if arg for part in self.parameter(arg, shown=shown)]
        yield "defaults", args.defaults
        yield "kw_defaults", args.kw_defaults

    def parameter(self, arg: ast.arg, *, shown: bool) -> Iterator[object]:
        yield self.name(arg, arg.arg)
        if shown and arg.annotation:
            yield from (b":", arg.annotation)

    def alias(self, node: ast.alias) -> Iterator[tuple[str, object]]:
        yield "name", node.name
        yield "whole", True if not node.asname and "." in node.name else None  # `import a.b` binds a
        if node.name != "*":
            yield "as", self.name(node, node.asname or node.name.partition(".")[0])

    def ExceptHandler(self, node: Any) -> Iterator[tuple[str, object]]:  # noqa: N802
        for field, value in plain(node):
            yield field, self.name(node, value) if field in ("name", "rest") and value else value

    MatchAs = MatchStar = MatchMapping = ExceptHandler

    def Global(self, node: ast.Global | ast.Nonlocal) -> Iterator[tuple[str, object]]:  # noqa: N802
        yield "names", self.names(node, node.names)

    Nonlocal = Global


def plain(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """All fields in the order of their names: new versions of Python may insert some."""
    kind = type(node)
    names = sorted_fields.get(kind)
    if names is None:
        names = sorted_fields[kind] = tuple(sorted({*kind._fields} - {"ctx", "type_comment", "kind", "type_ignores"}))
    for name in names:
        yield name, getattr(node, name, None)


def joined(node: ast.JoinedStr) -> Iterator[object]:
    """An f-string as text and fields in turn. Versions differ in how they cut the text and nest the parts."""
    parts: list[Any] = []
    waiting: list[Any] = [*reversed(node.values)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.JoinedStr):
            waiting += reversed(part.values)
        elif not isinstance(part, ast.Constant):
            parts.append(part)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += str(part.value)
        elif part.value:
            parts.append(part.value)
    if not parts or (isinstance(parts[0], str) and len(parts) == 1):
        yield constant("".join(parts))
        return
    yield b"JoinedStr["
    for part in parts:
        if isinstance(part, str):
            yield part
            continue
        yield from (b"{", part.value, b"!%d" % part.conversion if part.conversion >= 0 else b"")
        if part.format_spec is not None and part.format_spec.values:
            yield from (b":", part.format_spec)
        yield b"}"
    yield b"]"


def idle(node: object) -> bool:
    """A statement that does nothing: a docstring, a string used as a comment, `pass`, a bare local annotation."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def effective(root: ast.AST | list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes but the constants that stand alone as statements."""
    stack: list[Any] = [*root] if isinstance(root, list) else [root]
    while stack:
        node = stack.pop()
        if not (isinstance(node, ast.stmt) and idle(node)):
            yield node
            if type(node) not in LEAVES:
                stack += ast.iter_child_nodes(node)


def called(node: ast.AST) -> str:
    """The last name of what is called: `b` for `a.b(...)` and for `@a.b(...)`, `""` if it has none."""
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def blind(node: Defs) -> bool:
    """No decorator here may read annotations."""
    return all(called(decorator) in BLIND for decorator in node.decorator_list)
