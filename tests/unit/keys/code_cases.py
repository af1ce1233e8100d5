"""Pairs of sources whose functions must, or must not, share a key; numbered as users would tell of them.

Nothing but nbflow.keys is imported: other Pythons run this too.
"""

import itertools
import linecache

from nbflow.keys import code

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


def pair(name, expected, source, one, other):
    """A row of one source with two texts in the place of `$`."""
    return name, expected, source.replace("$", one), source.replace("$", other)


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
    pair("field that is not compared", DIFFER, "import dataclasses\n@dataclasses.dataclass\nclass A:\n    k: int = dataclasses.field(default=1, compare=$)\ndef f(x): return A(1) == A(2)", "True", "False"),
    pair("field that is not shown", DIFFER, "import dataclasses\n@dataclasses.dataclass\nclass A:\n    k: int = dataclasses.field(default=1, repr=$)\ndef f(x): return repr(A())", "True", "False"),
    pair("state of a descriptor", DIFFER, "class D:\n    def __init__(self, n): self.n = n\n    def __get__(self, o, t=None): return self.n\nclass A:\n    k = D($)\ndef f(x): return A().k", "1", "2"),
    pair("argument of a partialmethod", DIFFER, "import functools\nclass A:\n    def m(self, k): return k\n    p = functools.partialmethod(m, $)\ndef f(x): return A().p()", "1", "2"),
    pair("partial in a class", DIFFER, "import functools\nclass A:\n    p = functools.partial(int, base=$)\ndef f(x): return A.p('1')", "2", "3"),
    pair("singledispatchmethod", DIFFER, "import functools\nclass A:\n    @functools.singledispatchmethod\n    def m(self, x): return 0\n    @m.register($)\n    def _(self, x): return 1\ndef f(x): return A().m(x)", "int", "str"),
    pair("__init_subclass__", DIFFER, "class B:\n    def __init_subclass__(cls, k=0): cls.k = k\nclass A(B, k=$): pass\ndef f(x): return A.k", "1", "2"),
    pair("order of methods", SAME, "class A:\n    $\ndef f(x): return A().a()", "def a(self): return 1\n    def b(self): return 2", "def b(self): return 2\n    def a(self): return 1"),
    pair("class made by type()", DIFFER, "A = type('A', (), {'m': lambda self: $})\ndef f(x): return A().m()", "1", "2"),
    # names in the block of a class: https://docs.python.org/3/reference/executionmodel.html#resolution-of-names
    pair("class block reads a global before it binds the name", DIFFER, "k = $\ndef f(x):\n    class A: k = k\n    return A.k", "1", "2"),
    pair("class block reads past the function's own variable", DIFFER, "k = $\ndef f(x):\n    k = 5\n    class A: k = k\n    return A.k", "1", "2"),
    pair("class block that binds sometimes", DIFFER, "k = $\ndef f(x):\n    class A:\n        if x: k = 0\n        j = k\n    return A.j", "1", "2"),
    pair("class block that deletes", DIFFER, "k = $\ndef f(x):\n    class A:\n        k = 0\n        del k\n        j = k\n    return A.j", "1", "2"),
    pair("class block that adds", DIFFER, "k = $\ndef f(x):\n    class A: k += 1\n    return A.k", "1", "2"),
    pair("class block that has bound it", SAME, "k = $\ndef f(x):\n    class A:\n        k = 0\n        j = k\n    return A.j", "1", "2"),
    pair("class block in a function that has bound it", SAME, "k = $\ndef f(x):\n    k = 5\n    class A: j = k\n    return A.j", "1", "2"),
    pair("class block that is nonlocal", SAME, "k = $\ndef f(x):\n    k = 5\n    class A:\n        nonlocal k\n        k = k + 1\n    return k", "1", "2"),
    pair("class block that is global", DIFFER, "k = $\ndef f(x):\n    k = 5\n    class A:\n        global k\n        j = k\n    return A.j", "1", "2"),
    pair("method does not see the class block", DIFFER, "k = $\ndef f(x):\n    class A:\n        k = 0\n        def m(self): return k\n    return A().m()", "1", "2"),
    pair("comprehension does not see the class block", DIFFER, "k = $\ndef f(x):\n    class A:\n        k = 0\n        j = [k for _ in x]\n    return A.j", "1", "2"),
    pair("a comprehension's first iterable does", SAME, "k = $\ndef f(x):\n    class A:\n        k = x\n        j = [i for i in k]\n    return A.j", "1", "2"),
    pair("decorator of the same name", DIFFER, "def k(g): return $\ndef f(x):\n    class A:\n        @k\n        def k(self): pass\n    return A.k", "1", "2"),
    pair("default of the same name", DIFFER, "k = $\ndef f(x):\n    class A:\n        def k(self, v=k): return v\n    return A().k()", "1", "2"),
    # methods written in C, of an object
    pair("str.join of another text", DIFFER, "j = '$'.join\ndef f(x): return j(x)", ",", ";"),
    pair("dict.get of another dict", DIFFER, "g = {1: $}.get\ndef f(x): return g(x)", "1", "2"),
    pair("match of another pattern", DIFFER, "import re\nm = re.compile('$').match\ndef f(x): return m(x)", "a", "b"),
    # what the identity leaves out, if it is read
    pair("annotations read", DIFFER, "def f(x: $): return f.__annotations__", "int", "str"),
    pair("annotations read by a function", DIFFER, "import inspect\ndef g(x: $): return x\ndef f(x): return str(inspect.signature(g))", "int", "str"),
    pair("docstring read by a function", DIFFER, "import inspect\ndef g(x):\n    '$'\ndef f(x): return inspect.getdoc(g)", "a", "b"),
    pair("context variable", DIFFER, "import contextvars\nv = contextvars.ContextVar('v', default=$)\ndef f(x): return v.get()", "1", "2"),
    pair("code of an import by a function", DIFFER, "import sys, types\nsys.modules['some_module'] = m = types.ModuleType('some_module')\nm.k = $\ndef f(x):\n    import importlib\n    return importlib.import_module('some_module').k", "1", "2"),
    pair("effect: a global that is only set", SAME, "n = $\ndef f(x):\n    global n\n    n = x\n    return x", "1", "2"),
    pair("effect: a global that is deleted", SAME, "n = $\ndef f(x):\n    global n\n    del n\n    return x", "1", "2"),
    pair("effect: a counter on the function", SAME, "def f(x):\n    f.n += 1\n    return x\nf.n = $", "1", "2"),
    pair("attribute of the function itself", DIFFER, "def f(x): return f.n\nf.n = $", "1", "2"),
    # where the closure of a loop stands
    pair("closures of a loop share its last value", DIFFER, "f = [lambda: i for i in range($)][0]", "3", "4"),
    pair("defaults of a loop do not", DIFFER, "f = [lambda i=i: i for i in range(3)][$]", "0", "1"),
    # constants and operators
    *[pair(f"{one} or {other}", DIFFER, "def f(x): return $", one, other) for one, other in (
        ("10**300", "10.0**300"), ("(1, 2)", "[1, 2]"), ("...", "None"), ("1j", "-1j"), ("0j", "-0j"), ("{}", "set()"), ("()", "[]"), ("(True,)", "(1,)"),
        ("'\\ud800'", "'\\ud801'"), ("f'{x}'", "f'{x!s}'"), ("f'{x=}'", "f'{x}'"), ("f'{{x}}'", "f'{x}'"), ("x[1:2]", "x[1:2:1]"), ("x[1,]", "x[1]"),
        ("x < 1 < 2", "x < 1 and 2"), ("-x ** 2", "(-x) ** 2"), ("2 - 1 - x", "2 - (1 - x)"), ("x and x or 1", "x and (x or 1)"), ("[*x]", "[x]"),
        ("print(*x, 1)", "print(1, *x)"), ("{1: 2, 3: 4}", "{3: 4, 1: 2}"), ("(x for x in x)", "[x for x in x]"), ("x is x", "x == x"),
    )],
    *[pair(f"{one} and {other}", SAME, "def f(x): return $", one, other) for one, other in (
        ("0x10", "16"), ("1_000", "1000"), ("'a' 'b'", "'ab'"), ("1e3", "1000.0"), ("'\\x41'", "'A'"), ("f'{x}' 'a'", "f'{x}a'"), ("f'a' f'b'", "'ab'"),
        ("x[(1, 2)]", "x[1, 2]"), ("(lambda *a: a)", "(lambda *b: b)"), ("not(x)", "not x"), ("f'{ x }'", "f'{x}'"),
    )],
    pair("elif", SAME, "def f(x):\n    if x: return 1\n    $", "elif x == 2: return 3", "else:\n        if x == 2: return 3"),
    pair("nested with", DIFFER, "def f(x):\n    with x$x: return 1", ", ", ":\n        with "),
    pair("except*", DIFFER, "def f(x):\n    try: x()\n    except$ ValueError: x = 1", "", "*"),
    pair("order of except", DIFFER, "def f(x):\n    try: x()\n    $", "except KeyError: x = 1\n    except LookupError: x = 2", "except LookupError: x = 2\n    except KeyError: x = 1"),
    pair("message of an assert", DIFFER, "def f(x):\n    assert x, '$'", "a", "b"),
    pair("order of functions", SAME, "$\ndef f(x): return a() + b()", "def a(): return 1\ndef b(): return 2", "def b(): return 2\ndef a(): return 1"),
    pair("import for types only", SAME, "from typing import TYPE_CHECKING\n$def f(x): return x", "", "if TYPE_CHECKING:\n    import json\n"),
    ("function attribute", DIFFER, *[f"def g(x): return 1\ng.k = {n}\ndef f(x): return g.k" for n in (1, 2)]),
]  # fmt: skip
