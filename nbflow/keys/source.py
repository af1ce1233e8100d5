"""The AST of a function as it is loaded in memory, whatever became of its file.

Text is found where tracebacks find it, in `linecache`: files, IPython cells, doctests. A node of it counts only if it
compiles to the very code that is loaded; else there is no source, and the code object itself has to do.

A big file is not parsed for one small function: the lines around it are tried first. That they are cut out of their
context does no harm, because of that same test.
"""

import ast
import dis
import linecache
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any

from nbflow.keys.canon import constant, words
from nbflow.keys.nodes import join

__all__ = ["code_digest", "find", "shape"]

Def = ast.FunctionDef | ast.AsyncFunctionDef
Node = Def | ast.Lambda
FUTURE = 0x1FF0000  # compiler flags of __future__ imports, as in co_flags
HAS_DOC = 0x4000000
MEANT = 0x3AC  # *args, **kwargs, and the kinds of generators and coroutines; see inspect.CO_*
seen: dict[str, list[str]] = {}  # texts by file name: a file edited after its import has two
KEPT = 4
WIDER = (0, 1, 3, 8, 20)  # how many statements more on both sides are tried, before all of the text
NAME = "<nbflow>"
TRIES = 20  # to make a tree while other threads make some
looks_like_import = re.compile(r"^[ \t]*(?:import|from)\b[^\n(]*(?:\([^)]*\))?", re.MULTILINE).findall
HUSH = ("ignore", None, Warning, re.compile(re.escape(NAME)), 0)  # of warnings.filters


def find(code: CodeType, space: dict[str, Any]) -> Def | None:
    """The node that `code` was compiled from, None if there is no source of it.

    A lambda comes as the function it equals: `f = lambda x: x` as `def f(x): return x`.
    """
    flags = code.co_flags & FUTURE
    for text in texts(code.co_filename, space):
        for part in around(text, code.co_firstlineno):
            parsed = parse(part, flags, imported(text))
            node = parsed.find(code, moved=False) if parsed else None
            if node is not None:
                return node
    for text in texts(code.co_filename, space):
        parsed = parse(text, flags)
        node = parsed.find(code) if parsed else None
        if node is not None:
            return node
    return None


def around(text: str, line: int) -> Iterator[str]:
    """The statement at the left margin that holds a line, on its own lines; then more and more of those beside it.

    Where they begin is a guess: a line within a long string may look the same.
    """
    lines, starts = margin(text)
    at = max(bisect_right(starts, line) - 1, 0)
    begin = end = at
    while begin > 0 and lines[starts[begin - 1] - 1].startswith("@"):
        begin -= 1
    while end < len(starts) and lines[starts[end] - 1].startswith("@"):
        end += 1
    for more in WIDER if starts else ():
        first, last = starts[max(begin - more, 0)], end + more + 1
        stop = starts[last] - 1 if last < len(starts) else len(lines)
        yield "\n" * (first - 1) + "\n".join([*lines[first - 1 : stop], ""])


@lru_cache(maxsize=16)
def margin(text: str) -> tuple[list[str], list[int]]:
    """All lines, and the numbers of those where a statement at the left margin may begin."""
    lines = text.split("\n")
    return lines, [at for at, line in enumerate(lines, 1) if line and line[0] not in " \t\r\f#)]}"]


@lru_cache(maxsize=16)
def imported(text: str) -> frozenset[str]:
    """All words in what looks like an import."""
    return frozenset(word for found in looks_like_import(text) for word in words(found))


def texts(name: str, space: dict[str, Any]) -> Iterator[str]:
    """What the file holds or held: as cached, as seen before, as it is now."""
    known = seen.setdefault(name, [])
    text = "".join(linecache.getlines(name, space))
    if text and text not in known:
        known[:0] = [text]
        del known[KEPT:]
    yield from [*known]
    if not name.startswith("<"):
        linecache.checkcache(name)
        newer = "".join(linecache.getlines(name, space))
        if newer and newer not in known:
            known[:0] = [newer]
            yield newer


@lru_cache(maxsize=256)
def parse(text: str, flags: int, imported: frozenset[str] | None = None) -> "Parsed | None":
    """A text, parsed; None if it is no Python. `imported`: what the rest of it may import, if it is a part of one."""
    try:
        tree = compiled(text, ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | flags)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Parsed(tree, flags, imported)


def compiled(source: Any, flags: int, mode: str = "exec") -> Any:
    """What Python makes of a source. The user, who ran it, has seen its warnings, or made them errors.

    A filter for our name only, for `catch_warnings` is not safe in threads.
    """
    filters: Any = warnings.filters
    filters.insert(0, HUSH)
    try:
        for _ in range(TRIES):
            # Another thread that makes a tree too, or garbage that runs code meanwhile:
            # https://github.com/python/cpython/issues/106905
            with suppress(SystemError):
                return compile(source, NAME, mode, flags, dont_inherit=True)
        return compile(source, NAME, mode, flags, dont_inherit=True)
    finally:
        with suppress(ValueError):
            filters.remove(HUSH)


