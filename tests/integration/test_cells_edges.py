"""`%%task` at the edges of a notebook: rich outputs, children, magics inside, odd names and values, interrupts."""

import pytest

from tests.integration.kernels import Kernel, error, hit, result, text, told, users

pytestmark = pytest.mark.kernel


def both(k, body, header=""):
    """The user's outputs of a run and of its hit."""
    first, second = (k.run(f"%%task {header}\n{body}") for _ in range(2))
    assert first[0]["status"] == second[0]["status"] == "ok", (error(first[1]), error(second[1]))
    assert "stored" in told(first[1]), told(first[1])
    assert hit(second[1]), (told(first[1]), told(second[1]))
    return users(first[1]), users(second[1])


RICH = """
from IPython.display import HTML, JSON, SVG, Latex, Image, display, publish_display_data
spec = {"data": [{"x": [1, 2.5, None], "y": ["ä", "<b>"], "type": "bar"}], "layout": {"b": {}, "a": []}}
publish_display_data({"application/vnd.plotly.v1+json": spec, "text/html": "<div>&amp;</div>", "text/plain": "fig"},
                     {"application/vnd.plotly.v1+json": {"config": {"z": 1, "a": True}}, "isolated": True})
publish_display_data({"application/vnd.vegalite.v5+json": {"mark": "bar", "encoding": {}}, "text/plain": "<Chart>"},
                     {"application/vnd.vegalite.v5+json": {"embed_options": {}}})
display(JSON({"b": 1, "a": [True, None]}, expanded=True), metadata={"tags": ["x"]})
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'></svg>"), Latex("$x$"))
pixel = b"\\x89PNG\\r\\n\\x1a\\n\\x00\\x00\\x00\\rIHDR\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x01" + bytes(range(256))
display(Image(pixel, width=3))
del pixel
HTML("<i>last</i>", metadata={"m": 1})
"""


def test_mime_bundles_are_byte_equal(k):
    """A chart that loses its data's order, its config or one of its forms is another chart, or none."""
    first, second = both(k, RICH)
    shown = lambda out: [(each[0], each[1], each[2], *each[4:]) for each in out if each[0] == "display_data"]
    assert len(shown(first)) == 6
    assert shown(first) == shown(second)
    assert [[*each[4]["text/plain"]] for each in first[:1]] == [[*"fig"]]
    assert list(first[0][4]["application/vnd.plotly.v1+json"]["layout"]) == ["b", "a"]
    assert list(second[0][4]["application/vnd.plotly.v1+json"]["layout"]) == ["b", "a"]
    assert second[0][5]["application/vnd.plotly.v1+json"] == {"config": {"z": 1, "a": True}}
    assert result(first) == result(second)


def test_progress_bars_leave_their_last_state(k):
    """A thousand frames of a bar, or a grey box in its place, are what saved notebooks are full of."""
    k.out("import sys\nfrom tqdm import tqdm\nfrom tqdm.notebook import tqdm as tqdm_notebook")
    first, second = both(k, "for i in tqdm(range(50), mininterval=0, file=sys.stdout): pass")
    assert "100%" in text(second)
    assert "  0%" not in text(second)
    assert len(text(second)) < len(text(first))
    for end in ("done = 1", "import gc; gc.collect()"):  # tqdm's own object goes at any time, here before the end
        _, second = both(k, f"for i in tqdm_notebook(range(5)): pass\n{end}")
        assert all(each[2] == ["text/plain"] for each in second if each[0] == "display_data"), second
        assert "100%" in (shown := "".join(each[1] for each in second if each[0] == "display_data"))
        assert " 5/5 [" in shown, shown
    _, second = both(k, "for i in tqdm_notebook(range(5), leave=False): pass\ndone = 2")
    assert second == [], "a bar that has gone"


def test_output_from_below_python(k):
    """What a C library prints arrives by another way than `print`; a hit without it is another output."""
    k.out("import ctypes, os, subprocess, warnings\nlibc = ctypes.CDLL(None)")
    body = "{}\nprint('python')\ndone = {}"
    ways = (
        "os.system('echo below')",
        "_ = subprocess.run(['echo', 'below'])",
        "!echo below",
        "_ = os.write(1, b'below')",
    )
    for i, below in enumerate(ways):
        for out in both(k, body.format(below, i)):
            assert "below" in text(out), below
            assert "python" in text(out)
    out = k.out("%%task\nlibc.printf(b'from C')\nx = 1")
    assert "from C" in text(out), "C's own buffer would be shown below a later cell"
    assert "not cached: libc" in told(out)
    k.out("def careful():\n    warnings.warn('once')")
    for out in both(k, "careful()\nwarned = 1"):
        assert "once" in text(out, "stderr")
    with Kernel(store=k.store, setup="import warnings\ndef careful():\n    warnings.warn('once')") as other:
        out = other.out("%%task\ncareful()\nwarned = 1")
        assert hit(out)
        assert "once" in text(out, "stderr")
        out = other.out("for _ in range(2): careful()")
        assert text(out, "stderr").count("UserWarning: once") == 1, "shown at this place once, as after any cell"
        assert other.value("any('once' in str(f[1]) for f in warnings.filters)") == "False"


