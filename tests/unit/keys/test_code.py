"""The identity of code: which edits change it and which do not, row by row."""

import ast
import gc
import importlib
import json
import linecache
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbflow.keys import code
from nbflow.keys.reach import reach
from nbflow.keys.source import around, imported, parse, seen
from tests.unit.keys.code_cases import DIFFER, ROWS, SAME, cell, key


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
        keys.append(
            key(
                "import tools\ndef f(x):\n    tools.update(x)\n    tools.total.append(1)\n    tools.total[0] = 3\n    return x"
            )
        )
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
    source = "import math\nK = 2\ndef g(x): return x * K\nclass A:\n    def m(self): return g(1)\ndef f(x): return g(x) + A().m() + math.pi + len(__name__)"
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


@pytest.mark.parametrize("other", ["math.cos", "functools.partial(pow, 2)", "Mine()", "Mine().m"])
def test_library_function_replaced(other, monkeypatch):
    """The results of the original would be served, whatever it is that stands in its place."""
    import math

    source = "import functools, math\nclass Mine:\n    def __call__(self, x): return {}\n    m = __call__\ndef f(x): return math.sin(x)"
    keys = [reach(cell(source.format(1))["f"]).code]
    for n in (1, 2):
        space = cell(source.format(n))
        found = reach(space["f"])
        with monkeypatch.context() as patch:
            patch.setattr(math, "sin", eval(other, space))
            assert not found.unchanged()
            keys.append(code.identify(space["f"]))
            assert code.identify(space["f"]) == keys[-1] != keys[0]
        assert reach(space["f"]).code == keys[0]
    assert (keys[1] == keys[2]) is ("Mine" not in other)


@pytest.mark.parametrize(("source", "one", "other"), [
    ("import numpy as np\ng = np.vectorize(lambda x: x, otypes=[$])\ndef f(x): return g(x)", "float", "int"),
    ("import numpy as np\ng = np.vectorize(lambda x: x + $)\ndef f(x): return g(x)", "1", "2"),
    ("import numpy as np\ng = np.$.reduce\ndef f(x): return g(x)", "add", "multiply"),
    ("import numpy as np\ndef f(x): return np.$(x)", "sin", "cos"),
    ("import attrs\n@attrs.define\nclass A:\n    k: int = attrs.field($)\ndef f(x): return A(1)", "", "default=None"),
    ("import attrs\n@attrs.define\nclass A:\n    k: int = attrs.field(default=1, converter=lambda v: v + $)\ndef f(x): return A()", "1", "2"),
    ("import attrs\n@attrs.define\nclass A:\n    k: int = attrs.field(alias='$')\ndef f(x): return A(1)", "a", "b"),
    ("import pydantic\nclass A(pydantic.BaseModel):\n    k: int = pydantic.Field(1, ge=$)\ndef f(x): return A()", "0", "1"),
    ("import pydantic\nclass A(pydantic.BaseModel):\n    k: int = pydantic.Field(1, alias='$')\ndef f(x): return A()", "a", "b"),
    ("import pydantic\nclass A(pydantic.BaseModel):\n    model_config = pydantic.ConfigDict(extra='$')\ndef f(x): return A()", "allow", "forbid"),
])  # fmt: skip
def test_libraries_that_make_functions_and_classes(source, one, other):
    """What stands beside the user's own code in them changes results too."""
    for name in ("numpy", "attrs", "pydantic"):
        if f"import {name}" in source:
            pytest.importorskip(name)
    keys = [key(source.replace("$", each)) for each in (one, one, other)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="https://peps.python.org/pep-0695/ came with Python 3.12")
