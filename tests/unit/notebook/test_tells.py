"""Statements that tell what they have bound, and names that cannot be told of."""

import ast

import pytest

from nbflow.notebook.names import names_of
from nbflow.notebook.tells import mark_of, tell, told


def ran(source):
    """What a cell binds, and the names that it told to have bound."""
    body = ast.parse(source).body
    names = told(body, names_of(body))
    tell(body, names, "step")
    space = {}
    exec(compile(ast.Module(body, []), "<cell>", "exec"), space)
    return names, {name for name in names if mark_of("step", name) in space}


@pytest.mark.parametrize(
    ("source", "names", "bound"),
    [
        ("if 0: a = 1\nelse: b = 2", "a b", "b"),
        ("for i in []: a = i", "i a", ""),
        ("for i, (j, *k) in [(1, (2, 3))]: a: int = i", "i j k a", "i j k a"),
        ("with open(__file__ if 0 else '/dev/null') as f: pass", "", ""),
        (
            "try:\n    a = 1\n    1 / 0\n    b = 1\nexcept ZeroDivisionError:\n    c = 1\nfinally:\n    d = 1",
            "a b c",
            "a c",
        ),
        ("while 1:\n    import os.path as p, sys\n    break", "p sys", "p sys"),
        ("if 1:\n    def f(): pass\n    class C: x = 1\nelse:\n    def g(): pass", "f C g", "f C"),
        ("match 1:\n    case 1: a = 1\n    case _: b = 2", "a b", "a"),
        ("if 1:\n    a = (1,\n        2)\n    if 1: a = 3", "a", "a"),
        ("a = 1", "", ""),
        ("if 1: (a := 1)", "", ""),
        ("if 1: a = 1; del a", "", ""),
        ("match [1]:\n    case [a]: pass", "", ""),
        ("def f():\n    global a\n    a = 1\nif 1: a = 2", "", ""),
    ],
)
def test_what_was_bound_is_told(source, names, bound):
    """A hit would bind what the run left alone, or leave alone what it bound."""
    assert ran(source) == ({*names.split()}, {*bound.split()})


def test_no_line_is_added():
    """A debugger would stop at lines that nobody wrote."""
    body = ast.parse("for i in [1]:\n    a = (i,\n         2)\n    b = 1").body
    before = {node.lineno for statement in body for node in ast.walk(statement) if isinstance(node, ast.stmt)}
    tell(body, frozenset("iab"), "step")
    after = {node.lineno for statement in body for node in ast.walk(statement) if isinstance(node, ast.stmt)}
    assert after <= before | {3}
