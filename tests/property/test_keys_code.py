"""Random programs under random edits: what changes only the text keeps the identity, anything else changes it."""

import ast
import io
import random
import tokenize
import warnings
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbflow.keys import code
from nbflow.keys.source import parse
from tests.unit.keys.code_cases import cell, key

HEAD = """
K = {k!r}
rows = [1, 2]
class C:
    rate: int = {rate!r}
    def m(self, z):
        w = z * self.rate
        return w
def h(x, scale={scale!r}):
    y = x + scale
    return y
def g(x):
    return h(x) - K
"""
LOCALS = ("a", "b", "c")


class Program:
    """Source of a function `f` that reaches two helpers, a class and two globals."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        values = [0, 1, 2.5, True, None, "x", b"x", (1, "y")]
        head = HEAD.format(k=chance.choice(values), rate=chance.choice(values), scale=chance.choice(values))
        body = [f"    {name} = {self.expression(2)}" for name in LOCALS]
        body += [line for _ in range(chance.randrange(1, 5)) for line in self.statement(1)]
        body.append("    return a, b, c, g(x), C().m(d), rows")
        self.source = ast.unparse(ast.parse(head + "def f(x, d=1):\n" + "\n".join(body)))

    def statement(self, level: int) -> list[str]:
        chance, pad = self.chance, "    " * level
        inner = lambda: self.statement(level + 1) if level < 3 else [f"{pad}    {chance.choice(LOCALS)} = 0"]
        e = lambda: self.expression(2)
        match chance.randrange(8):
            case 0:
                return [f"{pad}if {e()}:", *inner(), f"{pad}else:", *inner()]
            case 1:
                return [f"{pad}for {chance.choice(LOCALS)} in {e()}:", *inner()]
            case 2:
                return [f"{pad}while {e()}:", *inner(), f"{pad}    break"]
            case 3:
                return [
                    f"{pad}try:",
                    *inner(),
                    f"{pad}except (KeyError, ValueError) as error:",
                    f"{pad}    raise error",
                ]
            case 4:
                return [f"{pad}with open({e()}) as {chance.choice(LOCALS)}:", *inner()]
            case 5:
                return [f"{pad}def n(p, q=1):", f"{pad}    r = p + q", f"{pad}    return r", f"{pad}c = n({e()})"]
            case 6:
                return [f"{pad}{chance.choice(LOCALS)} += {e()}"]
            case _:
                return [f"{pad}{chance.choice(LOCALS)} = {e()}"]

    def expression(self, depth: int) -> str:
        chance = self.chance
        if depth == 0:
            return chance.choice(
                ["x", "d", "K", "a", "b", "0", "7", "1.5", "'it'", "b'by'", "True", "None", "rows", "(1, 2)"]
            )
        e = lambda: self.expression(depth - 1)
        return chance.choice([
            lambda: f"({e()} {chance.choice(['+', '-', '*', '//', '%', '&', '<', '==', 'in', 'and', 'or'])} {e()})",
            lambda: f"g({e()})",
            lambda: f"h({e()}, scale={e()})",
            lambda: f"[{e()}, {e()}]",
            lambda: f"{{'k': {e()}, **{{}}}}",
            lambda: f"[i + {e()} for i in {e()} if i]",
            lambda: f"sum(j for j in {e()})",
            lambda: f"(lambda p, k=1: p * {e()})",
            lambda: f"(-{e()})",
            lambda: f"(not {e()})",
            lambda: f"({e()} if {e()} else {e()})",
            lambda: f"rows[{e()}:{e()}]",
            lambda: f"C.m(C(), {e()}).real",
            lambda: f"f'<{{{chance.choice(LOCALS[:2])}!r:>5}}>'",
            e,
        ])()  # fmt: skip


# Edits of the text alone


def parenthesised(source: str, chance: random.Random) -> str:
    """More parentheses around expressions."""
    tree = ast.parse(source)
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.JoinedStr) for n in ast.walk(f)}
    lines = [line.encode() for line in source.splitlines()]
    marks: list[tuple[int, int, int, bytes]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or isinstance(node, ast.Slice | ast.Starred) or id(node) in inside:
            continue
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or chance.random() > 0.15:
            continue
        width = (node.end_lineno, node.end_col_offset - node.col_offset)
        marks += [
            (node.lineno, node.col_offset, -width[1], b"("),
            (node.end_lineno, node.end_col_offset, width[1], b")"),
        ]
    for line, column, _, mark in sorted(
        marks, key=lambda each: (each[0], each[1], each[3] == b"(", each[2]), reverse=True
    ):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + mark + text[column:]
    return b"\n".join(lines).decode() + "\n"


def respaced(source: str, chance: random.Random) -> str:
    """Other quotes, indents, blanks, comments and line breaks, token by token."""
    depth, indent, within, out, line, last = 0, 0, 0, "", "", 0
    unit = chance.choice([" ", "  ", "    ", "\t"])
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = token.type
        text, gap = token.line[token.start[1] : token.end[1]], token.line[last : token.start[1]] if line else ""
        last = token.end[1]
        if kind in (tokenize.INDENT, tokenize.DEDENT):
            indent += 1 if kind == tokenize.INDENT else -1
        elif kind == tokenize.NEWLINE:
            note = chance.choice(["", "", "  # a note", "  # type: ignore", " "])
            out += unit * indent + line + note + "\n" + chance.choice(["", "", "\n", "# more\n"])
            line, last = "", 0
        elif kind not in (tokenize.NL, tokenize.ENDMARKER):
            within += (kind == START) - (kind == END)
            if kind == tokenize.STRING and text[0] == "'" and not {'"', "\\"} & {*text} and chance.random() < 0.5:
                text = f'"{text[1:-1]}"'
            if kind == tokenize.OP and not within:
                depth += (text in "([{") - (text in ")]}")
                gap = gap or chance.choice(["", "", " "]) if line and text != "." else gap
            line += gap + text
            if text == "," and kind == tokenize.OP and depth and not within and chance.random() < 0.3:
                line += chance.choice(["\n", "  # why\n        ", "\n\n    "])
    return out


START, END = (getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END"))


def documented(source: str, chance: random.Random) -> str:
    """Docstrings where there were none, statements that do nothing, annotations of functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if chance.random() < 0.5:
                node.body.insert(0, ast.Expr(ast.Constant(chance.choice(["Says what.", "x, a and g", ""]))))
            if chance.random() < 0.3:
                node.body.insert(chance.randrange(len(node.body)), ast.Pass())
        if isinstance(node, ast.FunctionDef) and chance.random() < 0.5:
            node.returns = ast.Constant("float")
            for each in node.args.args:
                each.annotation = ast.Name("object")
    return ast.unparse(ast.fix_missing_locations(tree))