@pytest.mark.parametrize(("expected", "source", "one", "other"), [
    (SAME, "def f$(x): return x", "", "[T]"),
    (SAME, "def f[T](x: $): return x", "T", "list[T]"),
    (DIFFER, "def f[T: $](x: T): return T.__bound__", "int", "str"),
    (DIFFER, "type A = $\ndef f(x): return A.__value__", "int", "str"),
    (DIFFER, "k = $\ndef f(x):\n    type A = k\n    return A.__value__", "1", "2"),
    (DIFFER, "k = $\ndef f(x):\n    class A[T]:\n        k = k\n    return A.k", "1", "2"),
    (SAME, "k = $\ndef f(x):\n    class A:\n        k = int\n        def m[T](self, v=k): return v\n    return A().m()", "1", "2"),
    (DIFFER, "class A[T]:\n    def m(self): return $\ndef f(x): return A[int]().m()", "1", "2"),
    (DIFFER, "def f(x): return f'{f'{x + $}'}'", "1", "2"),
    (SAME, "def f(x): return $", "f'{x[\"a\"]}'", "f'{x['a']}'"),
])  # fmt: skip
def test_newer_syntax(expected, source, one, other):
    """As for the rows, on the Pythons that can read them."""
    keys = [key(source.replace("$", each)) for each in (one, one, other)]
    assert keys[0] == keys[1]
    assert (keys[0] == keys[2]) is expected


BIG = """
import json, math
from os import (
    path,
)
SQL = '''
def g(x): return 0
import nothing
'''
{filler}
def deco(*a):
    return lambda fn: fn
@deco(
1,
)
@deco()
def g(
x,
):
    return '''
def g(x): return 0
{n}
''' + json.dumps(x) + path.basename(str(x))
class A:
    @staticmethod
    def m(): return math.floor({n})
T = {{
'a': lambda: 1,
'b': lambda: {n},
}}
if T:
    def h(): return {n}
else:
    def h(): return 0
def make():
    def inner():
        return {n}, json
    return inner
inner, last = make(), T['b']
def f(x): return g(x), A.m(), last(), h(), inner()
"""


def test_one_function_of_a_big_file(module):
    """The first call of a function would wait until thousands of lines beside it are parsed; or be mistaken for them."""
    filler = "\n".join(f"def other{n}(x):\n    return [x * {n}\n            for x in x]\n" for n in range(200))
    keys = []
    for n, more in ((1, ""), (1, filler), (1, "\n\n" + filler), (2, filler)):
        big = module(BIG.format(filler=more, n=n), "big")
        keys.append(reach(big.f).code)
    assert keys[0] == keys[1] == keys[2] != keys[3]
    texts = list(seen[big.__file__])
    whole = parse(texts[0], 0)
    for each in (big.f, big.g, big.A.m, big.T["a"], big.T["b"], big.h, big.inner, big.make):
        parts = [parse(part, 0, imported(texts[0])) for part in around(texts[0], each.__code__.co_firstlineno)]
        found = [node for part in parts if part and (node := part.find(each.__code__, moved=False))]
        assert found, each
        assert ast.dump(found[0]) == ast.dump(whole.find(each.__code__))


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
    import numpy as np
    import sklearn

    traits = reach(
        cell("import numpy as np\nfrom sklearn import metrics\ndef f(x): return np.mean(metrics.accuracy_score(x, x))")[
            "f"
        ]
    ).traits
    assert traits["numpy"].short == np.__version__
    assert traits["scikit_learn"].short == sklearn.__version__


def test_our_own_decorator_does_not_count():
    """Changing the retries of a task would run it again."""
    from types import ModuleType

    fake = ModuleType("nbflow.fake")
    exec("def task(fn=None, **options): return fn if fn else (lambda fn: fn)", vars(fake))
    keys = []
    for line in ("@task", "@task(retries=3)", ""):
        space = cell(
            f"{line}\ndef f(x: int):\n    'doc'\n    return x", {"__name__": "__main__", "task": vars(fake)["task"]}
        )
        keys.append(code.identify(space["f"]))
    assert len(set(keys)) == 1


ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, sys
from hashlib import blake2b
from importlib.util import find_spec
from types import ModuleType
if not find_spec("xxhash"):  # another Python without it: anything that digests will do on both sides
    sys.modules["xxhash"] = stand_in = ModuleType("xxhash")
    stand_in.xxh3_128 = lambda *data: blake2b(*data, digest_size=16)
    stand_in.xxh3_128_digest = lambda data: blake2b(data, digest_size=16).digest()
