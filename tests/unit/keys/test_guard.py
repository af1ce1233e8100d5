"""The guard: every change of what is reached is seen, nothing else is, and no data are held."""

import functools
import gc
import weakref

import pytest

from nbflow.keys import code
from nbflow.keys.explain import compare
from nbflow.keys.guard import CHANGED
from nbflow.keys.reach import reach
from tests.unit.keys.code_cases import DIFFER, SAME, cell

SOURCE = """
import functools, math
K = 3
CONFIG = {"deep": [1, 2]}
NAMES = ("a", "b")
def norm(x, k=2, *, w=1): return x * k * w
def clean(x): return norm(x) + K
class Base:
    def grow(self): return 1
class Box(Base):
    scale = 2
    def size(self): return self.scale
    @staticmethod
    def one(): return 1
    @classmethod
    def two(cls): return cls.scale
    @property
    def area(self): return self.size() ** 2
@functools.lru_cache
def kept(x): return x
def mark(): "doc"
mark.level = 1
def make(n):
    def inner(x):
        return (clean(x) + n + Box().area + Box.one() + CONFIG["deep"][0] + len([x]) + kept(x) + len(NAMES)
                + math.floor(x) + mark.level)
    return inner
f = make(10)
"""
EDITS = {
    "K = 4": "global K 3 → 4",
    "del K": "global K is gone",
    "NAMES = ('a',)": "global NAMES",
    "def norm(x, k=2, *, w=1): return x * k * w + 1": "norm() changed",
    "norm.__defaults__ = (3,)": "default k of norm() 2 → 3",
    "norm.__kwdefaults__['w'] = 5": "default w of norm() 1 → 5",
    "norm.__kwdefaults__ = {'w': 6}": "default w of norm() 1 → 6",
    "norm.__code__ = (lambda x, k=2, *, w=1: 0).__code__": "norm() changed",
    "f.__code__ = make.__code__.co_consts[1].replace(co_name='other')": "the code changed",
    "Box.scale = 3": "class Box changed",
    "Box.more = 3": "class Box changed",
    "del Box.two": "class Box changed",
    "Box.size = lambda self: 7": "class Box changed",
    "Box.size.__code__ = (lambda self: 7).__code__": "class Box changed",
    "Box.one = staticmethod(lambda: 2)": "class Box changed",
    "Box.area = property(lambda self: 1)": "class Box changed",
    "Base.grow = lambda self: 2": "class Base changed",
    "f.__closure__[0].cell_contents = 11": "closure n 10 → 11",
    "len = lambda x: 100": "global len is new",
    "def clean(x): return 5": "clean() changed",
    "class Box(Box):\n    scale = 9": "class Box changed",
    "mark.level = 2": "global mark.level 1 → 2",
    "@functools.lru_cache\ndef kept(x): return -x": "kept() changed",
    "import cmath as math": "global math is new",
}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_is_seen(edit):
    """The result of the old code is served after this edit."""
    space = cell(SOURCE)
    before = reach(space["f"])
    identity = code.identify(space["f"])
    assert before.unchanged()
    cell(edit, space)
    try:
        assert not before.unchanged()
    except CHANGED:
        pass
    after = reach(space["f"])
    assert after.code != before.code
    assert code.identify(space["f"]) != identity
    assert any(str(each).startswith(EDITS[edit]) for each in compare(after.traits, before.traits))
    again = cell(SOURCE)["f"]
    assert reach(again).code == before.code


@pytest.mark.parametrize("edit", [
    "def norm(x, k=2, *, w=1): return x * k * w", "K = 3", "unused = 7", "def other(): return 8", "CONFIG = {'deep': [1, 2]}",
    "class Box(Base):" + SOURCE.partition("class Box(Base):")[2].partition("@functools")[0],
])  # fmt: skip
def test_the_same_again_is_the_same(edit):
    """Running a cell again, unchanged, makes its readers run again."""
    space = cell(SOURCE)
    before = reach(space["f"])
    cell(edit, space)
    after = reach(space["f"])
    assert after.code == before.code
    assert after.live() == before.live()


