"""A hit leaves behind what a run does: each cell in a plain kernel, run as a task, and from the store, here and anew."""

import re

import pytest

from tests.integration.kernels import Kernel, error, hit, told, users

pytestmark = pytest.mark.kernel

ADDRESS = re.compile(r"0x[0-9a-f]+")


@pytest.fixture(scope="module")
def kernels(kernel):
    """A plain kernel, and a second one on the store of the first."""
    with Kernel(load=False) as plain, Kernel(store=kernel.store) as other:
        yield plain, kernel, other


CLEAN = (
    "for __n in [n for n in globals() if n[0] != '_' and n not in ('In', 'Out', 'get_ipython', 'exit', 'quit', 'open')]:"
    " del globals()[__n]"
)
AS_RUN = {
    # how names are bound
    "walrus in a comprehension": (
        "xs = [1, 2]",
        "ys = [last := x * 2 for x in xs]\nif (n := len(ys)) > 1: big = n",
        "ys, last, n, big",
    ),
    "star, nested and chained targets": (
        "xs = [1, 2, 3]",
        "a, *m, e = xs\n[p, (q, *r)] = 1, (2, 3)\nb = c = [1]",
        "a, m, e, p, q, r, b is c",
    ),
    "targets of with": (
        "import contextlib",
        "@contextlib.contextmanager\ndef cm(): yield [1, 2]\nwith cm() as (u, v), cm() as [*w]: t = u",
        "u, v, w, t",
    ),
    "captures of match": (
        "v = {'k': [1, 2, 3], 'z': 9}",
        "match v:\n    case {'k': [x, *rest], **other}: got = x",
        "x, rest, other, got",
    ),
    "except as, over a bound name": (
        "e = 5",
        "try: 1/0\nexcept ZeroDivisionError as e: m = str(e)",
        "m, 'e' in globals()",
    ),
    "except star": (
        "",
        "try: raise ExceptionGroup('g', [ValueError(1), KeyError(2)])\nexcept* ValueError as eg: m = 1\nexcept* KeyError: n = 2",
        "m, n, 'eg' in globals()",
    ),
    "deleted and bound again": ("a = [1]; b = a", "del a\na = b", "a is b"),
    "attributes and items as targets": (
        "d = {}\nclass C: pass\nc = C()",
        "for d['k'], c.v in [(1, 2), (3, 4)]: pass",
        "d, c.v",
    ),
    "a global set by a function": (
        "flag = 'old'\ndef f():\n    global flag\n    flag = 'new'\n    return 1",
        "r = f()",
        "r, flag",
    ),
    "a global bound by a function": (
        "def f():\n    global made\n    made = 'new'\n    return 1",
        "r = f()",
        "r, made",
    ),
    "await everywhere": (
        "import asyncio",
        "async def co(x): return x\nxs = [await co(i) for i in range(2)]\nd = {i: await co(i) for i in xs}\nasync with asyncio.timeout(1) as tm: pass",
        "xs, d",
    ),
    # imports
    "import of a submodule": ("", "import xml.etree.ElementTree, os.path", "xml.etree.ElementTree.__name__"),
    "import from": ("", "from concurrent import futures\nimport concurrent.futures as cf", "futures is cf"),
    # classes and functions that need the cell's other names
    "dataclass with fields": (
        "",
        "from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True)\nclass P:\n    x: int\n    t: list = field(default_factory=list)\np = P(1)",
        "p, {p.x: p}[1] is p",
    ),
    "enum, abc, cached property": (
        "",
        "import enum, functools\nfrom abc import ABC, abstractmethod\nclass E(enum.Enum):\n    A = enum.auto()\nclass A(ABC):\n    @abstractmethod\n    def f(self): ...\nclass B(A):\n    @functools.cached_property\n    def v(self): return [1]\n    def f(self): return E.A\nb = B(); b.v.append(2)",
        "b.f() is E.A, b.v, isinstance(b, A)",
    ),
    "constants in a class": (
        "",
        "K = 3\nclass A:\n    v = K + 1\n    def m(self, d=K): return d + K\na = A()",
        "a.v, a.m()",
    ),
    "an instance in a later class": (
        "",
        "class P: pass\np = P()\nclass Q: default = p\nq = Q()",
        "q.default is p, type(p) is P",
    ),
    "a registry filled by a class": ("", "REG = []\nclass A:\n    REG.append('A')\nn = len(REG)", "REG, n"),
    "a registry filled by subclasses": (
        "",
        "REG = []\nclass B:\n    def __init_subclass__(cls): REG.append(cls.__name__)\nclass D(B): pass",
        "REG, D.__mro__[1] is B",
    ),
    "a registering decorator from before": (
        "REG = {}\ndef reg(f): REG[f.__name__] = f; return f",
        "@reg\ndef h(): return 7\nfs = [h]",
        "REG['h'] is h, fs[0] is h, h()",
    ),
    "a registering decorator of the cell": (
        "",
        "import functools\nREG = []\ndef reg(f):\n    @functools.wraps(f)\n    def w(*a): return f(*a)\n    REG.append(w)\n    return w\n@reg\ndef h(x):\n    'doc'\n    return x\nfs = [h]",
        "len(REG), REG[0] is h, fs[0] is h, h(2), h.__doc__, h.__name__",
    ),
    "a decorator that prints": ("def loud(f): print('registered'); return f", "@loud\ndef h(): return 1", "h()"),
    "a class that prints": ("", "class A:\n    print('made')\n    x = 1", "A.x"),
    "a generic function": (
        "",
        "import functools\n@functools.singledispatch\ndef f(x): return 'o'\n@f.register\ndef f_int(x: int): return 'i'",
        "f('a'), f(2), f.registry[int] is f_int",
    ),
    "docstrings and annotations set": (
        "",
        "def f(a: int):\n    'doc'\nf.__doc__ += '!'",
        "f.__doc__, f.__annotations__",
    ),
    # what lies beyond names
    "environment variables": (
        "import os\nos.environ.pop('NBFLOW_A', None); os.environ['NBFLOW_B'] = '1'",
        "os.environ['NBFLOW_A'] = 'x'\ndel os.environ['NBFLOW_B']\ny = 1",
        "os.environ.get('NBFLOW_A'), 'NBFLOW_B' in os.environ",
    ),
    "an attribute of a module": ("import math\nmath.zork = 0", "math.zork = 5\nx = 1", "math.zork"),
    "a method of a library's class": (
        "import fractions",
        "fractions.Fraction.zork = lambda self: 5\nx = 1",
        "fractions.Fraction(1).zork()",
    ),
    "recursion limit": ("import sys; sys.setrecursionlimit(3000)", "sys.setrecursionlimit(4000)\nx = 1", "sys.getrecursionlimit()"),
    "numpy seeded, when it was not used before": (
        "import numpy as np",
        "np.random.seed(3)\nx = np.random.rand()",
        "x, np.random.rand()",
    ),
    "numpy seeded first, wherever it stood": (
        "import numpy as np, time\nnp.random.seed(time.time_ns() % 2**32)",
        "SEED = 4\nnp.random.seed(SEED)\nx = np.random.rand()",
        "x, np.random.rand()",
    ),
    "numpy's old generator": (
        "import numpy as np; rs = np.random.RandomState(1)",
        "x = rs.rand(2)",
        "x.tolist(), rs.rand()",
    ),
    # values
    "a match, views of a dict": (
        "",
        "import re\nm = re.search('(?<=a)b+', 'aabb')\nd = {'a': 1}\nks = d.keys()\nd['b'] = 2",
        "m.span(), m.re.pattern, list(ks)",
    ),
    "a view of a dict as an input": ("d = {'a': 1}\nks = d.keys()", "d['b'] = 2\nn = len(ks)", "n, list(ks)"),
    "an array over a bytearray": (
        "import numpy as np\nb = bytearray(8)",
        "a = np.frombuffer(b, dtype='u1')[2:]\na[0] = 7",
        "bytes(b), a.tolist(), np.shares_memory(a, np.frombuffer(b, 'u1'))",
    ),
    "left over by with": (
        "import contextlib, io, sqlite3, zipfile",
        "with zipfile.ZipFile(io.BytesIO(), 'w') as z: pass\nwith contextlib.closing(sqlite3.connect(':memory:')) as con: r = con.execute('select 1').fetchall()",
        "r",
    ),
    # magics
    "labelled by what is below a magic": ("", "%%capture out\nprint('hi')\ntotal = 2", "total, out.stdout"),
    "a shell line": ("w = 'bob'", "!echo hi {w}\nx = 1", "x"),
    "a widget made by a decorator": ("", "from ipywidgets import interact\n@interact(x=(0, 3))\ndef f(x=1): pass\ny = 1", "y, f(2)"),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_RUN)