sys.path.insert(0, sys.argv[1])
from tests.unit.keys.code_cases import ROWS, key
print(json.dumps([key(*row[side:side + 1], *row[4:]) for row in ROWS for side in (2, 3)]))
"""
KEYS = [(row[0], row[side], row[4:]) for row in ROWS for side in (2, 3)]
OTHERS = sorted(Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python"))


def elsewhere(python, **environment):
    """All keys, in another process."""
    command = [python, "-W", "ignore", "-c", SCRIPT, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_identity_does_not_depend_on_hash_seeds(seed):
    """Every restart of the kernel would run everything again."""
    found = elsewhere(sys.executable, PYTHONHASHSEED=seed)
    assert [case[0] for case, each in zip(KEYS, found, strict=True) if key(case[1], *case[2]) != each] == []


@pytest.mark.parametrize("python", OTHERS or [None], ids=lambda path: path.parts[-3] if path else "none")
def test_other_pythons_agree(python):
    """An upgrade of Python would run everything again."""
    if python is None:
        pytest.skip("no other Python is installed beside this one")
    found = elsewhere(python)
    assert [case[0] for case, each in zip(KEYS, found, strict=True) if key(case[1], *case[2]) != each] == []


CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from nbflow.keys.reach import reach
from nbflow.keys.source import find
shell = InteractiveShell()
first = "import json\\ng = [lambda x: json.dumps(x), lambda x: -x]\\nclass A:\\n    def m(self): return json.dumps(1)\\n"
shell.run_cell(first + "def f(x):\\n    !ls {x}\\n    return open(x), json.dumps(x)").raise_error()
space = shell.user_ns
assert all(find(each.__code__, space) for each in (space["f"], *space["g"], space["A"].m)), "no source"
before = reach(space["f"])
shell.run_cell("# moved\\nimport json\\ndef f(x):\\n    !ls {x}\\n    return (open(x), json.dumps(x))  # c").raise_error()
assert reach(space["f"]).code == before.code, "a reformatted cell"
assert "ipython" not in before.traits, "its version counts"
"""


def test_ipython_cells():
    """Code of cells with magics, imports and lambdas would count by its bytecode, and miss after an upgrade of Python."""
    pytest.importorskip("IPython")
    command = [sys.executable, "-W", "ignore", "-c", CELLS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_cell():
    """A reformatted cell would run again, or an edited one would not."""
    one = code.cell(ast.parse("x = f( 1 )  # c\ny = 'a'\n").body)
    assert one == code.cell(ast.parse('\nx = f(1)\ny = "a"').body)
    assert one != code.cell(ast.parse("z = f(1)\ny = 'a'").body)
    assert len(one) == 16


class Circular:
    """Garbage that runs code when it is collected, and so lets another thread in."""

    def __init__(self):
        self.me = self

    def __del__(self):
        sum(range(200))


def test_trees_are_made_in_several_threads():
    """The first calls of a task on a pool would fail now and then: two threads that make a tree disturb each other."""
    from concurrent.futures import ThreadPoolExecutor

    from nbflow.keys.source import compiled

    text = "\n".join(f"def f{n}(a): return [a + {n} for a in b if a or {{'k': lambda: {n}}}]" for n in range(60))

    def make():
        for _ in range(20):
            Circular()
        return len(compiled(text, ast.PyCF_ONLY_AST).body)

    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert {each.result() for each in [pool.submit(make) for _ in range(60)]} == {60}
    finally:
        sys.setswitchinterval(before[0])
        gc.set_threshold(*before[1])