def test_mutable_values_are_live():
    """A global list that was changed in place is served the old result."""
    space = cell(SOURCE)
    found = reach(space["f"])
    assert found.live_names == ("global CONFIG",)
    assert found.live() == ({"deep": [1, 2]},)
    identity = code.identify(space["f"])
    space["CONFIG"]["deep"].append(3)
    assert found.unchanged()
    assert found.live() == ({"deep": [1, 2, 3]},)
    assert code.identify(space["f"]) != identity


class Frame:
    rows = 1


def test_data_are_not_held():
    """A frame of many GB that the user let go of is never freed."""
    space = cell("def f(x): return frame, g(x)\ndef g(x): return frame")
    space["frame"] = Frame()
    gone = weakref.ref(space["frame"])
    found = reach(space["f"])
    code.identify(space["f"])
    space["frame"] = Frame()
    gc.collect()
    assert gone() is None
    assert found.live()[0] is space["frame"]


def test_data_in_a_closure_die_with_it():
    """Every lambda that was ever passed to a task keeps its data alive."""

    def make(frame):
        def f(x):
            return frame, f

        return f

    frame = Frame()
    gone = weakref.ref(frame)
    function = make(frame)
    code.identify(function)
    del frame, function
    gc.collect()
    assert gone() is None


def test_live_handles_count_by_type():
    """A task that logs, or has a connection, is never cached."""
    space = cell(
        "import logging, threading\nlog, lock = logging.getLogger('a'), threading.Lock()\ndef f(x):\n    with lock: log.info(x)"
    )
    found = reach(space["f"])
    assert found.live is None
    assert found.traits["global log"].short == "Logger"
    space["log"] = space["logging"].getLogger("b")
    assert found.unchanged()
    space["log"] = None
    assert not found.unchanged()


def test_name_that_comes_late():
    """A function whose helper is defined after its first use sees the helper's result of before."""
    space = cell("def f(x): return later(x)")
    found = reach(space["f"])
    assert found.unchanged()
    cell("def later(x): return 1", space)
    assert not found.unchanged()


def test_cell_that_is_filled_late():
    """A closure over a name that is bound after the function was made sees nothing of it."""
    space = cell(
        "def m():\n    def i(x): return later\n    def fill(v):\n        nonlocal later\n        later = v\n    if False: later = 0\n    return i, fill\nf, fill = m()"
    )
    found = reach(space["f"])
    assert found.unchanged()
    space["fill"](1)
    assert not found.unchanged()
    assert reach(space["f"]).code != found.code


def test_our_tasks_count_by_their_function():
    """Giving a helper more retries, or making it a task, changes nothing; editing it does."""
    from types import ModuleType

    fake = ModuleType("nbflow.fake")
    exec(
        "class Task:\n    def __init__(self, fn, retries=0): self.fn, self.retries = fn, retries\n    def __call__(self, x): return self.fn(x)\ndef task(fn): return Task(fn)",
        vars(fake),
    )

    def of(line, body="x"):
        space = {"__name__": "__main__", **{name: vars(fake)[name] for name in ("task", "Task")}}
        return reach(cell(f"{line}def g(x): return {body}\ndef f(x): return g(x)", space)["f"]).code

    assert of("@task\n") == of("")
    assert of("@task\n") != of("@task\n", "-x")


def test_strings_that_may_name_files():
    """A file that is named by a constant, and read behind Python's back, changes unseen."""
    found = reach(cell("HERE = 'a.csv'\ndef g(): return 'b.csv'\ndef f(x):\n    'doc.csv'\n    return HERE, g()")["f"])
    assert {"a.csv", "b.csv"} <= {*found.strings}
    assert "doc.csv" not in found.strings


def test_wrapped_in_place():
    """A helper that gets a cache around it is taken for another."""
    space = cell("def g(x): return x\ndef f(x): return g(x)")
    found = reach(space["f"])
    space["g"] = functools.lru_cache(space["g"])
    assert not found.unchanged()
    assert "g()" in reach(space["f"]).traits


