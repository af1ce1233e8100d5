"""What a cell leaves behind, stored and put into effect."""

import ast
import io
import sys
import types

import pytest

from nbflow.errors import UnstorableError
from nbflow.notebook.freeze import Surroundings
from nbflow.notebook.heap import memories
from nbflow.notebook.names import names_of
from nbflow.notebook.places import definitions, places
from nbflow.notebook.restore import CellPickle, Recording, put_into_effect
from nbflow.notebook.transform import Cell


@pytest.fixture
def main(monkeypatch):
    """A `__main__` of its own, as a kernel has one."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return vars(module)


def again(source, main):
    """Run a cell, store what it bound, and put that into effect in an empty namespace; the new names."""
    body = ast.parse(source).body
    cell = Cell("", body, b"", 0, False, names_of(body), "cell", "step")
    before = dict(main)
    exec(compile(source, "<cell>", "exec"), main)
    bound = {name: value for name, value in main.items() if not name.startswith("__") and name not in before}
    pickles = CellPickle(cell, "<cell>", main, before)
    pickles.around = Surroundings(
        main,
        before,
        {},
        places(cell.compiled()),
        {},
        memories(bound),
        frozenset(definitions(body, bound, places(cell.compiled()))),
    )
    stream, buffers = pickles.dumps(Recording(bound))
    for name in bound:
        del main[name]
    recording = CellPickle(cell, "<again>", main, before).loads(stream, [bytearray(each) for each in buffers])
    assert not bound.keys() & main.keys(), "nothing is in effect before all of it is at hand"
    put_into_effect(recording, main, before)
    return main


def test_functions_classes_and_their_instances(main):
    """They come back from the cell's own text."""
    new = again(
        "def f(a, *, b=2): return a + b\n"
        "def outer(n):\n    def inc(d):\n        nonlocal n\n        n += d\n        return n\n    return inc\n"
        "inc = outer(5)\ninc(1)\nclass K:\n    def m(self): return f(1)\nk = K()\ng = lambda: k.m()",
        main,
    )
    assert (new["f"](1), new["f"](1, b=3), new["inc"](1), new["g"]()) == (3, 4, 7, 3)
    assert isinstance(new["k"], new["K"])
    assert new["f"].__code__.co_filename == "<again>"


def test_sharing_and_views(main):
    """Two copies of one list drift apart."""
    new = again("a = [1]; b = [a, a]\nimport numpy as np\nbase = np.arange(9000)\npart = base[2:4]", main)
    assert new["b"][0] is new["b"][1] is new["a"]
    new["part"][0] = 77
    assert new["base"][2] == 77


@pytest.mark.parametrize(
    ("source", "why"),
    {
        "g = (i for i in ())": "g: a generator has no content",
        "f = open(__import__('os').devnull)": "f: a TextIOWrapper has no content",
        "if 1:\n    class K: pass\nk = K()": "K is not defined at the top of the cell",
        "import threading; t = threading.Lock()": "t: a lock cannot be stored",
        "x = []\nfor _ in range(100_000): x = [x]": "x: a list nested too deeply",
    }.items(),
)
def test_what_has_no_form_is_named(source, why, main):
    """The message must lead to the line to change."""
    with pytest.raises(UnstorableError) as raised:
        again(source, main)
    assert why in str(raised.value)
    if "f" in main:
        main["f"].close()


def test_a_live_class_of_the_same_text_is_kept(main):
    """Instances made before the class's cell ran again stay its own."""
    body = ast.parse("class Kept:\n    n = 1").body
    cell = Cell("", body, b"", 0, False, names_of(body), "cell", "step")
    exec(compile("class Kept:\n    n = 1", "<cell>", "exec"), main)
    kept = main["Kept"]
    pickles = CellPickle(cell, "<cell>", main, {})
    pickles.around = Surroundings(main, {}, {}, places(cell.compiled()), {}, frozenset(), frozenset({"Kept"}))
    stream, _ = pickles.dumps(Recording({"Kept": kept}))
    first = pickles.loads(io.BytesIO(stream).getvalue(), []).names["Kept"]
    main["Kept"] = first
    assert pickles.loads(stream, []).names["Kept"] is first
    first.n = 2
    assert pickles.loads(stream, []).names["Kept"] is not first