def test_magics_in_the_body(k):
    """Set-up lines stand in real cells: a hit must neither fail on them nor restore half."""
    k.out("open('other.py', 'w').write('import os\\nran = 5\\n')\nimport pandas as pd")
    bodies = {
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nv1 = 1": "v1",
        "%load_ext autoreload\n%autoreload 2\nv2 = 2": "v2",
        "%config InlineBackend.figure_format = 'svg'\nv3 = 3": "v3",
        "v4 = 4\n%store v4": "v4",
        "%pip --version\nv5 = 5": "v5",
        "pd?\nv6 = 6": "v6",
        "%timeit -n1 -r1 7\nv7 = 7": "v7",
        "%env NBFLOW_TRIED=1\nv8 = 8": "v8",
    }
    wrong = {}
    for body, name in bodies.items():
        k.out("%%task\n" + body)
        k.out(f"del {name}")
        reply, out = k.run("%%task\n" + body)
        if reply["status"] != "ok" or k.value(name) != name[1:]:
            wrong[body] = told(out), error(out)
    assert not wrong
    first = k.out("%%task\n%run other.py\nv9 = ran")
    assert "✓" in told(first), told(first)
    k.out("open('other.py', 'w').write('import os\\nran = 6\\n')")
    k.out("%%task\n%run other.py\nv9 = ran")
    assert k.value("v9, ran") == "(6, 6)"


@pytest.mark.parametrize("move", ["os.chdir('below')", "%cd -q below"])
def test_a_change_of_the_working_directory_is_made_each_time(k, move):
    """The cells behind read and write by relative paths: a hit that stays where it is leads them to other files."""
    k.out("import os\nstart = os.getcwd()\nos.makedirs('below', exist_ok=True)")
    for _ in range(2):
        out = k.out(f"%%task\n{move}\nmoved = 1")
        assert "not cached: it changed the working directory; do that in a cell of its own" in told(out), told(out)
        assert k.value("os.path.basename(os.getcwd())") == "'below'"
        k.out("os.chdir(start)")
    both(k, "import contextlib\nwith contextlib.chdir('below'): back = 1")


def test_a_background_task_goes_its_own_way(k):
    """A hit must not wait for, restore or repeat what only the first run's loop was doing."""
    k.out("import asyncio\nheard = []\nasync def later():\n    await asyncio.sleep(0)\n    heard.append(1)")
    both(
        k,
        "_background = asyncio.get_running_loop().create_task(later())\nawait asyncio.sleep(0.01)\ndel _background\nw = 2",
    )
    assert k.value("w, heard") == "(2, [1])"


def test_workers_of_a_cell_are_no_second_cell(k):
    """Forked children have the cell's hooks in memory: what they run must not be stored, nor hold the key."""
    k.out("import multiprocessing, os, time\nimport joblib\nfrom nbflow.session import session\n")
    bodies = (
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n    forked = pool.map(abs, [-1, -2])\ndel pool",
        "jobs = joblib.Parallel(2)(joblib.delayed(abs)(i) for i in (-1, -2))",
        "child = os.fork()\nif child == 0: os._exit(0)\nwaited = os.waitpid(child, 0)[1]\ndel child",
    )
    for i, body in enumerate(bodies, 1):
        both(k, body)
        assert k.value("len([*session.store.entries()])") == str(i)
    k.out(
        "%%task lingers\nworker = os.fork()\nif worker == 0:\n    while not os.path.exists('stop'): time.sleep(0.02)\n    os._exit(0)"
    )
    with Kernel(store=k.store, setup="import os, time") as other:
        out = other.out("%%task lingers --refresh\nworker = 1")
        assert "✓" in told(out), told(out)
    k.out("open('stop', 'w').close(); _ = os.waitpid(worker, 0)")


