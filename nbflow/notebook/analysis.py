"""What the statements of a cell say, found out once for as long as they stay the same.

A cell that is run again has been parsed anew. Its pickled tree, positions included, stands for it: to make it takes a
seventh of the time of an analysis, or less.
"""

import ast
import inspect
import pickle
from collections.abc import Mapping
from contextlib import suppress
from types import CodeType
from typing import NamedTuple

from nbflow.keys.code import cell as digest_of
from nbflow.keys.source import compiled
from nbflow.notebook.mentions import Magic, magic
from nbflow.notebook.names import Names, names_of
from nbflow.notebook.tells import told

__all__ = ["Analysis", "analysed", "compiled_as", "label_of"]

_KEPT = 64  # analyses; that of a cell of 60 lines holds some 90 KB
_known: dict[tuple[bytes, int], "Analysis"] = {}


class Analysis(NamedTuple):
    """What the statements of a cell say.

    Attributes:
        body: The statements, as Python parsed them when they were analysed.
        text: 16-byte digest of what they say, whatever they look like.
        names: What they do to the namespace.
        label: What the cell is called when its header gives no name.
        awaits: Whether they await at their top level.
        depth: How many blocks are nested at the top level.
        checks: `names.checks`, by the number of the statement in a walk over the body.
        told: Names that may or may not be bound, and tell it.
    """

    body: list[ast.stmt]
    text: bytes
    names: Names
    label: str
    awaits: bool
    depth: int
    checks: Mapping[int, frozenset[str]]
    told: frozenset[str]

    def checks_in(self, body: list[ast.stmt]) -> dict[ast.stmt, frozenset[str]]:
        """The same as `names.checks`, for the statements of another parse."""
        walked = _walked(body) if self.checks else []
        return {walked[number]: names for number, names in self.checks.items()}


def analysed(body: list[ast.stmt], flags: int) -> Analysis | None:
    """The analysis of a cell that is to be compiled with these flags; None if it does not compile, or not by itself."""
    try:
        key = pickle.dumps(body, 5), flags
    except Exception:  # noqa: BLE001 - nested too deeply, or another transformer has put objects of its own into it
        return _analysed(body, flags)
    found = _known.get(key) or _analysed(body, flags)
    if found is not None:
        _known[key] = found
        if len(_known) > _KEPT:
            _known.pop(next(iter(_known)), None)
    return found


def _analysed(body: list[ast.stmt], flags: int) -> Analysis | None:
    depth, stray = _blocks(body)
    if stray:  # in a loop of ours it would be legal
        return None
    names = names_of(body)
    try:
        awaits = names.may_await and bool(compiled_as(body, "<task>", flags).co_flags & inspect.CO_COROUTINE)
    except (SyntaxError, ValueError):
        return None
    checks = names.checks
    numbered = {at: checks[each] for at, each in enumerate(_walked(body)) if each in checks} if checks else {}
    return Analysis(body, digest_of(body), names, label_of(body), awaits, depth, numbered, told(body, names))


def _walked(body: list[ast.stmt]) -> list[ast.stmt]:
    return [node for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.stmt)]


def compiled_as(body: list[ast.stmt], filename: str, flags: int) -> CodeType:
    """Statements compiled with the flags of a shell, and no others."""
    code: CodeType = compile(ast.Module(body, []), filename, "exec", flags, dont_inherit=True)
    return code


def label_of(body: list[ast.stmt]) -> str:
    """The first name assigned, else the first one defined, else the first line of code; magics as they are written.

    >>> label_of(ast.parse("import os; names = os.listdir()").body), label_of(ast.parse("print( 1 )").body)
    ('names', 'print(1)')
    >>> label_of(ast.parse("get_ipython().run_cell_magic('capture', 'out', 'total = 1')").body)
    'total'
    >>> label_of(ast.parse("get_ipython().run_line_magic('matplotlib', 'inline')").body)
    '%matplotlib inline'
    """
    for each in body:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        for node in (child for target in targets if target for child in ast.walk(target)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                return node.id
    for each in body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return each.name
    match body:
        case [ast.Expr(value=ast.Call() as call), *_] if (found := magic(call)) is not None:
            return _label_of_magic(call, found)
    return _short(ast.unparse(body[0]) if body else "empty")


def _label_of_magic(call: ast.Call, found: Magic) -> str:
    how = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if how == "run_cell_magic" and found.code:
        with suppress(SyntaxError):
            return label_of(compiled(found.code[0].strip(), ast.PyCF_ONLY_AST).body)
    words = [str(each.value) for each in call.args[:2] if isinstance(each, ast.Constant)]
    return _short({"run_line_magic": "%", "run_cell_magic": "%%"}.get(how, "!") + " ".join(words))


def _short(line: str) -> str:
    line = line.strip().split("\n", 1)[0].rstrip()
    return line if len(line) <= 40 else line[:39] + "…"


def _blocks(body: list[ast.stmt]) -> tuple[int, bool]:
    """How deep blocks are nested at the top level, and whether a `break` or `continue` stands outside of any loop."""
    deepest, stray = 0, False
    todo = [(each, 0, False) for each in body]
    while todo:
        statement, depth, in_loop = todo.pop()
        if isinstance(statement, (ast.Break, ast.Continue)):
            stray = stray or not in_loop
            continue
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        loops = isinstance(statement, (ast.For, ast.AsyncFor, ast.While))
        inner = depth + (not isinstance(statement, (ast.If, ast.Match)))
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            for each in getattr(statement, part, ()):
                deepest = max(deepest, inner)
                below = each.body if isinstance(each, (ast.ExceptHandler, ast.match_case)) else [each]
                todo += [(one, inner, in_loop or (loops and part == "body")) for one in below]
    return deepest, stray