def renamed(source: str, chance: random.Random) -> str:
    """Other names of local variables; those of parameters and of functions can be seen from outside."""
    names = [*LOCALS, "i", "j", "r", "y", "w", "error"]
    change = dict(zip(names, chance.sample([f"{name}_{n}" for n, name in enumerate(names)], len(names)), strict=True))

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.Name(change.get(node.id, node.id), node.ctx)

        def visit_ExceptHandler(self, node: Any) -> Any:
            node.name = change.get(node.name, node.name)
            return self.generic_visit(node)

    return ast.unparse(Rename().visit(ast.parse(source)))


def identity(source: str) -> tuple[str, str]:
    """Of the function that the source defines, and of the source as a cell."""
    return key(source), code.cell(ast.parse(source).body).hex()


seeds = st.integers(0, 2**32).map(random.Random)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_formatting_keeps_the_identity(chance: random.Random) -> None:
    """A formatter that runs on save, or a better docstring, would cost every result."""
    source = Program(chance).source
    wanted = identity(source)
    for edit in (parenthesised, respaced, documented):
        other = edit(source, chance)
        assert identity(other) == wanted, f"{edit.__name__}:\n{source}\n-----\n{other}"
    together = respaced(parenthesised(documented(source, chance), chance), chance)
    assert identity(together) == wanted, f"{source}\n-----\n{together}"


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_names_of_local_variables_keep_the_identity(chance: random.Random) -> None:
    """A refactoring that changes no result would cost every result."""
    source = Program(chance).source
    other = respaced(renamed(source, chance), chance)
    assert identity(other) == identity(source), f"{source}\n-----\n{other}"


# Edits of what the program does


def edited(source: str, chance: random.Random) -> str:
    """One change of one node."""
    tree = ast.parse(source)
    nodes = [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context | ast.operator | ast.cmpop)]
    chance.shuffle(nodes)
    for node in nodes:
        if edit(node, chance):
            break
    return ast.unparse(ast.fix_missing_locations(tree))


def edit(node: Any, chance: random.Random) -> bool:  # noqa: PLR0911
    """Whether the node could be changed, and was."""
    match node:
        case ast.Constant(value=value) if not isinstance(value, str) or value == "it":
            others = [0, 1, 7, 8, 1.5, True, False, None, "it", b"by", (1,), "7"]
            node.value = chance.choice([each for each in others if (type(each), each) != (type(value), value)])
        case ast.BinOp() | ast.AugAssign():
            node.op = chance.choice(
                [each() for each in (ast.Add, ast.Sub, ast.Mult, ast.Div) if not isinstance(node.op, each)]
            )
        case ast.BoolOp():
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        case ast.Compare():
            node.ops = [ast.NotEq() if not isinstance(node.ops[0], ast.NotEq) else ast.Gt()]
        case ast.If() | ast.While() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Call(func=ast.Name(id="g" | "h")):
            node.func = ast.Name("h" if node.func.id == "g" else "g", ast.Load())
        case ast.Call(keywords=[_, *_]):
            node.keywords = []
        case ast.Attribute(attr="m" | "real" | "rate"):
            node.attr += "x"
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            node.op = ast.Invert()
        case ast.comprehension(ifs=[_]):
            node.ifs = []
        case ast.FormattedValue():
            node.conversion = -1 if node.conversion == ord("s") else ord("s")
        case ast.Name(id="K" | "rows", ctx=ast.Load()):
            node.id = "C"
        case ast.For() | ast.Try() | ast.With() if len(node.body) > 1:
            del node.body[0]
        case ast.Slice(lower=ast.expr()):
            node.lower = None
        case ast.List(elts=[_, _], ctx=ast.Load()):
            node.elts.append(ast.Constant(0))
        case _:
            return False
    return True


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_an_edit_changes_the_identity(chance: random.Random) -> None:
    """The result of the code as it was before would be served for the code as it is now."""
    source = Program(chance).source
    other = edited(source, chance)
    assume(ast.dump(ast.parse(other)) != ast.dump(ast.parse(source)))
    before, after = identity(source), identity(respaced(other, chance))
    assert before[1] != after[1], f"{source}\n-----\n{other}"
    assert before[0] != after[0], f"{source}\n-----\n{other}"


def test_sources_that_python_warns_of() -> None:
    """To look at a function would show its warnings once more; where they are errors its source would not be found."""
    source = "def f(x):\n    return x is 7, '\\d'  # so it is\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (cell(text)["f"] for text in (source, source.replace("  # so it is", "")))
    before = [*warnings.filters]
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        wanted = code.identify(one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse.cache_clear()
        assert code.identify(two) == wanted
    assert not shown
    assert [*warnings.filters] == before
