"""What a hit gives back: equal values, the same sharing, in this kernel and in a fresh one."""

import pytest

from tests.integration.kernels import Kernel, error, hit, told

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def restart(kernel):
    """A second kernel on the same store, for what has to survive a restart."""
    with Kernel(store=kernel.store) as other:
        yield other


CHANGES = {
    "list": ("a = [1, 2]", "a.append(3)", "a == [1, 2, 3]"),
    "nested list": ("a = {'k': [1]}; inner = a['k']", "a['k'].append(2)", "inner == [1, 2] and a['k'] is inner"),
    "dict": ("a = {'x': 1}", "a['y'] = 2; del a['x']", "a == {'y': 2}"),
    "dict order": ("a = {'x': 1, 'y': 2}", "a['x'] = a.pop('x')", "list(a) == ['y', 'x']"),
    "set": ("a = {1}", "a.add(2)", "a == {1, 2}"),
    "bytearray": ("a = bytearray(b'ab')", "a += b'c'", "a == b'abc'"),
    "deque": ("import collections; a = collections.deque([1, 2], maxlen=2)", "a.append(3)", "list(a) == [2, 3]"),
    "defaultdict": ("import collections; a = collections.defaultdict(list)", "a['k'].append(1)", "a['k'] == [1]"),
    "Counter": ("import collections; a = collections.Counter('aab')", "a['z'] += 1", "a['z'] == 1 and a['a'] == 2"),
    "a user's list": (
        "class L(list): pass\na = L([1]); a.note = 'x'",
        "a.append(2); a.note = 'y'",
        "list(a) == [1, 2] and a.note == 'y' and type(a) is L",
    ),
    "ndarray": ("import numpy as np; a = np.arange(4)", "a[1] = 9", "a.tolist() == [0, 9, 2, 3]"),
    "array through a view": (
        "import numpy as np; base = np.arange(4); a = base[1:3]",
        "a[0] = 9",
        "base.tolist() == [0, 9, 2, 3]",
    ),
    "object": ("class P: pass\na = P(); a.v = 1", "a.v = 2; a.w = [1]", "a.v == 2 and a.w == [1]"),
    "object in a list": ("class P: pass\np = P(); p.v = 1; a = [p]", "a[0].v = 2", "p.v == 2 and a[0] is p"),
    "class attribute": ("class a: n = 1", "a.n += 1", "a.n == 2"),
    "frame, new column": (
        "import pandas as pd; a = pd.DataFrame({'x': [1, 2]})",
        "a['y'] = a.x * 2",
        "list(a.columns) == ['x', 'y'] and a.y.tolist() == [2, 4]",
    ),
    "frame, cell set": (
        "import pandas as pd; a = pd.DataFrame({'x': [1, 2]})",
        "a.loc[0, 'x'] = 7",
        "a.x.tolist() == [7, 2]",
    ),
    "frame, rows dropped": (
        "import pandas as pd; a = pd.DataFrame({'x': [1, 2]})",
        "a.drop(index=0, inplace=True)",
        "a.x.tolist() == [2]",
    ),
    "series": ("import pandas as pd; a = pd.Series([1, 2])", "a[0] = 5", "a.tolist() == [5, 2]"),
    "numpy Generator": (
        "import numpy as np; a = np.random.default_rng(1)",
        "drawn = a.random()",
        "bool(abs(a.random() - np.random.default_rng(1).random(2)[1]) < 1e-12)",
    ),
    "swap of two members": ("m, n = [1], [2]; a = [m, n]", "a.reverse()", "a[0] is n and a[1] is m"),
    "cycle": ("a = []; a.append(a)", "a.append(1)", "a[0] is a and a[1] == 1"),
    "array.array": ("import array; a = array.array('i', [1, 2])", "a.append(3)", "a.tolist() == [1, 2, 3]"),
    "OrderedDict": (
        "import collections; a = collections.OrderedDict(x=1, y=2)",
        "a.move_to_end('x')",
        "list(a) == ['y', 'x']",
    ),
    "slots": (
        "class S:\n    __slots__ = 'v', 'w'\na = S(); a.v = 1",
        "a.w = a.v + 1; del a.v",
        "a.w == 2 and not hasattr(a, 'v')",
    ),
    "namespace": (
        "import types; a = types.SimpleNamespace(v=[1])",
        "a.v.append(2); a.w = 1",
        "(a.v, a.w) == ([1, 2], 1)",
    ),
    "masked array": (
        "import numpy as np; a = np.ma.array([1, 2], mask=[0, 0])",
        "a[0] = np.ma.masked",
        "a.tolist() == [None, 2]",
    ),
    "structured array": (
        "import numpy as np; a = np.zeros(2, [('x', int), ('y', float)])",
        "a['x'][1] = 5",
        "a.tolist() == [(0, 0.0), (5, 0.0)]",
    ),
    "array of objects": ("import numpy as np; a = np.array([[1], None], object)", "a[0].append(2)", "a[0] == [1, 2]"),
    "object in an object": (
        "class P: pass\na = P(); a.below = P(); a.below.v = {'k': [1]}; deep = a.below.v['k']",
        "a.below.v['k'].append(2)",
        "deep == [1, 2] and a.below.v['k'] is deep",
    ),
    "frame, index and attrs": (
        "import pandas as pd; a = pd.DataFrame({'x': [1, 2]})",
        "a.index = ['p', 'q']; a.attrs['unit'] = 'm'; a.columns = ['z']",
        "a.z.to_dict() == {'p': 1, 'q': 2} and a.attrs == {'unit': 'm'}",
    ),
    "polars frame": (
        "import polars as pl; a = pl.DataFrame({'x': [1, 2]})",
        "a.insert_column(1, pl.Series('y', [3, 4]))",
        "a.columns == ['x', 'y'] and a['y'].to_list() == [3, 4]",
    ),
    "sparse": (
        "import scipy.sparse as sp; a = sp.csr_matrix([[1.0, 0], [0, 2]])",
        "a.data[0] = 9",
        "a.toarray().tolist() == [[9, 0], [0, 2]]",
    ),
    "function attribute": (
        "def a(): return 1\na.calls = [1]",
        "a.calls.append(2); a.note = 'x'",
        "(a.calls, a.note) == ([1, 2], 'x')",
    ),
    "closure": (
        "def counter():\n    n = [0]\n    def inc(): n[0] += 1; return n[0]\n    return inc\na = counter()",
        "_ = a()",
        "a.__closure__[0].cell_contents == [1]",
    ),
    "random.Random": (
        "import random; a = random.Random(1)",
        "drawn = a.random()",
        "a.random() == [(r := random.Random(1)).random(), r.random()][1]",
    ),
    "a user's strict dict": (
        "class D(dict):\n    def update(self, **_): raise TypeError\na = D(x=1)",
        "a['y'] = 2",
        "a == {'x': 1, 'y': 2}",
    ),
    "a user's strict list": (
        "class L(list):\n    def __setitem__(self, *_): raise TypeError\na = L([1])",
        "a.append(2)",
        "a == [1, 2]",
    ),
    "objects in a set": (
        "class P:\n    def __init__(self, v): self.v = v\np, q, r = map(P, (1, 2, 1)); a = {p, q, r}",
        "for o in a: o.v += 10\na.discard(max(a, key=lambda o: o.v))",
        "(p.v, q.v, r.v) == (11, 12, 11) and a == {p, r}",
    ),
    "object as a key": (
        "class P: pass\np = P(); p.v = 1; a = {'x': 1, p: [2], frozenset({p}): 3}",
        "for o in a: a[o] = vars(o).update(v=2) if type(o) is P else 5",
        "p.v == 2 and a == {'x': 5, p: None, frozenset({p}): 5}",
    ),
    "object in a frozenset": (
        "class P: pass\np = P(); p.v = 1; a = [frozenset({p})]",
        "a.append(next(iter(a[0]))); a[1].v = 2",
        "p.v == 2 and a[1] is p",
    ),
    "list in an array": (
        "import numpy as np; inner = [1]; a = np.array([inner, None], object)",
        "a[0].append(2); a[1] = a[0]",
        "inner == [1, 2] and a[0] is inner and a[1] is inner",
    ),
    "special method of a class": ("class a: n = 1", "a.__len__ = lambda self: 3", "len(a()) == 3"),
    "tuple holding a list": ("t = [1]; a = (t, 2)", "a[0].append(3)", "t == [1, 3]"),
    "fitted model": (
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression\na = LinearRegression()\nX = np.arange(4.)[:, None]",
        "_ = a.fit(X, X[:, 0] * 2)",
        "bool(abs(a.coef_[0] - 2) < 1e-9)",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_input_changed_in_place_is_changed_again_for_every_alias(k, name):
    """Peers lose the change, or rebind the name so that aliases go stale."""
    make, change, holds = CHANGES[name]
    k.out(make + "\nalias = a")
    first = k.out("%%task\n" + change)
    assert k.value(holds) == "True"
    k.out(make + "\nalias = a")
    assert k.hits("%%task\n" + change), told(first)
    assert k.value(f"({holds}), a is alias") == "(True, True)"


REFUSED = {
    "an index": ("import pandas as pd; a = pd.Index([1])", "a.name = 'n'", "cannot be changed again in place"),
    "array frozen": ("import numpy as np; a = np.arange(3)", "a.flags.writeable = False", "in place"),
    "Generator that spawned": ("import numpy as np; a = np.random.default_rng(1)", "more = a.spawn(2)", "in place"),
    "array resized": ("import numpy as np; a = np.arange(3)", "a.resize((5,), refcheck=False)", "in place"),
    "iterator": ("a = iter([1, 2, 3])", "v = next(a)", "iterator"),
    "generator as an output": ("a = 1", "g = (i for i in range(a))", "g: a generator has no content to store"),
    "open file": ("import os; a = os.devnull", "fh = open(a)", "fh: a TextIOWrapper has no content to store"),
    "coroutine": ("a = 0", "import asyncio; co = asyncio.sleep(a)", "co: a coroutine has no content to store"),
    "future": ("a = 0", "import asyncio; fut = asyncio.get_event_loop().create_future()", "fut: "),
    "future of a pool": (
        "a = 1",
        "import concurrent.futures as cf\nwith cf.ThreadPoolExecutor(1) as pool: done = pool.submit(int, a)",
        "done: ",
    ),
    "lock": ("import threading; a = threading.Lock()", "a.acquire(timeout=1); a.release()", "lock"),
    "task": ("import asyncio; a = 0", "tk = asyncio.ensure_future(asyncio.sleep(a))", "tk: "),
    "class not at the top": ("a = 1", "if a:\n    class Hidden: pass\nh = Hidden()", "not defined at the top"),
    "function from exec": ("a = 1", "exec('def made(): return 1')", "made"),
    "deep": ("a = 100_000", "deep = []\nfor _ in range(a): deep = [deep]", "too deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_says_why_and_runs_every_time(k, name):
    """Silently wrong is the one thing a cache must not be."""
    make, change, why = REFUSED[name]
    k.out(make)
    reply, out = k.run("%%task\n" + change)
    assert reply["status"] == "ok", out
    assert "not cached" in told(out)
    assert why in told(out)
    k.out(make)
    assert not k.hits("%%task\n" + change)


def test_one_value_that_cannot_be_stored(k):
    """An hour of good results beside one lock would be lost without a word on what to do."""
    cell = "%%task{}\nimport threading\ngood = [1]\nlock = threading.Lock()"
    said = told(k.out(cell.format("")))
    assert "not cached: lock: " in said
    assert "give it a cell of its own, or name only the others in --out" in said
    assert "stored" in told(k.out(cell.format(" --out good")))
    k.out("del good, lock")
    assert k.hits(cell.format(" --out good"))
    assert k.value("good, 'lock' in globals()") == "([1], False)"


def test_left_overs_of_loops_and_with_blocks_do_not_cost_the_cell(k):
    """A closed file, a finished pool or a progress bar is no reason to run for an hour again."""
    cell = (
        "%%task\nimport concurrent.futures, os, threading\nwith open(os.devnull) as fh:\n    lines = fh.read()\n"
        "with concurrent.futures.ThreadPoolExecutor(1) as pool:\n    got = pool.submit(int, '3').result()\n"
        "worker = threading.Thread(target=int); worker.start(); worker.join()"
    )
    k.out(cell)
    k.out("del fh, pool, got, lines, worker")
    assert k.hits(cell)
    assert k.value("got, 'fh' in globals(), 'pool' in globals(), 'worker' in globals()") == "(3, False, False, False)"


def test_names_bound_on_one_branch_deleted_or_caught(k):
    """Absent stays absent, deleted stays deleted."""
    k.out("flag, gone = True, 1")
    cell = (
        "%%task\nif flag:\n    one = 1\nelse:\n    other = 2\ndel gone\n"
        "try:\n    1/0\nexcept ZeroDivisionError as caught:\n    seen = str(caught)"
    )
    k.out(cell)
    k.out("flag, gone = True, 1\ndel one, seen")
    assert k.hits(cell)
    assert k.value("one, seen, [n in globals() for n in ('other', 'gone', 'caught')]") == (
        "(1, 'division by zero', [False, False, False])"
    )


def test_names_that_were_ipythons_first(k, restart):
    """Behind a hit `open` would be the builtin again, and `__version__` not there at all."""
    cells = (
        "%%task\nfrom gzip import open\n__version__ = '1.0'",
        "%%task\nif __version__:\n    def quit(): return 'mine'",
    )
    for each, hits in ((k, False), (restart, True)):
        assert [each.hits(cell) for cell in cells] == [hits, hits]
        assert each.value("open.__module__, __version__, quit()") == "('gzip', '1.0', 'mine')"
        each.out("from io import open\ndel __version__, quit")


def test_two_hits_give_independent_values(k):
    """A list that grows through one hit must not have grown in the next."""
    k.out("%%task\nxs = [1]")
    k.hits("%%task\nxs = [1]")
    k.out("first = xs; xs.append(2)")
    assert k.hits("%%task\nxs = [1]")
    assert k.value("xs, first") == "([1], [1, 2])"


ONE = "%%task\na = [1]\nb = {'k': a, 'again': a}\nimport numpy as np\nbase = np.arange(10)\npart = base[2:4]"
TWO = "%%task\nc = [a, b]\nd = b['k']"
THREE = "%%task\na.append(2)"
SHARED = "b['k'] is a, b['again'] is a, c[0] is a, c[1] is b, d is a, a, np.shares_memory(part, base)"


def test_sharing_within_and_across_cells(k, restart):
    """`b['k'] is a` is how programs are written: two copies drift apart."""
    for cell in (ONE, TWO, THREE):
        k.out(cell)
    want = k.value(SHARED)
    assert want == "(True, True, True, True, True, [1, 2], True)"
    k.out("del a, b, c, d, base, part")
    for each in (k, restart):
        assert [each.hits(cell) for cell in (ONE, TWO, THREE)] == [True] * 3
        assert each.value(SHARED) == want
    restart.out("part[0] = 99")
    assert restart.value("int(base[2])") == "99"


def test_a_view_of_a_restored_array_shares_its_memory_too(k):
    """An array that came from the store lies in other memory than a computed one: its views are views all the same."""
    base, view = "%%task\nimport numpy as np\nbase = np.arange(6) * 7", "%%task\npart = base[::-1]"
    k.out(base)
    k.out("del base")
    assert k.hits(base)
    k.out(view)
    k.out("del base, part")
    assert k.hits(base)
    assert k.hits(view)
    assert k.value("np.shares_memory(part, base), part.tolist()") == "(True, [35, 28, 21, 14, 7, 0])"


def test_what_inputs_share_counts_as_it_was_before_the_cell(k):
    """A list that another one was put into hits; one that was taken out is not mistaken for an equal one."""
    put = "%%task\na.append(b)"
    for hits in (False, True):
        k.out("a, b = [1], [2]")
        assert k.hits(put) is hits
        assert k.value("a, a[1] is b") == "([1, [2]], True)"
    take = "%%task\nsame = a.pop() is b"
    for make, same in (("b = [2]; a = [b]", "True"), ("b = [2]; a = [[2]]", "False")):
        k.out(make)
        assert not k.hits(take)
        assert k.value("same") == same


def test_equal_inputs_that_share_otherwise_are_not_taken_for_each_other(k):
    """`a.append(1)` changes `b` too where they are one list, and only there."""
    cell = "%%task\na.append(1)\nn = len(b)"
    k.out("a = []; b = a")
    k.out(cell)
    assert k.value("n, b") == "(1, [1])"
    k.out("a, b = [], []")
    assert not k.hits(cell)
    assert k.value("n, b") == "(0, [])"
    k.out("a = []; b = a")
    assert k.hits(cell)
    assert k.value("n, b") == "(1, [1])"


DEFINE = (
    "%%task\nimport dataclasses, enum\nfrom collections import namedtuple\n@dataclasses.dataclass\nclass P:\n    x: int\n"
    "    def double(self): return P(self.x * 2)\nclass E(enum.Enum):\n    A = 1\np = P(3)\ncolour = E.A\n"
    "Point = namedtuple('Point', 'x y')\norigin = Point(0, 0)\nclass Counted:\n    n = 0\nCounted.n = 7\nCounted.m = [1]"
)
USE = "%%task\nq = [p, p.double(), colour, origin]"
CLASSES = (
    "q[0] is p, isinstance(q[1], P), q[1].x, q[2] is E.A, isinstance(q[3], Point), q[3] == (0, 0), Counted.n, Counted.m"
)


def test_classes_enums_and_named_tuples(k, restart):
    """`isinstance` must hold after a restart, and for what was made before the class's cell ran again."""
    k.out(DEFINE)
    k.out(USE)
    want = k.value(CLASSES)
    k.out("old = P, p\ndel q")
    assert k.hits(USE)
    assert k.value(CLASSES) == want
    assert k.hits(DEFINE)
    assert k.value("P is old[0], isinstance(old[1], P)") == "(True, True)"
    assert [restart.hits(DEFINE), restart.hits(USE)] == [True, True]
    assert restart.value(CLASSES) == want == "(True, True, 6, True, True, True, 7, [1])"


FUNCTIONS = (
    "%%task\n{0}import inspect, functools\ndef f(a, b=2):\n    # {1}\n    return a + b\ng = lambda q: q * f(q)\n"
    "def outer(n):\n    total = n\n    def inc(d):\n        nonlocal total\n        total += d\n        return total\n"
    "    return inc\ninc = outer(10)\ninc(1)\n@functools.lru_cache\ndef cached(x): return x + 1\n"
    "part = functools.partial(f, 5)\nbound = [1, 2].index"
)


REGISTRY = (
    "%%task\nclass Held:\n    every = []\n    named = {'k': []}\n    def __init__(self): Held.every.append(self)\n"
    "one = Held()\nHeld.named['k'].append(one)\nHeld.__len__ = lambda self: 7\nHeld.__doc__ = 'said later'"
)


def test_what_a_cell_puts_into_its_own_class(k, restart):
    """A registry that is empty after a hit, or a method that is gone, is an error cells later."""
    asked = "Held.every == [one], Held.named['k'][0] is one, len(one), Held.__doc__, type(one) is Held"
    k.out(REGISTRY)
    want = k.value(asked)
    for each in (restart, restart, k):
        assert each.hits(REGISTRY)
        assert each.value(asked) == want == "(True, True, 7, 'said later', True)"
        each.out("Held.every.append(5)")


def test_functions_come_back_with_the_source_as_it_stands(k, restart):
    """`inspect.getsource` and tracebacks need lines; closures need their state."""
    k.out(FUNCTIONS.format("", "why"))
    k.out("del f, g, inc, cached, part, bound")
    for each in (k, restart):
        assert each.hits(FUNCTIONS.format("\n\n", "reworded"))
        assert "reworded" in each.value("inspect.getsource(f)")
        assert each.value("g(3), inc(1), cached(4), part(1), bound(2)") == "(15, 12, 5, 6, 1)"
        assert "return a + b" in error(each.out("f(1, None)"))
        assert each.value("f.__globals__ is globals()") == "True"


def test_ordinary_values_survive_a_restart(k, restart):
    """Frames, arrays, text, numbers, plots and Out: the reason to have a cache at all."""
    cell = (
        "%%task\nimport numpy as np, pandas as pd, datetime, decimal, pathlib\n"
        "frame = pd.DataFrame({'x': [1, 2], 'y': ['a', None]}, index=pd.Index([5, 6], name='i')); frame.attrs['k'] = 1\n"
        "big = np.arange(200_000).reshape(2, -1)\nfortran = np.asfortranarray(np.eye(3))\nzero = np.array(5)\n"
        "odd = [float('nan'), float('inf'), -0.0, 10**40, b'\\xff', '\\ud800', None, ..., NotImplemented, int]\n"
        "when = datetime.datetime(2026, 1, 2), decimal.Decimal('1.10'), pathlib.Path('x')\nprint('made')\nframe.x.sum()"
    )
    check = (
        "frame.equals(pd.DataFrame({'x': [1, 2], 'y': ['a', None]}, index=pd.Index([5, 6], name='i'))), frame.attrs, "
        "int(big.sum()), big.flags.writeable, fortran.flags.f_contiguous, zero.shape, odd, when"
    )
    k.out(cell)
    want = k.value(check)
    out = restart.out(cell)
    assert hit(out)
    assert [each[1:3] for each in out if each[0] == "stream"] == [("stdout", "made\n")]
    assert restart.value(check) == want
    restart.out("big[0, 0] = 5")
    assert k.hits(cell)
    assert k.value("int(big[0, 0])") == "0"


ODD = """%%task
import collections, copy, enum, functools, io, math, numpy as np, pandas as pd, scipy.sparse as sp
class Colour(enum.Enum):
    RED = 1
class Bits(enum.Flag):
    A = 1
    B = 2
class Owner:
    def __init__(self): self.n = 2
    def times(self, x): return self.n * x
    @property
    def twice(self): return 2 * self.n
missing = object()
default = {'x': missing}
owner = Owner()
method, bits = owner.times, Bits.A | Bits.B
by_name, power = math.sqrt, functools.partial(pow, exp=2)
adders = [lambda x, n=n: x + n for n in range(3)]
numbers = [float('nan'), float('-inf'), -0.0, 10**50, 1 + 2j, True, np.float32(0.1), np.int8(-3), b'\\0', '\\udc80']
structured = np.array([(1, 'a'), (2, 'b')], dtype=[('n', 'i2'), ('s', 'U3')])
masked = np.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=-9)
objects = np.array([[1], None, 'x'], object)
shapes = np.array(5), np.zeros((0, 3)), np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(10)[::-2], np.array('2026', 'M8[D]')
frozen = np.arange(3); frozen.flags.writeable = False
np.save('mapped.npy', np.arange(4)); mapped = np.load('mapped.npy', mmap_mode='r')
grid = sp.csc_matrix([[0, 1], [2, 0]])
wide = pd.DataFrame({'n': pd.array([1, None], 'Int64'), 'c': pd.Categorical(['a', 'b'], ['b', 'a'], ordered=True),
    't': pd.to_datetime(['2026-01-01', '2026-01-02']).tz_localize('Europe/Oslo'), 'l': [[1], {'k': 2}], 's': ['x', None]},
    index=pd.MultiIndex.from_tuples([('a', 1), ('b', 2)], names=['p', None]))
wide.attrs['unit'] = 'm'
double = pd.DataFrame([[1, 2]], columns=['x', 'x'])
period = pd.Series(pd.period_range('2026-01', periods=2, freq='M'), name=('a', 1))
chained = collections.ChainMap({'a': 1}, {'b': 2})
stream = io.StringIO('ab\\ncd'); _ = stream.readline()
every = [iter([1, 2, 3]), Ellipsis, NotImplemented, None, type(None), range(3), slice(1, None), memoryview, int]
next(every[0])
it = 1
"""
ODDLY = (
    "default['x'] is missing, method(3), method.__self__ is owner, owner.twice, bits is Bits.A | Bits.B, Colour(1) is Colour.RED, "
    "by_name is math.sqrt, power(3), [f(1) for f in adders], numbers, [type(x).__name__ for x in numbers], structured.dtype, "
    "structured.tolist(), masked.tolist(), masked.fill_value, objects.tolist(), "
    "[(a.shape, a.dtype, a.tolist()) for a in shapes], shapes[2].flags.f_contiguous, frozen.flags.writeable, "
    "mapped.tolist(), grid.format, grid.toarray().tolist(), wide.to_dict('list'), wide.dtypes.astype(str).tolist(), "
    "wide.index.names, wide.index.tolist(), wide.attrs, wide.c.cat.categories.tolist(), double.columns.tolist(), period.dtype, "
    "period.name, period.astype(str).tolist(), dict(chained), stream.read(), list(copy.copy(every[0])), every[1:]"
)


def test_odd_values_come_back_as_they_were(k, restart):
    """A `nan`, a mask, a time zone, a flag or the order of an array that is lost is a wrong result, and nobody sees it."""
    cell = ODD.replace("mapped.npy", f"{k.folder}/mapped.npy")
    assert "stored" in (said := told(k.out(cell))), said
    want = k.value(ODDLY)
    for each in (k, restart):
        each.out("for name in ('missing', 'numbers', 'wide', 'mapped', 'stream', 'every'): globals().pop(name, None)")
        assert each.hits(cell)
        assert each.value(ODDLY) == want
    assert "missing has no content" in told(k.out("%%task\nkept = missing")), (
        "a bare object() is itself and nothing else"
    )
    same = "%%task\nkept = Colour.RED, owner"
    assert "stored" in (said := told(k.out(same))), said
    for each in (k, restart):
        assert each.hits(same)
        assert each.value("kept[0] is Colour.RED, kept[1] is owner") == "(True, True)"


KINDS = (
    "%%task\nimport numpy as np\nclass Bunch(dict):\n    def __init__(self, **items):\n        super().__init__(**items)\n"
    "        self.__dict__ = self\nclass Metres(np.ndarray): pass\nbunch = Bunch(x=1)\nbunch.y = [2]\n"
    "way = np.arange(3).view(Metres)\nway.unit = bunch.y\nroad = np.memmap('road', mode='r', dtype='u1')"
)


def test_kinds_whose_own_pickles_lose_something(k, restart):
    """An attribute that is gone, or no key any more, is found out an hour later."""
    for each, hits in ((k, False), (restart, True)):
        each.out("open('road', 'wb').write(b'abc')")
        assert each.hits(KINDS) is hits
        each.out("bunch.z = 3")
        assert each.value(
            "bunch, vars(bunch) is bunch, bunch.y is way.unit, type(way) is Metres, way.tolist(), bytes(road)"
        ) == ("({'x': 1, 'y': [2], 'z': 3}, True, True, True, [0, 1, 2], b'abc')")
    assert "writes to its file" in told(k.out("%%task\nroad = np.memmap('road', mode='r+', dtype='u1')"))


def test_large_values_are_read_when_they_are_used(k):
    """A hit that reads gigabytes nobody looks at is no hit; nor does looking at the list of variables read them."""
    cell = "%%task\nimport numpy as np\nbig = np.ones(25_000_000)"
    resident = "int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6"
    k.out(cell)
    with Kernel(store=k.store, setup="import numpy as np", NBFLOW_VERIFY="sealed") as other:
        other.out(f"before = {resident}")
        assert other.hits(cell)
        other.out("%whos")
        assert float(other.value(f"{resident} - before")) < 60
        assert other.value("float(big[-1])") == "1.0"
        assert float(other.value(f"(big.sum(), {resident} - before)[1]")) > 150


def test_seeded_generators_go_on_where_a_run_would_have_left_them(k):
    """A reproducible notebook must draw the same numbers behind a cached cell."""
    k.out("import random\nimport numpy as np\nrandom.seed(1); np.random.seed(1)")
    cell = "%%task\nr1 = random.random(), float(np.random.rand())"
    k.out(cell)
    after = k.value("random.random(), float(np.random.rand())")
    k.out("random.seed(1); np.random.seed(1)")
    assert k.hits(cell)
    assert k.value("random.random(), float(np.random.rand())") == after
    k.out("random.seed(2)")
    assert not k.hits(cell)


STYLED = """%%task style {}
import builtins, gc, logging, os, socket, sys, time, warnings
import matplotlib.pyplot as plt, numpy as np, pandas as pd
plt.style.use('ggplot')
pd.options.display.max_rows = 6
np.set_printoptions(precision=2, formatter={{'bool': lambda flag: 'yes' if flag else 'no'}})
warnings.filterwarnings('ignore', 'noisy')
logging.getLogger('shop').setLevel('ERROR'); logging.getLogger('till').propagate = False
socket.setdefaulttimeout(90); sys.setswitchinterval(0.02); gc.disable()
os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()
from tqdm import tqdm; tqdm.pandas()
%config InlineBackend.figure_format = 'svg'
%config InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'
{}"""
LOOKS = (
    "plt.rcParams['axes.facecolor'], pd.get_option('display.max_rows'), str(np.array([1.234])), str(np.array([True])), "
    "sum(f[0] == 'ignore' and getattr(f[1], 'pattern', '') == 'noisy' for f in warnings.filters), "
    "logging.getLogger('shop').level, get_ipython().ast_node_interactivity"
)
MORE = (
    "logging.getLogger('till').propagate, socket.getdefaulttimeout(), sys.getswitchinterval(), gc.isenabled(), "
    "time.tzname[0], hasattr(pd.DataFrame, 'progress_apply')"
)


def test_settings_of_libraries_are_made_again(k):
    """The cell that sets up the notebook is cached like any other: plots behind it would look as if it had not run."""
    cell = STYLED.format("", "")
    want = "('#E5E5E5', 6, '[1.23]', '[yes]', 1, 40, 'last_expr_or_assign')"
    plot = "plt.plot([1, 2]); plt.show()"
    with Kernel(store=k.store) as one:
        assert "stored" in told(one.out(cell))
        assert one.value(LOOKS) == want
        assert one.value(MORE) == "(False, 90.0, 0.02, False, 'JST', True)"
        assert [each[2] for each in one.out(plot) if each[0] == "display_data"] == [["image/svg+xml", "text/plain"]]
    with Kernel(store=k.store) as other:
        assert other.hits(cell)
        assert other.value(LOOKS) == want
        assert other.value(MORE) == "(False, 90.0, 0.02, False, 'JST', True)"
        assert [each[2] for each in other.out(plot) if each[0] == "display_data"] == [["image/svg+xml", "text/plain"]]
        other.out("plt.rcdefaults()")
        assert other.hits(cell)
        assert other.value("plt.rcParams['axes.facecolor']") == "'#E5E5E5'"
        other.out("plt.rcdefaults(); builtins.tries = 0")
        seen = "builtins.tries += 1\nlooks = {}\nif builtins.tries < 2: raise OSError"
        other.out("%%task --retries 1\n" + seen.format("plt.rcParams['font.size']; plt.rcParams['font.size'] = 3"))
        assert other.value("looks") == "10.0", "a second attempt starts from the settings before the first"


def test_only_the_outputs_asked_for(k):
    """`--out` keeps a scratch array of ten gigabytes out of the store."""
    cell = "%%task --out small\nscratch = list(range(1000))\nsmall = sum(scratch)"
    k.out(cell)
    k.out("del scratch, small")
    assert k.hits(cell)
    assert k.value("small, 'scratch' in globals()") == "(499500, False)"
    k.out("del small")
    for header in ("%%task", "%%task --out scratch,small"):
        said = told(k.out(cell.replace("%%task --out small", header)))
        assert "miss: --out" in said, "what was kept lacks a name that is asked for now"
        assert k.value("'small' in globals(), 'scratch' in globals()") == "(True, True)"
        k.out("del small, scratch")
    assert k.hits(cell.replace("small", "small,scratch", 1))


def test_a_cell_that_changes_its_own_input(k):
    """`n += 1` counts on, and a reset counter hits; `df = clean(df)` is keyed by the old `df`."""
    k.out("i = 0")
    assert [(k.hits("%%task\ni += 1"), k.value("i")) for _ in range(3)] == [(False, "1"), (False, "2"), (False, "3")]
    k.out("i = 0")
    assert k.hits("%%task\ni += 1")
    assert k.value("i") == "1"