@pytest.mark.parametrize(("expected", "source", "edit"), [
    (DIFFER, "H = {}\ndef f(x): return H[x](x)", "H['a'] = lambda x: 1"),
    (DIFFER, "H = {'a': lambda x: 2}\ndef f(x): return H[x](x)", "H['a'] = lambda x: 1"),
    (SAME, "H = {'a': lambda x: 2}\ndef f(x): return H[x](x)", "H['a'] = lambda x: 2"),
    (DIFFER, "def h(x): return 1\nH = (h,)\ndef f(x): return H[0](x)", "h.__code__ = (lambda x: 2).__code__"),
    (DIFFER, "class K:\n    def m(self): return 1\nH = {'k': K}\ndef f(x): return H['k']().m()", "K.m = lambda self: 2"),
    (DIFFER, "Z = 1\nclass K:\n    def m(self): return Z\nk = K()\ndef f(x): return k.m()", "Z = 2"),
    (DIFFER, "import functools\nZ = 1\ndef g(x): return Z\np = functools.partial(g)\ndef f(x): return p(x)", "Z = 2"),
    (DIFFER, "class K:\n    def m(self): return 1\nk = K()\ndef f(x): return k.m()", "class L:\n    def m(self): return 2\nk.__class__ = L"),
    (SAME, "class K:\n    def m(self): return 1\nk = K()\ndef f(x): return k.m()", "class K:\n    def m(self): return 2"),
    (DIFFER, "import functools\n@functools.singledispatch\ndef g(x): return 0\ndef f(x): return g(x)", "@g.register(int)\ndef _(x): return 1"),
    (DIFFER, "import contextvars\nv = contextvars.ContextVar('v', default=1)\ndef f(x): return v.get()", "v.set(2)"),
    (SAME, "import contextvars\nv = contextvars.ContextVar('v', default=1)\ndef f(x): return v.get()", "v.set(1)"),
    # use
    (SAME, "import dataclasses\n@dataclasses.dataclass\nclass E:\n    a: int = 1\ndef f(x): return E()", "dataclasses.asdict(E()); dataclasses.replace(E(), a=2); repr(E()) + str(E() == E())"),
    (SAME, "import abc\nclass E(abc.ABC): pass\ndef f(x): return isinstance(x, E)", "isinstance(1, E); isinstance('a', E)"),
    (SAME, "import functools\n@functools.lru_cache\ndef g(x): return x\ndef f(x): return g(x)", "g(1); g(2)"),
    (SAME, "import functools\n@functools.singledispatch\ndef g(x): return 0\n@g.register(int)\ndef _(x): return 1\ndef f(x): return g(x)", "g(1); g('a'); g(True)"),
    (SAME, "import functools\nclass E:\n    @functools.cached_property\n    def p(self): return 1\ne = E()\ndef f(x): return e.p", "e.p"),
    (SAME, "import enum\nclass E(enum.Flag):\n    a = 1\n    b = 2\ndef f(x): return E.a", "E.a | E.b; E(3); E['a']; list(E)"),
    (SAME, "import typing\nT = typing.TypeVar('T')\nclass G(typing.Generic[T]):\n    def m(self): return 1\ndef f(x): return G[int]().m()", "G[int](); G[str]().m()"),
    (SAME, "def f(x):\n    f.n += 1\n    return x\nf.n = 0", "f(1); f(2)"),
    (SAME, "last = None\ndef f(x):\n    global last\n    last = x\n    return x", "f(1); f(2)"),
    (SAME, "import functools\ndef d(fn):\n    @functools.wraps(fn)\n    def w(*a): return fn(*a)\n    return w\n@d\ndef f(x): return x", "import inspect; f(1); inspect.signature(f)"),
])  # fmt: skip
def test_what_happens_to_values_that_are_reached(expected, source, edit):
    """A result of before is served, or using a helper once makes all that read it run again."""
    space = cell(source)
    found, before = reach(space["f"]), code.identify(space["f"])
    cell(edit, space)
    assert (code.identify(space["f"]) == before) is expected
    if expected is DIFFER:
        try:
            seen = not found.unchanged() or reach(space["f"]).live_names == found.live_names != ()
        except CHANGED:
            seen = True
        assert seen, "a task would not look again"
