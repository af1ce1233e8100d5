"""The identity of code: which edits change it and which do not, row by row."""

import importlib.util
import itertools
import json
import linecache
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbflow.keys import code
from nbflow.keys.reach import reach

SAME, DIFFER = True, False
numbers = itertools.count()


def cell(source, space=None, name=None):
    """Runs source as a notebook cell: its text is where tracebacks look for it."""
    space = {"__name__": "__main__"} if space is None else space
    name = name or f"<ipython-input-{next(numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec", dont_inherit=True), space)
    return space


def key(source, wanted="f"):
    """The identity of what a cell defines, in hex."""
    return code.identify(eval(wanted, cell(source))).hex()


F = "def f(x):\n    return x + 1\n"
ROWS = [
    # text only
    ("C1 identical source", SAME, F, F),
    ("C2 leading comment", SAME, F, "# why\n" + F),
    ("C3 trailing comment", SAME, F, "def f(x):\n    return x + 1  # more\n"),
    ("C4 blank lines in the body", SAME, F, "def f(x):\n\n\n    return x + 1\n"),
    ("C5 moved down the file", SAME, F, "\n" * 40 + F),
    ("C6 another function above", SAME, F, "def other(y):\n    return y\n\n" + F),
    ("C7 indent width", SAME, F, "def f(x):\n  return x + 1\n"),
    ("C8 line continuation", SAME, F, "def f(x):\n    return x \\\n        + 1\n"),
    ("C9 redundant parentheses", SAME, F, "def f(x):\n    return (x + (1))\n"),
    ("C10 docstring added", SAME, F, 'def f(x):\n    """Adds."""\n    return x + 1\n'),
    ("C11 docstring edited", SAME, 'def f(x):\n    "x adds"\n    y = x\n    return y', 'def f(x):\n    "x y"\n    y = x\n    return y'),
    ("C12 docstring read", DIFFER, 'def f(x):\n    "a"\n    return f.__doc__', 'def f(x):\n    "b"\n    return f.__doc__'),
    ("C12 docstring read by another", DIFFER, 'def g():\n    "a"\ndef f(x): return g.__doc__', 'def g():\n    "b"\ndef f(x): return g.__doc__'),
    ("C13 quote style", SAME, "def f(x): return 'a'", 'def f(x): return "a"'),
    ("C14 raw string of the same text", SAME, "def f(x): return 'a/b'", "def f(x): return r'a/b'"),
    ("C15 CRLF line endings", SAME, F, F.replace("\n", "\r\n")),
    ("C16 annotation added", SAME, F, "def f(x: int) -> int:\n    return x + 1\n"),
    ("C16 annotation of a local", SAME, "def f(x):\n    y = x\n    return y", "def f(x):\n    y: int = x\n    return y"),
    ("C16 annotation in a class", DIFFER, "class A:\n    y: int = 0\ndef f(x): return A()", "class A:\n    y: str = 0\ndef f(x): return A()"),
    ("C17 local renamed", SAME, "def f(x):\n    y = x\n    return y", "def f(x):\n    z = x\n    return z"),
    ("C17 comprehension variable renamed", SAME, "def f(x): return [a for a in x]", "def f(x): return [b for b in x]"),
    ("C17 two locals swapped", DIFFER, "def f(x):\n    a = 1; b = 2\n    return a", "def f(x):\n    a = 1; b = 2\n    return b"),
    ("C17 local that locals() shows", DIFFER, "def f(x):\n    y = x\n    return locals()", "def f(x):\n    z = x\n    return locals()"),
    ("C17 local that a query names", DIFFER, "def f(x):\n    lo = 1; hi = 2\n    return x.query('p > @lo')",
     "def f(x):\n    hi = 1; lo = 2\n    return x.query('p > @lo')"),
    ("C18 parameter renamed", DIFFER, F, "def f(y):\n    return y + 1\n"),
    ("C18 positional-only parameter renamed", SAME, "def f(x, /): return x", "def f(y, /): return y"),
    ("C19 noqa", SAME, F, "def f(x):  # noqa: E501\n    return x + 1  # type: ignore\n"),
    ("C20 trailing comma", SAME, "def f(x): return g(x, 1)\ndef g(a, b): return a", "def f(x): return g(x, 1,)\ndef g(a, b,): return a"),
    # semantic
    ("C21 1 to 1.0", DIFFER, "def f(x): return 1", "def f(x): return 1.0"),
    ("C22 1 to True", DIFFER, "def f(x): return 1", "def f(x): return True"),
    ("C23 1 to '1'", DIFFER, "def f(x): return 1", "def f(x): return '1'"),
    ("C24 0.0 to -0.0", DIFFER, "def f(x): return 0.0", "def f(x): return -0.0"),
    ("C25 + to -", DIFFER, "def f(x): return x + 1", "def f(x): return x - 1"),
    ("C26 'a' to b'a'", DIFFER, "def f(x): return 'a'", "def f(x): return b'a'"),
    ("C27 set literal", SAME, "def f(x): return x in {'a', 'b', 'c'}", "def f(x): return x in {'a', 'b', 'c'}"),
    ("C28 default changed", DIFFER, "def f(x=1): return x", "def f(x=2): return x"),
    ("C29 computed default changed", DIFFER, "D = 1\ndef f(x=D): return x\nD = 0", "D = 2\ndef f(x=D): return x\nD = 0"),
    ("C30 mutable default", SAME, "def f(x=[]): return x", "def f(x=[]): return x"),
    ("C31 mutable default changed by a call", DIFFER, "def f(x=[]): x.append(1); return x", "def f(x=[]): x.append(1); return x\nf()"),
    ("C32 keyword default changed", DIFFER, "def f(*, x=1): return x", "def f(*, x=2): return x"),
    ("C33 keyword-only", DIFFER, "def f(x, y=1): return x", "def f(x, *, y=1): return x"),
    ("C34 async", DIFFER, "def f(x): return x", "async def f(x): return x"),
    ("C35 yield", DIFFER, "def f(x): return x", "def f(x): yield x"),
    ("C36 nested function", DIFFER, "def f(x):\n    def g(): return 1\n    return g()", "def f(x):\n    def g(): return 2\n    return g()"),
    ("C37 nested lambda", DIFFER, "def f(x): return map(lambda y: y, x)", "def f(x): return map(lambda y: -y, x)"),
    ("C38 condition inverted", DIFFER, "def f(x):\n    if x: return 1", "def f(x):\n    if not x: return 1"),
    ("C39 try widened", DIFFER, "def f(x):\n    a = g()\n    try: b = g()\n    except ValueError: b = 0\n    return b",
     "def f(x):\n    try:\n        a = g()\n        b = g()\n    except ValueError: b = 0\n    return b"),
    ("C40 format spec", DIFFER, "def f(x): return f'{x:.2f}'", "def f(x): return f'{x:.3f}'"),
    ("C41 attribute", DIFFER, "def f(x): return x.mean()", "def f(x): return x.median()"),
    ("C42 order of arguments", DIFFER, "def f(x, y): return max(x, y)", "def f(x, y): return max(y, x)"),
    ("C43 keyword of a call", DIFFER, "def f(x): return dict(a=x)", "def f(x): return dict(b=x)"),
    ("C44 big integers", DIFFER, f"def f(x): return {10**3000}", f"def f(x): return {10**3000 + 1}"),
    # lambdas
    ("C45 the other lambda of a line", SAME, "fs = [lambda x: x + 1, lambda x: x + 2]", "fs = [lambda x: x + 1, lambda x: x + 3]", "fs[0]"),
    ("C45 the other lambda of a line, in one call", SAME, "def p(*a): return a\nf, g = p(lambda x: x, lambda x: -x)",
     "def p(*a): return a\nf, g = p(lambda x: x, lambda x: x * 2)"),
    ("C47 lambda or def", SAME, "f = lambda x: x + 1", F),
    # closures
    ("C48 closure value", DIFFER, "def m(n):\n    def i(x): return x + n\n    return i\nf = m(1)", "def m(n):\n    def i(x): return x + n\n    return i\nf = m(2)"),
    ("C49 equal closure value", SAME, "def m(n):\n    def i(x): return n\n    return i\nf = m([1, 2])", "def m(n):\n    def i(x): return n\n    return i\nf = m([1] + [2])"),
    ("C50 closure function", DIFFER, "def m():\n    def g(): return 1\n    def i(x): return g()\n    return i\nf = m()",
     "def m():\n    def g(): return 2\n    def i(x): return g()\n    return i\nf = m()"),
    ("C51 empty cell", SAME, *["def m():\n    def i(x): return later\n    if False: later = 1\n    return i\nf = m()"] * 2),
    ("C51 recursion through a cell", SAME, *["def m():\n    def i(x): return i(x - 1) if x else 0\n    return i\nf = m()"] * 2),
    # globals
    ("C52 global constant", DIFFER, "K = 1\ndef f(x): return x + K", "K = 2\ndef f(x): return x + K"),
    ("C53 unused global", SAME, "K = 1\n" + F, "K = 2\n" + F),
    ("C54 global of a nested function", DIFFER, "K = 1\ndef f(x): return [(lambda: K)() for _ in x]", "K = 2\ndef f(x): return [(lambda: K)() for _ in x]"),
    ("C55 global list mutated", DIFFER, "L = [1]\ndef f(x): return L", "L = [1]\ndef f(x): return L\nL.append(2)"),
    ("C56 equal global list", SAME, "L = [1, 2]\ndef f(x): return L", "L = [1]; L.append(2)\ndef f(x): return L"),
    ("C57 helper's comment", SAME, "def g(x): return x\ndef f(x): return g(x)", "def g(x): return x  # same\ndef f(x): return g(x)"),
    ("C58 helper of a helper", DIFFER, "def h(x): return 1\ndef g(x): return h(x)\ndef f(x): return g(x)", "def h(x): return 2\ndef g(x): return h(x)\ndef f(x): return g(x)"),
    ("C59 helper's default", DIFFER, "def g(x, k=1): return k\ndef f(x): return g(x)", "def g(x, k=2): return k\ndef f(x): return g(x)"),
    ("C60 helper by name", DIFFER, "def g(x): return x\ndef f(x): return sorted(x, key=g)", "def g(x): return -x\ndef f(x): return sorted(x, key=g)"),
    ("C61 method of a class", DIFFER, "class A:\n    def m(self): return 1\ndef f(x): return A().m()", "class A:\n    def m(self): return 2\ndef f(x): return A().m()"),
    ("C62 base class", DIFFER, "class B:\n    def m(self): return 1\nclass A(B): pass\ndef f(x): return A().m()", "class B:\n    def m(self): return 2\nclass A(B): pass\ndef f(x): return A().m()"),
    ("C63 class attribute", DIFFER, "class A:\n    k = 1\ndef f(x): return A.k", "class A:\n    k = 2\ndef f(x): return A.k"),
    ("C63 class attribute set later", DIFFER, "class A:\n    k = 1\ndef f(x): return A.k", "class A:\n    k = 1\nA.k = 2\ndef f(x): return A.k"),
    ("C64 imported name", DIFFER, "from math import sin as g\ndef f(x): return g(x)", "from math import cos as g\ndef f(x): return g(x)"),
    ("C65 imported module", DIFFER, "import math as m\ndef f(x): return m.sin(x)", "import cmath as m\ndef f(x): return m.sin(x)"),
    ("C66 import in the body", DIFFER, "def f(x):\n    from math import sin as g\n    return g(x)", "def f(x):\n    from math import cos as g\n    return g(x)"),
    ("C66 import in the body renamed", SAME, "def f(x):\n    import math as m\n    return m.sin(x)", "def f(x):\n    import math as n\n    return n.sin(x)"),
    ("C67 global instance", DIFFER, "class A: pass\na = A(); a.k = 1\ndef f(x): return a.k", "class A: pass\na = A(); a.k = 2\ndef f(x): return a.k"),
    ("C68 name bound later", DIFFER, "def f(x): return later", "def f(x): return later\nlater = 1"),
    ("C68 builtin shadowed", DIFFER, "def f(x): return len(x)", "def f(x): return len(x)\ndef len(x): return 0"),
    ("C69 lock", SAME, *["import threading\nlock = threading.Lock()\ndef f(x):\n    with lock: return x"] * 2),
    ("C69 connection", SAME, *["import sqlite3\ncon = sqlite3.connect(':memory:')\ndef f(x): return con.execute(x)\ncon.close()"] * 2),
    ("C70 logger", SAME, "import logging\nlog = logging.getLogger('a')\ndef f(x): return log.info(x)", "import logging\nlog = logging.getLogger('b')\ndef f(x): return log.info(x)"),
    # effects
    ("effect: a list that is only appended to", SAME, "calls = []\ndef f(x):\n    calls.append(x)\n    return x", "calls = [1]\ndef f(x):\n    calls.append(x)\n    return x"),
    ("effect: a counter", SAME, "n = 0\ndef f(x):\n    global n\n    n += 1\n    return x", "n = 5\ndef f(x):\n    global n\n    n += 1\n    return x"),
    ("effect: an item", SAME, "n = {}\ndef f(x):\n    n[x] = 1\n    n['k'] += 1", "n = {1: 2}\ndef f(x):\n    n[x] = 1\n    n['k'] += 1"),
    ("effect that is read", DIFFER, "n = [0]\ndef f(x):\n    n.append(x)\n    return len(n)", "n = [0, 1]\ndef f(x):\n    n.append(x)\n    return len(n)"),
    ("effect through a user's class", DIFFER, *[f"class T:\n    def add(self, x): x.append({n})\nt = T()\ndef f(x):\n    t.add(x)\n    return x" for n in (1, 2)]),
    ("effect through a class, its state", SAME, *[f"class T:\n    def add(self, x): self.n = x\nt = T(); t.n = {n}\ndef f(x):\n    t.add(x)\n    return x" for n in (1, 2)]),
    ("effect in a closure", SAME, *[f"def m(n):\n    def i(x):\n        n.append(x)\n        return x\n    return i\nf = m({n})" for n in ([], [1])]),
    ("effect used as a value", DIFFER, "n = [0]\ndef f(x): return n.pop()", "n = [0, 1]\ndef f(x): return n.pop()"),
    # names in strings
    ("a global that a query names", DIFFER, "limit = 1\ndef f(x): return x.query('p > @limit')", "limit = 2\ndef f(x): return x.query('p > @limit')"),
    ("a global that no query names", SAME, "limit = 1\ndef f(x): return x.query('p > @lim')", "limit = 2\ndef f(x): return x.query('p > @lim')"),
    ("dynamic look-up", DIFFER, "def g(x): return 1\ndef f(x): return globals()[x](1)", "def g(x): return 2\ndef f(x): return globals()[x](1)"),
    # recursion
    ("C71 recursive", SAME, *["def f(x): return f(x - 1) if x else 0"] * 2),
    ("C72 recursive, changed", DIFFER, "def f(x): return f(x - 1) if x else 0", "def f(x): return f(x - 1) if x else 1"),
    ("C73 mutually recursive", SAME, *["def f(x): return g(x)\ndef g(x): return f(x)"] * 2),
    ("C74 mutually recursive, changed", DIFFER, "def f(x): return g(x)\ndef g(x): return f(x)", "def f(x): return g(x)\ndef g(x): return f(x - 1)"),
    # decorators
    *[
        (f"{name}{', with wraps' if wraps else ''}", expected, *[
            f"import functools\ndef deco(n):\n    def outer(fn):\n        {'@functools.wraps(fn)' if wraps else ''}\n        def w(x): return fn(x) * {body}\n"
            f"        return w\n    return outer\n@deco({n})\ndef f(x): return {inner}" for n, body, inner in (("3", "n", "x"), change)
        ])
        for wraps in (True, False)
        for name, expected, change in (
            ("decorated", SAME, ("3", "n", "x")),
            ("C75, C77 wrapped body changed", DIFFER, ("3", "n", "-x")),
            ("C76 decorator body changed", DIFFER, ("3", "-n", "x")),
            ("C78 decorator argument changed", DIFFER, ("5", "n", "x")),
        )
    ],
    ("C79 lru_cache, body changed", DIFFER, "import functools\n@functools.lru_cache\ndef f(x): return x", "import functools\n@functools.lru_cache\ndef f(x): return -x"),
    ("C79 lru_cache around a helper", DIFFER, "import functools\n@functools.cache\ndef g(x): return x\ndef f(x): return g(x)", "import functools\n@functools.cache\ndef g(x): return -x\ndef f(x): return g(x)"),
    ("C80 contextmanager, body changed", DIFFER, "import contextlib\n@contextlib.contextmanager\ndef g(): yield 1\ndef f(x):\n    with g() as y: return y",
     "import contextlib\n@contextlib.contextmanager\ndef g(): yield 2\ndef f(x):\n    with g() as y: return y"),
    ("C80 singledispatch, implementation changed", DIFFER, *[
        f"import functools\n@functools.singledispatch\ndef g(x): return 0\n@g.register(int)\ndef _(x): return {n}\ndef f(x): return g(x)" for n in (1, 2)]),
    ("C81 partial, body changed", DIFFER, "import functools\ndef g(a, x): return x\nf = functools.partial(g, 1)", "import functools\ndef g(a, x): return -x\nf = functools.partial(g, 1)"),
    ("C81 partial, argument changed", DIFFER, "import functools\ndef g(a, x): return x\nf = functools.partial(g, 1)", "import functools\ndef g(a, x): return x\nf = functools.partial(g, 2)"),
    ("C81 partial as a global", DIFFER, "import functools\ndef g(a, x): return x\np = functools.partial(g, 1)\ndef f(x): return p(x)", "import functools\ndef g(a, x): return -x\np = functools.partial(g, 1)\ndef f(x): return p(x)"),
    # methods and classes
    ("C82 method", DIFFER, "class A:\n    def m(self): return 1", "class A:\n    def m(self): return 2", "A().m"),
    ("C83 bound method, state", DIFFER, "class A:\n    def __init__(self): self.k = 1\n    def m(self): return self.k", "class A:\n    def __init__(self): self.k = 2\n    def m(self): return self.k", "A().m"),
    ("C84 method's helper", DIFFER, "class A:\n    def m(self): return self.h()\n    def h(self): return 1", "class A:\n    def m(self): return self.h()\n    def h(self): return 2", "A().m"),
    ("C85 callable instance", DIFFER, "class A:\n    def __call__(self, x): return 1\nf = A()", "class A:\n    def __call__(self, x): return 2\nf = A()"),
    ("C86 property", DIFFER, "class A:\n    @property\n    def p(self): return 1\ndef f(x): return A().p", "class A:\n    @property\n    def p(self): return 2\ndef f(x): return A().p"),
    ("C87 instance as a value", DIFFER, "class A:\n    def m(self): return 1\nf = A()", "class A:\n    def m(self): return 2\nf = A()"),
    ("C88 staticmethod", DIFFER, "class A:\n    @staticmethod\n    def m(): return 1\nf = A.m", "class A:\n    @staticmethod\n    def m(): return 2\nf = A.m"),
    ("C88 classmethod's class attribute", DIFFER, "class A:\n    k = 1\n    @classmethod\n    def m(cls): return cls.k\nf = A.m", "class A:\n    k = 2\n    @classmethod\n    def m(cls): return cls.k\nf = A.m"),
    ("C89 two functions of one name", DIFFER, "def f(x): return 1\ng = f\ndef f(x): return 2", "def f(x): return 1\ng = f", "f"),
    ("C90 another name", DIFFER, "def f(x): return x", "def g(x): return x\nf = g"),
    ("dataclass field's default", DIFFER, *[f"import dataclasses\n@dataclasses.dataclass\nclass A:\n    k: int = {n}\ndef f(x): return A()" for n in (1, 2)]),
    ("dataclass", SAME, *["import dataclasses\n@dataclasses.dataclass(order=True)\nclass A:\n    k: int = 1\n    s: list = dataclasses.field(default_factory=list)\ndef f(x): return A()"] * 2),
    ("dataclass options", DIFFER, *[f"import dataclasses\n@dataclasses.dataclass(eq={n})\nclass A:\n    k: int = 1\ndef f(x): return A()" for n in (True, False)]),
    ("enum member", DIFFER, *[f"import enum\nclass A(enum.Enum):\n    k = {n}\ndef f(x): return A.k" for n in (1, 2)]),
    ("enum", SAME, *["import enum\nclass A(enum.Enum):\n    k = 1\n    l = 'x'\ndef f(x): return A.k"] * 2),
    ("named tuple field", DIFFER, *[f"import typing\nclass A(typing.NamedTuple):\n    {n}: int\ndef f(x): return A(1)" for n in "kl"]),
    ("named tuple", SAME, *["import typing\nclass A(typing.NamedTuple):\n    k: int = 1\ndef f(x): return A(1)"] * 2),
    ("slots", DIFFER, *[f"class A:\n    __slots__ = ('{n}',)\ndef f(x): return A()" for n in "kl"]),
    ("metaclass", DIFFER, *[f"class M(type):\n    def m(cls): return {n}\nclass A(metaclass=M): pass\ndef f(x): return A.m()" for n in (1, 2)]),
    ("abstract class", SAME, *["import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def m(self): ...\nclass B(A):\n    def m(self): return 1\ndef f(x): return B().m()"] * 2),
    ("function attribute", DIFFER, *[f"def g(x): return 1\ng.k = {n}\ndef f(x): return g.k" for n in (1, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "sources"), [(row[1], row[2:]) for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(expected, sources):
    """A wrong result, if an edit goes unnoticed; a needless run, if a cosmetic one is noticed."""
    a, b, *wanted = sources
    assert key(a, *wanted) == key(a, *wanted), "the same source gives two keys"
    assert (key(a, *wanted) == key(b, *wanted)) is expected


def test_two_lambdas_on_one_line():
    """C46: the second lambda of a line would be served the first one's result."""
    space = cell("fs = [lambda x: x + 1, lambda x: x + 2]; f, g = (lambda: 1), (lambda: 2)")
    assert code.identify(space["fs"][0]) != code.identify(space["fs"][1])
    assert code.identify(space["f"]) != code.identify(space["g"])


@pytest.mark.parametrize(("expected", "a", "b"), [
    (SAME, "def f(x): return x + 1", "\n\ndef f(x):\n  return (x + 1)  # c"),
    (SAME, "def f(x): return x + 1", "def f(x):\n  'doc'\n  return x + 1"),
    (SAME, "def f(x):\n y = x\n return y", "def f(x):\n z = x\n return z"),
    (DIFFER, "def f(x): return x + 1", "def f(x): return x + 2"),
    (DIFFER, "def f(x): return x + 1", "def f(x): return x + 1.0"),
    (DIFFER, "def f(x): return 1", "def f(x): return True"),
    (DIFFER, "def f(x): return {'a', 'b'}", "def f(x): return {'a', 'c'}"),
    (DIFFER, "K = 1\ndef f(x): return x + K", "K = 2\ndef f(x): return x + K"),
    (DIFFER, "def g(): return 1\ndef f(x): return g()", "def g(): return 2\ndef f(x): return g()"),
    (SAME, "calls = []\ndef f(x): calls.append(x); return x", "calls = [1]\ndef f(x): calls.append(x); return x"),
    (SAME, "n = 1\ndef f(x):\n global n\n n += 1", "n = 2\ndef f(x):\n global n\n n += 1"),
    (SAME, "n = {}\ndef f(x): n[x] = 1", "n = {1: 1}\ndef f(x): n[x] = 1"),
    (DIFFER, "n = {}\ndef f(x): return n[x]", "n = {1: 1}\ndef f(x): return n[x]"),
    (DIFFER, "calls = []\ndef f(x): return calls.append(x)", "calls = [1]\ndef f(x): return calls.append(x)"),
])  # fmt: skip
def test_code_without_source(expected, a, b):
    """C91: functions made by `exec` would be served each other's results."""
    keys = []
    for source in (a, a, b):
        space = {"__name__": "__main__"}
        exec(source, space)
        keys.append(code.identify(space["f"]))
    assert keys[0] == keys[1]
    assert (keys[0] == keys[2]) is expected


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes and imports a module of the user's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = []

    def make(source, name):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        linecache.checkcache(str(path))
        sys.modules.pop(name.replace("/", "."), None)
        names.append(name.replace("/", "."))
        importlib.invalidate_caches()
        return importlib.import_module(name.replace("/", "."))

    yield make
    for name in names:
        sys.modules.pop(name, None)


def test_file_edited_after_import(module, tmp_path):
    """C93: a file that was edited but not reloaded would change the key of code that still runs as before."""
    one = module("def f(x): return 1\n", "stale_one")
    (tmp_path / "stale_one.py").write_text("def f(x): return 2\n")
    stale = code.identify(one.f)
    assert code.identify(one.f) == stale
    assert code.identify(module("def f(x): return 2\n", "stale_one").f) != stale


def test_file_edited_after_its_key_was_made(module, tmp_path):
    """Saving a file in the editor, without reloading it, would cost a run."""
    one = module("def f(x): return 1\n", "stale_two")
    before = reach(one.f).code
    (tmp_path / "stale_two.py").write_text("# moved\n\ndef f(x): return 2\n")
    linecache.checkcache(one.__file__)
    assert reach(one.f).code == before


def test_lines_moved_on_disk(module, tmp_path):
    """A comment added above a function, in a file that is loaded already, would cost a run."""
    one = module("def f(x): return 1\n", "stale_three")
    (tmp_path / "stale_three.py").write_text("# moved\n\ndef f(x): return 1\n")
    assert reach(one.f).code == reach(module("def f(x): return 1\n", "stale_three").f).code


@pytest.mark.parametrize("use", [
    "import tools\ndef f(x): return tools.helper(x)",
    "from tools import helper\ndef f(x): return helper(x)",
    "from tools import helper as h\ndef f(x): return h(x)",
    "def f(x):\n    import tools\n    return tools.helper(x)",
    "def f(x):\n    from tools import helper\n    return helper(x)",
    "import tools\ndef f(x): return getattr(tools, 'helper')(x)",
    "import tools\ndef f(x, name='helper'): return getattr(tools, name)(x)",
    "from tools import *\ndef f(x): return helper(x)",
])  # fmt: skip
def test_local_module_by_the_symbols_reached(module, use):
    """Stale results after an edit of a module beside the notebook; needless runs after an edit elsewhere in it."""
    source = "LIMIT = {limit}\ndef helper(x): return x + LIMIT\ndef other(x): return {other}\n"
    keys = []
    for limit, other in ((1, 1), (2, 1), (1, 1), (1, 2)):
        module(source.format(limit=limit, other=other), "tools")
        keys.append(key(use))
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]
    if "name" not in use:  # any symbol may be looked up
        assert keys[0] == keys[3]


def test_function_of_a_module_called_for_its_effect(module):
    """`tools.update(rows)` changes rows by the module's code: an edit of that would go unnoticed."""
    keys = []
    for n in (1, 2, 1):
        module(f"total = []\ndef update(x): x.append({n})\n", "tools")
        keys.append(key("import tools\ndef f(x):\n    tools.update(x)\n    tools.total.append(1)\n    tools.total[0] = 3\n    return x"))
        sys.modules["tools"].total.append(n)
    assert keys[0] == keys[2] != keys[1]


def test_submodule_of_a_package(module):
    """An edit of a submodule that is reached as pkg.sub.f would go unnoticed."""
    keys = []
    for n in (1, 2, 1):
        for name in ("pkg", "pkg.sub"):
            sys.modules.pop(name, None)
        module("", "pkg/__init__")
        module(f"def g(x): return {n}\n", "pkg/sub")
        keys.append(key("import pkg.sub\ndef f(x): return pkg.sub.g(x)"))
    assert keys[0] == keys[2] != keys[1]


def test_same_cell_in_two_namespaces():
    """The same cell in another notebook, or in a spawned worker's `__mp_main__`, would miss."""
    source = "import math\nK = 2\ndef g(x): return x * K\nclass A:\n    def m(self): return g(1)\ndef f(x): return g(x) + A().m() + math.pi"
    keys = {code.identify(cell(source, {"__name__": name})["f"]) for name in ("__main__", "__mp_main__")}
    assert len(keys) == 1


def test_monkeypatched_library(monkeypatch):
    """A patched function of a library would be served the results of the original."""
    import math

    space = cell("import math\ndef f(x): return math.sin(x)\ndef mine(x): return 0")
    before = reach(space["f"])
    monkeypatch.setattr(math, "sin", space["mine"])
    assert not before.unchanged()
    after = reach(space["f"])
    assert after.code != before.code
    assert "global math.sin" in after.traits


def test_functions_of_libraries_are_stable():
    """C94: a ufunc or a function in C, as a task or as an argument, would be refused."""
    numpy = pytest.importorskip("numpy")
    for thing in (len, numpy.sin, numpy.mean, "a".upper, dict.fromkeys, str.upper, numpy.linalg.norm, json.dumps):
        assert reach(thing).code == reach(thing).code
    assert code.identify(len) == code.identify(len) != code.identify(sum)
    assert code.identify("a".upper) != code.identify("b".upper)
    assert reach(numpy.sin).code != reach(numpy.cos).code
    assert reach(numpy.sin).traits["numpy"].short == numpy.__version__


def test_version_of_a_distribution_counts():
    """An upgrade of a library would serve results of the old one."""
    pytest.importorskip("sklearn")
    import numpy
    import sklearn

    traits = reach(cell("import numpy as np\nfrom sklearn import metrics\ndef f(x): return np.mean(metrics.accuracy_score(x, x))")["f"]).traits
    assert traits["numpy"].short == numpy.__version__
    assert traits["scikit_learn"].short == sklearn.__version__


def test_our_own_decorator_does_not_count():
    """Changing the retries of a task would run it again."""
    from types import ModuleType

    fake = ModuleType("nbflow.fake")
    exec("def task(fn=None, **options): return fn if fn else (lambda fn: fn)", vars(fake))
    keys = []
    for line in ("@task", "@task(retries=3)", ""):
        space = cell(f"{line}\ndef f(x: int):\n    'doc'\n    return x", {"__name__": "__main__", "task": vars(fake)["task"]})
        keys.append(code.identify(space["f"]))
    assert len(set(keys)) == 1


def test_identity_does_not_depend_on_hash_seeds():
    """Every restart of the kernel would run everything again."""
    script = (
        "import importlib.util, sys, json;"
        f"spec = importlib.util.spec_from_file_location('rows', {str(Path(__file__))!r});"
        "rows = importlib.util.module_from_spec(spec); spec.loader.exec_module(rows);"
        "print(json.dumps([rows.key(*row[2:3], *row[4:]) for row in rows.ROWS]))"
    )
    expected = [key(*row[2:3], *row[4:]) for row in ROWS]
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
        found = json.loads(done.stdout)
        assert [row[0] for row, a, b in zip(ROWS, expected, found, strict=True) if a != b] == []


def test_cell():
    """A reformatted cell would run again, or an edited one would not."""
    import ast

    one = code.cell(ast.parse("x = f( 1 )  # c\ny = 'a'\n").body)
    assert one == code.cell(ast.parse("\nx = f(1)\ny = \"a\"").body)
    assert one != code.cell(ast.parse("z = f(1)\ny = 'a'").body)
    assert len(one) == 16
