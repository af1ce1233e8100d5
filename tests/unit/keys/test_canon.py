"""The canonical dump of source: equal for what does the same, on every Python."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nbflow.keys.canon import constant, dump

ROOT = Path(__file__).parents[3]


def of(source):
    return dump(ast.parse(source).body)


SAME = [
    ("x=1", "x = 1  # c"),
    ("f(a,b)", "f(\n  a,\n  b,\n)"),
    ("x = 'a' 'b'", "x = 'ab'"),
    ("x = u'a'", "x = 'a'"),
    ("x = 0x10", "x = 16"),
    ("x = 1_000", "x = 1000"),
    ("def f():\n  'doc'", "def f():\n  pass"),
    ("def f():\n  x = 1\n  'a string as a comment'\n  return x", "def f():\n  x = 1\n  return x"),
    ("class A:\n  'doc'\n  x = 1", "class A:\n  x = 1"),
    ("if x:\n  y\nelse:\n  pass", "if x:\n  y"),
    ("def f(x: int, *a: str) -> int: return x", "def f(x, *a): return x"),
    ("def f(x):\n  y: int = x\n  return y", "def f(x):\n  y = x\n  return y"),
    ("f'a{x}b'", "f'a' f'{x}' 'b'"),
    ("f'abc'", "'abc'"),
    ("f'{x:}'", "f'{x}'"),
    ("def f(x):\n  for i in x: yield i", "def f(x):\n  for j in x: yield j"),
    ("def f():\n  import numpy as np\n  return np.e", "def f():\n  import numpy as xp\n  return xp.e"),
    ("def f():\n  with a as b: return b", "def f():\n  with a as c: return c"),
    ("def f():\n  try: a()\n  except E as e: raise g(e)", "def f():\n  try: a()\n  except E as z: raise g(z)"),
    ("def f(x):\n  match x:\n    case [a, *b]: return a, b", "def f(x):\n  match x:\n    case [c, *d]: return c, d"),
    (
        "def f(x):\n  match x:\n    case {1: a, **b}: return a, b",
        "def f(x):\n  match x:\n    case {1: c, **d}: return c, d",
    ),
    ("lambda *a, **k: (a, k)", "lambda *b, **m: (b, m)"),
    (
        "def f():\n  n = 0\n  def g():\n    nonlocal n\n    n += 1\n  return g",
        "def f():\n  m = 0\n  def g():\n    nonlocal m\n    m += 1\n  return g",
    ),
    ("def f(d):\n  rows = d['rows']\n  return rows", "def f(d):\n  r = d['rows']\n  return r"),
    ("@task\ndef f(x: int): return x", "@task\ndef f(x): return x"),
]
DIFFER = [
    ("x = 1", "x = True"),
    ("x = 1", "x = 1.0"),
    ("x = 1", "x = 1j"),
    ("x = 0.0", "x = -0.0"),
    ("x = 'a'", "x = b'a'"),
    ("x = ''", "x = None"),
    ("x = 1e400", "x = 1e300"),
    ("x = (1, 2)", "x = [1, 2]"),
    ("f(1, 23)", "f(12, 3)"),
    ("f('a', 'b')", "f('ab')"),
    ("x = y", "x = z"),
    ("x: int = 1", "x: str = 1"),
    ("class A:\n  x: int", "class A:\n  x: str"),
    ("@dataclass\nclass A:\n  x: int = 1", "@dataclass\nclass A:\n  x: float = 1"),
    ("@app.route\ndef f(x: int): return x", "@app.route\ndef f(x: str): return x"),
    ("@api.model\nclass A:\n  def f(self, x: int): ...", "@api.model\nclass A:\n  def f(self, x: str): ..."),
    ("def f():\n  'a'\n  return f.__doc__", "def f():\n  'b'\n  return f.__doc__"),
    ("def f(a): return a", "def f(b): return b"),
    ("def f(a, b): return a", "def f(a, *, b): return a"),
    ("def f(a, b): return a", "def f(a, b, /): return a"),
    ("def f(a, b=1): return a", "def f(a=1, b=1): return a"),
    ("def f(*, a=1, b): return a", "def f(*, a, b=1): return a"),
    ("def f(): return x", "def f():\n  global x\n  x = 1\n  return x"),
    ("def f():\n  x = 1\n  return y", "def f():\n  y = 1\n  return y"),
    ("def f(a):\n  x = 1; y = 2\n  return x", "def f(a):\n  x = 1; y = 2\n  return y"),
    (
        "def f():\n  x = 1\n  def g():\n    x = 2\n  return x",
        "def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = 2\n  return x",
    ),
    ("def f(x):\n  y = 1\n  return [y for y in x], y", "def f(x):\n  y = 1\n  return [z for z in x], z"),
    ("def f(x): return [a for a in x if (b := a)]", "def f(x): return [b for a in x if (b := a)]"),
    ("def f():\n  class A:\n    y = 1\n  return A", "def f():\n  class A:\n    z = 1\n  return A"),
    ("def f():\n  x = 1\n  return locals()", "def f():\n  y = 1\n  return locals()"),
    ("def f():\n  a = 1; b = 2\n  return q.query('@a')", "def f():\n  b = 1; a = 2\n  return q.query('@a')"),
    ("def f(t):\n  a = 1; b = 2\n  return q.query(t)", "def f(t):\n  b = 1; a = 2\n  return q.query(t)"),
    ("def f():\n  a = 1; b = 2\n  return f'{a=}'", "def f():\n  b = 1; a = 2\n  return f'{a=}'"),
    ("import a.b", "import a.b as a"),
    ("import a", "from a import a"),
    ("from . import a", "from .. import a"),
    ("f'{x}'", "f'{x!r}'"),
    ("f'{x:1}'", "f'{x:2}'"),
    ("f'{x}{y}'", "f'{x:{y}}'"),
    ("f'{x}'", "'{x}'"),
    ("x = a if b else c", "x = c if b else a"),
    ("x < y", "x <= y"),
    ("a and b", "a or b"),
    ("[*a]", "[a]"),
    ("f(*a)", "f(a)"),
    ("{**a}", "{a: a}"),
    ("x[1:]", "x[:1]"),
    ("x[1:2]", "x[1, 2]"),
    ("def f(): yield 1", "def f(): return 1"),
    ("def f(): yield x", "def f(): yield from x"),
    ("async def f(): pass", "def f(): pass"),
    ("async def f(): return [a async for a in b]", "async def f(): return [a for a in b]"),
    ("try: a()\nexcept E: pass", "a()"),
    ("try: a()\nexcept E: b()", "try: a()\nexcept* E: b()"),
    ("try:\n  a()\nexcept E: b()\nelse: c()", "try:\n  a()\n  c()\nexcept E: b()"),
    ("for x in y:\n  a\nb", "for x in y:\n  a\n  b"),
    ("match x:\n  case None: a", "match x:\n  case True: a"),
    ("match x:\n  case _: a", "match x:\n  case y: a"),
    ("return_ = 1", "del return_"),
    ("1", "x"),
    ("'a'", "'b'"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a, b):
    """A run is repeated for nothing after a cosmetic edit."""
    assert of(a) == of(b)


@pytest.mark.parametrize(("a", "b"), DIFFER)
def test_differ(a, b):
    """An edit that changes the result is served the old one."""
    assert of(a) != of(b)


def test_no_two_of_all_these_are_equal():
    """Two programs share a key."""
    texts = {a for a, _ in DIFFER}
    assert len({of(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("source", [
    "x = " + " + ".join(f"a{n}" for n in range(1000)),
    "x = " + ".b" * 0 + "a" + ".b()" * 300,
    "x = " + "-" * 300 + "1",
    "def f():\n" + "".join(f" x{n} = {n}\n" for n in range(2000)),
    "if a: pass\n" + "".join(f"elif a{n}: pass\n" for n in range(300)),
])  # fmt: skip
def test_long_chains(source):
    """A generated formula of a thousand terms crashes the cell."""
    assert of(source) == of(source + "  # same")


@pytest.mark.parametrize(
    "value",
    [None, True, ..., 0, -1, 1.5, float("inf"), -0.0, 1 - 0j, "é\ud800", b"\0", (1, ("a",)), frozenset({1, "a"})],
    ids=lambda value: type(value).__name__,  # the text of a set is another one in each process
)
def test_constants(value):
    """A constant in code without source has no key."""
    assert isinstance(constant(value), bytes)
    assert constant(10**6000) != constant(10**6000 + 1)  # too long for str()


def test_constants_refuse_the_rest():
    """A value that is no constant gets a key that says nothing of it."""
    with pytest.raises(TypeError, match="list"):
        constant([1])


OTHERS = sorted(Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python"))
SCRIPT = """
import sys, types, json, ast, hashlib
for name, path in (("nbflow", "nbflow"), ("nbflow.keys", "nbflow/keys")):
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
from nbflow.keys.canon import dump
print(json.dumps([hashlib.sha256(dump(ast.parse(text).body)).hexdigest() for text in json.load(sys.stdin)]))
"""
TRICKY = [
    "f'{x!r:>{w}} {{}} {y=} { z = }'", "f'{x:%H:%M}'", "f'''a\n{x\n}'''", "f'{x}' 'y' f'{z}'", "rf'\\d{x}'", "f'{lambda_}{(lambda: 1)()}'",
    "f'{x:{y}.{z}f}'", "f''", "f'{x!s}{y!a:>3}'", "f'{f\"{x}\"}'", "f'{x:a{y}b}c'", "f\"{d['k']}\"", "f'\\N{BULLET}{x}'", "f'{{{x}}}'",
]  # fmt: skip


@pytest.mark.parametrize("python", OTHERS or [None], ids=lambda path: path.parts[-3] if path else "none")
def test_other_pythons_agree(python):
    """Every key changes with an upgrade of Python."""
    if python is None:
        pytest.skip("no other Python is installed beside this one")
    files = [*sorted((ROOT / "nbflow").rglob("*.py")), *sorted(Path(ast.__file__).parent.glob("[a-d]*.py"))[:12]]
    texts = (
        [source for pair in (*SAME, *DIFFER) for source in pair] + TRICKY + [path.read_text("utf-8") for path in files]
    )
    mine = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(texts), capture_output=True, text=True, check=True, cwd=ROOT
    )
    other = subprocess.run(
        [python, "-W", "ignore", "-c", SCRIPT],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    pairs = zip(texts, json.loads(mine.stdout), json.loads(other.stdout), strict=True)
    assert [text[:60] for text, a, b in pairs if a != b] == []