def test_as_if_it_had_run(kernels, name):
    """Whatever a run leaves behind and a hit does not, the next cell fails on, or is silently wrong about."""
    before, body, expression = AS_RUN[name]
    plain, here, other = kernels
    here.fresh()
    found = []
    for k, task in ((plain, ""), (here, "%%task"), (here, "%%task"), (other, "%%task")):
        k.run(CLEAN)
        k.out(before)
        reply, out = k.run(f"{task}\n{body}".lstrip() if task else body)
        assert reply["status"] == "ok", error(out)
        reply, asked = k.run(expression)
        assert reply["status"] == "ok", error(asked)
        shown = "".join(each[2] for each in users(out) if each[0] == "stream")
        found.append(
            (told(out), shown, ADDRESS.sub("", str([each[1] for each in asked if each[0] == "execute_result"])))
        )
    assert [each[1:] for each in found[1:]] == [found[0][1:]] * 3, found
    assert ["⚡" in each[0] for each in found] == [False, False, True, True], found
    if "magic" in name:
        assert "⚡ total" in found[2][0]


REFUSED = {
    "sys.path": ("import sys", "sys.path.insert(0, '/nowhere')\nx = 1", "it changed sys.path"),
    "handlers of logging": (
        "import logging",
        "logging.basicConfig(level='INFO', force=True)\nx = 1",
        "it changed the handlers of logging",
    ),
    "an anonymous overload": (
        "import functools",
        "@functools.singledispatch\ndef f(x): return 'o'\n@f.register\ndef _(x: int): return 'i'",
        "f: a function was registered with it",
    ),
    "a registry that holds classes": (
        "",
        "REG = []\nclass B:\n    def __init_subclass__(cls): REG.append(cls)\nclass D(B): pass",
        "it holds D, and is needed to define it",
    ),
    "a C library that was looked into": (
        "import ctypes; libc = ctypes.CDLL(None)",
        "libc.puts(b'from C')\nx = 1",
        "libc: ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_hit_could_not_do_again_says_so(k, name):
    """A set-up cell that is skipped breaks all that is below it, and nobody thinks of the cache."""
    before, body, why = REFUSED[name]
    for _ in range(2):
        k.out(before)
        out = k.out("%%task\n" + body)
        assert f"not cached: {why}" in told(out), told(out)
        assert not hit(out)
        k.out(
            "import sys, logging; sys.path[:] = [p for p in sys.path if p != '/nowhere']; logging.getLogger().handlers.clear()"
        )
