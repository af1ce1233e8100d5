"""From `%%task` text to an attempt loop around the user's own statements.

The text keeps its lines: only the header line changes. The tree then becomes

    for step in <start(token)>:                 # `async for` when the body awaits
        if step.broken is not None: raise step.leave(step.broken)
        with step:                              # holds back an error that will be retried
            ...the body, in the user's own frame, every node where it was...
            <sys>.displayhook(step.keep(<last expression>))

A hit yields no attempt, so the body is not entered; a retry is another turn. IPython runs the loop as it
runs any cell, so await, `Out`, magics, `%debug` and tracebacks are what they always are. Neither transformer
looks at the world or at the namespace: the same text may be transformed any number of times.
"""

import ast
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from IPython.core.inputtransformer2 import cell_magic

from nbflow.keys.source import compiled
from nbflow.notebook.analysis import analysed, compiled_as
from nbflow.notebook.names import Names
from nbflow.notebook.tells import tell

__all__ = ["Cell", "Wrap", "cell_of", "cells", "checked", "mark"]

_HEADER = re.compile(r"%%task(\s|$)")
_REMEMBERED = 16  # cells that may lie between a cell's transformation and its start: nested `run_cell` only
_MOST_BLOCKS = 19  # CPython allows 20 nested `for`, `while`, `with`, `try`; a `try` may take two
_OURS = 2
_PLACE = ("lineno", "col_offset", "end_lineno", "end_col_offset")
_LOOP = """
for {step} in __import__("nbflow.notebook.cell", None, None, ("start",)).start({token}):
    if {step}.broken is not None:
        raise {step}.leave({step}.broken)
    with {step}:
        pass
"""
_PLAIN = '__import__("nbflow.notebook.cell", None, None, ("plain",)).plain({token})'