def test_odd_names_and_very_long_cells(k):
    """Python reads `ﬁeld` as `field`; a generated cell of a megabyte is a cell."""
    k.out("ﬁeld = 1\ngröße = 2")
    cell = "%%task\nﬂow = field + ﬁeld + größe\n名前 = ﬂow"
    assert "stored" in told(k.out(cell))
    k.out("del flow")
    assert k.hits(cell)
    assert k.value("flow, 名前") == "(4, 4)"
    k.out("field = 2")
    assert "input field 1 → 2" in told(k.out(cell))
    long = "rows = [\n" + "    (123456789, 'abcdefgh', 1.5),\n" * 32_000 + "]\nlen(rows)"
    assert len(long) > 1_000_000
    first, second = both(k, long)
    assert result(first) == result(second) == "32000"
    out = k.out("%%task\n" + long.replace("8", "9", 1))
    assert not hit(out)


LIES = {
    "a mock": ("from unittest.mock import MagicMock\nv = MagicMock()", "seen = v.x is None", "stand-in"),
    "attributes that raise": ("class A:\n    def __getattr__(self, n): raise ValueError(n)\nv = A()", "seen = v is None", ""),
    "a comparison that raises": (
        "class E:\n    def __eq__(self, o): raise ValueError\n    __hash__ = object.__hash__\nv = E()", "seen = v is None", ""
    ),
    "a state that raises": (
        "class R:\n    def __reduce_ex__(self, p): raise ValueError('no')\n    def __init__(self): self.a = 1\nv = 1", "seen = R()", "no"
    ),
    "everything lies": (
        "class L:\n    def __getattribute__(self, n): raise RuntimeError(n)\nv = L()", "seen = v is None", ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_values_that_lie_or_raise(k, name):
    """Proxies, mocks and half-made objects are in every notebook: they must not be what the cell fails on."""
    make, body, why = LIES[name]
    k.out(make)
    for _ in range(2):
        reply, out = k.run("%%task\n" + body)
        assert reply["status"] == "ok", error(out)
        assert k.value("type(seen).__name__") in ("'bool'", "'R'")
        if why:
            assert "not cached" in told(out), told(out)
            assert why in told(out)


def test_an_interrupt_of_a_restore_leaves_all_names_or_none(k):
    """Half of a cell's names, the rest from last week, is worse than none."""
    k.out(
        "import os, time\nclass Slow:\n    def __init__(self): self.v = 1\n    def __setstate__(self, state):\n"
        "        if os.path.exists('slow'): print('restoring', flush=True); time.sleep(30)\n        self.__dict__.update(state)"
    )
    k.out("first, rows = 'old', [0]\nalias = rows")
    cell = "%%task kept\nfirst = 'new'\nrows.append(1)\nslow = Slow()\nlast = 'new'"
    assert "stored" in told(k.out(cell))
    k.out("first, rows = 'old', [0]\nalias = rows\ndel slow, last\nopen('slow', 'w').close()")
    reply, out = k.interrupt_in(cell, "restoring")
    assert reply.get("ename") == "KeyboardInterrupt", out
    assert "nbflow/" not in error(out)
    assert k.value("first, rows, alias is rows, 'slow' in globals(), 'last' in globals()") == (
        "('old', [0], True, False, False)"
    )
    k.out("os.unlink('slow')")
    assert k.hits(cell), "the entry is as good as it was"
    assert k.value("first, rows, alias is rows, slow.v, last") == "('new', [0, 1], True, 1, 'new')"


def test_no_secret_is_told(k):
    """The line is saved with the notebook and the store is shared: neither is a place for a token's value."""
    k.out("import os\nos.environ['API_TOKEN'] = 'hunter2secret'")
    k.out("%%task\nlength = len(os.environ['API_TOKEN'])")
    k.out("os.environ['API_TOKEN'] = 'hunter3secret'")
    out = k.out("%%task\nlength = len(os.environ['API_TOKEN'])")
    assert "API_TOKEN changed" in told(out), told(out)
    said = told(out) + text(k.out("%nbflow explain")) + text(k.out("%nbflow ls"))
    assert "hunter" not in said
    k.out(
        "import pathlib\nfrom nbflow.session import session\nkept = b''.join(p.read_bytes() for p in pathlib.Path(session.store.folder).rglob('*') if p.is_file())"
    )
    assert k.value("b'hunter' in kept") == "False"


def test_looking_at_a_value_does_not_change_it(k):
    """A lazy frame that is collected, or an iterator that is used up, to find its key costs more than the cell."""
    k.out(
        "import polars as pl\ncollected = []\nlazy = pl.LazyFrame({'p': [1, 2]}).map_batches(lambda d: (collected.append(1), d)[1])"
    )
    k.out("import numpy as np\na = np.arange(6)[::2]\na.flags.writeable = False\nflags = str(a.flags)")
    out = k.out("%%task\nplan = lazy is None\ntotal = a.sum()")
    assert not error(out)
    assert k.value("collected, str(a.flags) == flags") == "([], True)", told(out)