class Parsed:
    """One text: its functions by name, and the code that each of its statements compiles to."""

    def __init__(self, tree: ast.Module, flags: int, imported: frozenset[str] | None = None) -> None:
        self.flags = flags
        self.imported = imported
        self.tree = tree
        self.functions: dict[str, list[tuple[Node, ast.stmt]]] = {}
        self.assigned: dict[int, str] = {}  # names of lambdas, by the ids of their nodes
        self.codes: dict[int, list[list[CodeType]]] = {}
        self.imports = [*imports(tree)]
        for statement in tree.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and len(node.targets) == 1:
                    self.assigned[id(node.value)] = getattr(node.targets[0], "id", "<lambda>")
                elif isinstance(node, Node):
                    self.functions.setdefault(getattr(node, "name", "<lambda>"), []).append((node, statement))

    def find(self, code: CodeType, *, moved: bool = True) -> Def | None:
        """The function whose code this is. One that moved since counts too, if nothing else of it changed."""
        candidates = self.functions.get(code.co_name, [])
        candidates = sorted(candidates, key=lambda pair: abs(first_line(pair[0]) - code.co_firstlineno))
        wanted, place = shape(code), spot(code)
        elsewhere: Node | None = None
        for node, statement in candidates:
            if not moved and first_line(node) != code.co_firstlineno and not isinstance(node, ast.Lambda):
                continue
            for other in self.compiled(statement):
                if other.co_name == code.co_name and shape(other) == wanted and covers(node, other):
                    if first_line(node) == code.co_firstlineno and spot(other) == place:
                        return self.definition(node)
                    elsewhere = elsewhere or node
        return self.definition(elsewhere) if moved and elsewhere else None

    def definition(self, node: Node) -> Def:
        """The node, a lambda as a function."""
        if not isinstance(node, ast.Lambda):
            return node
        name = self.assigned.get(id(node), "<lambda>")
        return ast.FunctionDef(name=name, args=node.args, body=[ast.Return(node.body)], decorator_list=[])

    def compiled(self, statement: ast.stmt) -> Iterator[CodeType]:
        """All code objects in a top-level statement, as a module has them and as IPython does.

        A method call on a name that the module imports compiles to other code, and IPython compiles each statement of
        a cell by itself.
        """
        known = self.codes.setdefault(id(statement), [])
        before = self.imports if self.imported is None else stand_in(self.imported, statement)
        for at, body in enumerate([[*before, statement], [statement]][not before :]):
            if at == len(known):
                known.append(self.made(body))
            yield from known[at]

    def made(self, body: list[ast.stmt]) -> list[CodeType]:
        """The code objects that statements compile to, none if they do not compile."""
        try:
            return [*nested(compiled(ast.Module(body, []), ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self.flags))]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []


def stand_in(imported: frozenset[str], statement: ast.stmt) -> list[ast.stmt]:
    """An import of those names that a statement uses: to the compiler all imports of a name are the same."""
    used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    names = [ast.alias(name) for name in sorted(used & imported)]
    return [ast.fix_missing_locations(ast.Import(names))] if names else []


def imports(tree: ast.Module) -> Iterator[ast.stmt]:
    """The imports outside of functions and classes."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__"):
            yield node
        elif not isinstance(node, Node | ast.ClassDef | ast.expr):
            stack += ast.iter_child_nodes(node)


def nested(code: CodeType) -> Iterator[CodeType]:
    """A code object and all those inside of it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from nested(const)


def first_line(node: Node) -> int:
    decorators = getattr(node, "decorator_list", None)
    return decorators[0].lineno if decorators else node.lineno


def spot(code: CodeType) -> list[tuple[int | None, ...]]:
    """Where in its text every instruction comes from: tells two functions on one line apart."""
    return [*code.co_positions()]


def covers(node: Node, code: CodeType) -> bool:
    """Whether all of the code's instructions come from this function's body, and none from a lambda beside it."""
    if not isinstance(node, ast.Lambda):
        return first_line(node) == code.co_firstlineno
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    widest = (start, end)
    exact = placed = False
    for line, last, column, stop in code.co_positions():
        if line is None or last is None or column is None or stop is None or column == stop == 0:
            continue
        if (line, column) < start or (last, stop) > end:
            return False
        placed = True
        exact = exact or ((line, column), (last, stop)) == widest
    return exact if placed else alone(node, code)


def alone(node: ast.Lambda, code: CodeType) -> bool:
    """Whether a lambda compiles to this very code: Python 3.12.1 tells no place of what `lambda: 3` returns."""
    made = compiled(ast.Expression(node), code.co_flags & FUTURE, "eval")
    inner = [each for each in made.co_consts if isinstance(each, CodeType)]  # those of its defaults come first
    return shape(inner[-1])[1:] == shape(code)[1:]


def shape(code: CodeType) -> tuple[object, ...]:
    """All of a code object but its place in the text."""
    consts = tuple([shape(each) if isinstance(each, CodeType) else constant(each) for each in code.co_consts])
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~HAS_DOC)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return counts, names, consts, code.co_code, code.co_exceptiontable


def code_digest(code: CodeType, name: str) -> bytes:
    """Identity of code that has no source. It depends on the version of Python."""
    shown = code.co_argcount + code.co_kwonlyargcount
    consts = [
        code_digest(each, each.co_name) if isinstance(each, CodeType) else constant(each) for each in code.co_consts
    ]
    if consts and isinstance(code.co_consts[0], str) and not uses_first_constant(code):
        consts[0] = constant(None)  # the docstring
    return join(
        b"code",
        [
            MAGIC_NUMBER,
            name.encode(),
            repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)).encode(),
            repr((code.co_flags & MEANT, code.co_names, code.co_varnames[:shown], len(code.co_freevars))).encode(),
            code.co_code,
            code.co_exceptiontable,
            *consts,
        ],
    )


def uses_first_constant(code: CodeType) -> bool:
    return any(step.opcode in dis.hasconst and step.arg == 0 for step in dis.get_instructions(code))
