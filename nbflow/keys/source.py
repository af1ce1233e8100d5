"""The AST of a function as it is loaded in memory, whatever became of its file.

Text is found where tracebacks find it, in `linecache`: files, IPython cells, doctests. A node of it counts only if it
compiles to the very code that is loaded; else there is no source, and the code object itself has to do.
"""

import ast
import dis
import linecache
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any

from nbflow.keys.canon import constant
from nbflow.keys.nodes import join

__all__ = ["code_digest", "find", "shape"]

Def = ast.FunctionDef | ast.AsyncFunctionDef
Node = Def | ast.Lambda
FUTURE = 0x1FF0000  # compiler flags of __future__ imports, as in co_flags
HAS_DOC = 0x4000000
MEANT = 0x3AC  # *args, **kwargs, and the kinds of generators and coroutines; see inspect.CO_*
seen: dict[str, list[str]] = {}  # texts by file name: a file edited after its import has two
KEPT = 4
NAME = "<nbflow>"
HUSH = ("ignore", None, Warning, re.compile(re.escape(NAME)), 0)  # of warnings.filters


def find(code: CodeType, space: dict[str, Any]) -> Def | None:
    """The node that `code` was compiled from, None if there is no source of it.

    A lambda comes as the function it equals: `f = lambda x: x` as `def f(x): return x`.
    """
    for text in texts(code.co_filename, space):
        parsed = parse(text, code.co_flags & FUTURE)
        node = parsed.find(code) if parsed else None
        if node is not None:
            return node
    return None


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
def parse(text: str, flags: int) -> "Parsed | None":
    """A text, parsed; None if it is no Python."""
    try:
        tree = compiled(text, ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | flags)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Parsed(tree, flags)


def compiled(source: Any, flags: int, mode: str = "exec") -> Any:
    """What Python makes of a source. The user, who ran it, has seen its warnings, or made them errors.

    A filter for our name only, for `catch_warnings` is not safe in threads.
    """
    filters: Any = warnings.filters
    filters.insert(0, HUSH)
    try:
        return compile(source, NAME, mode, flags, dont_inherit=True)
    except SystemError:  # garbage that runs code while a tree is made: https://github.com/python/cpython/issues/106905
        return compile(source, NAME, mode, flags, dont_inherit=True)
    finally:
        with suppress(ValueError):
            filters.remove(HUSH)


class Parsed:
    """One text: its functions by name, and the code that each of its statements compiles to."""

    def __init__(self, tree: ast.Module, flags: int) -> None:
        self.flags = flags
        self.tree = tree
        self.functions: dict[str, list[tuple[Node, ast.stmt]]] = {}
        self.assigned: dict[int, str] = {}  # names of lambdas, by the ids of their nodes
        self.codes: dict[int, list[CodeType]] = {}
        self.imports = [*imports(tree)]
        for statement in tree.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and len(node.targets) == 1:
                    self.assigned[id(node.value)] = getattr(node.targets[0], "id", "<lambda>")
                elif isinstance(node, Node):
                    self.functions.setdefault(getattr(node, "name", "<lambda>"), []).append((node, statement))

    def find(self, code: CodeType) -> Def | None:
        """The function whose code this is. One that moved since counts too, if nothing else of it changed."""
        candidates = self.functions.get(code.co_name, [])
        candidates = sorted(candidates, key=lambda pair: abs(first_line(pair[0]) - code.co_firstlineno))
        wanted, place = shape(code), spot(code)
        moved: Node | None = None
        for node, statement in candidates:
            for other in self.compiled(statement):
                if other.co_name == code.co_name and shape(other) == wanted and covers(node, other):
                    if first_line(node) == code.co_firstlineno and spot(other) == place:
                        return self.definition(node)
                    moved = moved or node
        return self.definition(moved) if moved else None

    def definition(self, node: Node) -> Def:
        """The node, a lambda as a function."""
        if not isinstance(node, ast.Lambda):
            return node
        name = self.assigned.get(id(node), "<lambda>")
        return ast.FunctionDef(name=name, args=node.args, body=[ast.Return(node.body)], decorator_list=[])

    def compiled(self, statement: ast.stmt) -> list[CodeType]:
        """All code objects in a top-level statement, as a module has them and as IPython does.

        A method call on a name that the module imports compiles to other code, and IPython compiles each statement of
        a cell by itself.
        """
        known = self.codes.get(id(statement))
        if known is None:
            known = self.codes[id(statement)] = []
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self.flags
            for body in [[*self.imports, statement], [statement]][not self.imports :]:
                try:
                    known += nested(compiled(ast.Module(body, []), flags))
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
        return known


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