_tokens = itertools.count(1)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A `%%task` cell as its text has it.

    Attributes:
        header: What stands behind `%%task`.
        body: The statements, as Python has parsed them.
        text: 16-byte digest of what they say, whatever they look like.
        flags: How they are compiled.
        awaits: Whether they await at their top level.
        names: What they do to the namespace.
        label: What the cell is called when its header gives no name.
        step: The name of the loop's variable.
        told: Names that may or may not be bound, and tell it.
    """

    header: str
    body: list[ast.stmt]
    text: bytes
    flags: int
    awaits: bool
    names: Names
    label: str
    step: str
    told: frozenset[str] = frozenset()

    def compiled(self, filename: str = "<task>", *statements: ast.stmt) -> CodeType:
        """The body, or some statements of it, compiled as IPython would."""
        return compiled_as([*statements] or self.body, filename, self.flags)


cells: dict[int, Cell] = {}
"""Cells by token, between their transformation and their start."""


def mark(lines: list[str]) -> list[str]:
    r"""Input transformer, the last of the cleanup ones: the header becomes a line magic, nothing moves.

    >>> mark(["%%task prices --retries 2\n", "x = 1\n"])
    ["get_ipython().run_line_magic('task', 'prices --retries 2')\n", 'x = 1\n']
    """
    at = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if at is None or not _HEADER.match(lines[at]):
        return lines
    rest = lines[at + 1 :]
    inner = next((i for i, line in enumerate(rest) if line.strip()), len(rest))
    rest = rest[:inner] + cell_magic(rest[inner:])
    return [*lines[:at], f"get_ipython().run_line_magic('task', {lines[at][6:].strip()!r})\n", *rest]


class Wrap:
    """AST transformer, shaped as IPython wants it."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def visit(self, tree: ast.AST) -> ast.AST:
        """The tree of a cell, wrapped if its first statement is the marked header."""
        match tree:
            case ast.Module(
                body=[
                    ast.Expr(
                        value=ast.Call(
                            func=ast.Attribute(attr="run_line_magic"),
                            args=[ast.Constant(value="task"), ast.Constant(value=str(header))],
                        )
                    ) as first,
                    *body,
                ]
            ):
                return self._wrapped(header, first, body)
        return tree

    def _wrapped(self, header: str, first: ast.stmt, body: list[ast.stmt]) -> ast.Module:
        flags = self.shell.compile.flags | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if self.shell.autoawait else 0)
        found = analysed(body, flags)
        if found is None:
            return ast.Module(body, [])  # IPython compiles it by itself, and shows what is wrong
        token = next(_tokens)
        step = f"__task_{token}__"
        cell = Cell(header, found.body, found.text, flags, found.awaits, found.names, found.label, step, found.told)
        _remember(token, cell)
        head = [each for each in body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
        rest = [each for each in body if each not in head] if head else body
        if found.depth + _OURS > _MOST_BLOCKS:
            return ast.Module([*head, _located(_PLAIN.format(token=token), first), *rest], [])
        loop = _located(_LOOP.format(step=step, token=token).lstrip(), first)
        assert isinstance(loop, ast.For)
        if cell.awaits:
            loop = ast.AsyncFor(**vars(loop))
        if rest:
            attempt = loop.body[1]
            assert isinstance(attempt, ast.With)
            rest = checked(rest, found.checks_in(body), step)
            tell(rest, found.told, step)
            attempt.body = _definitions_told(self._shown(rest, step), step)
        return ast.Module([*head, loop], [])

    def _shown(self, body: list[ast.stmt], step: str) -> list[ast.stmt]:
        """Expression statements that IPython would display go through the display hook in place."""
        style = self.shell.ast_node_interactivity
        if style == "last_expr_or_assign" and isinstance(body[-1], (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            last = body[-1]
            target = last.targets[0] if isinstance(last, ast.Assign) else last.target
            if isinstance(target, ast.Name):
                name = ast.copy_location(ast.Name(target.id, ast.Load()), target)
                body = [*body, ast.copy_location(ast.Expr(name), last)]
        return [
            _display(each, step)
            if isinstance(each, ast.Expr) and (style == "all" or (each is body[-1] and style != "none"))
            else each
            for each in body
        ]


def cell_of(token: int) -> Cell:
    """The cell that a loop was made for."""
    return cells[token]


def checked(body: list[ast.stmt], checks: Mapping[ast.stmt, frozenset[str]], step: str) -> list[ast.stmt]:
    """The statements with `<step>.touch(names)` before each one whose reads are decided at run time."""
    if not checks:
        return body
    tree: ast.Module = _Checks(checks, step).visit(ast.Module(body, []))
    return tree.body


class _Checks(ast.NodeTransformer):
    def __init__(self, checks: Mapping[ast.stmt, frozenset[str]], step: str) -> None:
        self.checks, self.step = checks, step

    def generic_visit(self, node: ast.AST) -> Any:
        super().generic_visit(node)
        if isinstance(node, ast.stmt) and (names := self.checks.get(node)):
            return [_located(f"{self.step}.touch{(*sorted(names),)!r}", node), node]
        return node


def _definitions_told(body: list[ast.stmt], step: str) -> list[ast.stmt]:
    """`<step>.made(name)` behind each class and decorated function: what is changed in it later, is seen by that.

    And `<step>.seeds(np.random.seed, SEED)` before such a call: it may be the first thing that touches the generator.
    """
    told: list[ast.stmt] = []
    for each in body:
        match each:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name() | ast.Attribute(value=ast.Name()), attr="seed"),
                    args=[ast.Constant(value=int()) | ast.Name()],
                ) as call
            ):
                told.append(_located(f"{step}.seeds({ast.unparse(call.func)}, {ast.unparse(call.args[0])})", each))
        told.append(each)
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            each.decorator_list or isinstance(each, ast.ClassDef)
        ):
            told.append(_located(f"{step}.made({each.name!r})", each))
    return told


def _display(statement: ast.Expr, step: str) -> ast.stmt:
    shown = _located(f'__import__("sys").displayhook({step}.keep(None))', statement)
    assert isinstance(shown, ast.Expr)
    assert isinstance(shown.value, ast.Call)
    kept = shown.value.args[0]
    assert isinstance(kept, ast.Call)
    kept.args = [statement.value]
    return shown


def _located(source: str, at: ast.AST) -> ast.stmt:
    """A statement of ours, standing where one of the user's stands."""
    statement: ast.stmt = compiled(source, ast.PyCF_ONLY_AST).body[0]
    place = {name: getattr(at, name) for name in _PLACE if hasattr(at, name)}
    for node in ast.walk(statement):
        if hasattr(node, "lineno"):  # as `ast.copy_location` does it, which looks at `at` again for each node
            vars(node).update(place)
    return statement


def _remember(token: int, cell: Cell) -> None:
    cells[token] = cell
    while len(cells) > _REMEMBERED:
        del cells[next(iter(cells))]
