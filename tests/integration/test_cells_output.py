"""What a `%%task` cell shows: live while it runs, the same again on a hit, and nothing left behind."""

import re

import pytest

from tests.integration.kernels import hit, ours, result, text, told, users

pytestmark = pytest.mark.kernel

IMPORTS = "import sys, logging\nfrom IPython.display import display, HTML, clear_output"


@pytest.fixture
def k(k):
    k.out(IMPORTS)
    return k


def both(k, body):
    """The user's outputs of a run and of its hit."""
    first, second = k.out("%%task\n" + body), k.out("%%task\n" + body)
    assert not hit(first), first
    assert hit(second), (told(first), told(second))
    return users(first), users(second)


def test_streams_and_displays_in_order(k):
    """A table that comes back above the line that introduces it tells another story."""
    body = "print('a')\nprint('b', file=sys.stderr)\ndisplay(HTML('<i>x</i>'))\nprint('c')"
    for out in both(k, body):
        assert [each[:3] for each in out] == [
            ("stream", "stdout", "a\n"),
            ("stream", "stderr", "b\n"),
            ("display_data", "<IPython.core.display.HTML object>", ["text/html", "text/plain"]),
            ("stream", "stdout", "c\n"),
        ]


def test_what_is_replaced_is_shown_in_its_last_state_only(k):
    """Progress that plays again on each hit is noise; an update that reaches another cell's output is a bug."""
    first, second = both(k, "h = display('one', display_id='fixed')\nh.update('two')")
    assert [each[:2] for each in first] == [("display_data", "'one'"), ("update_display_data", "'two'")]
    assert [each[:2] for each in second] == [("display_data", "'two'")]
    assert second[0][3]["display_id"] != "fixed"
    out = k.out("h.update('three')")
    assert out[0][3]["display_id"] == second[0][3]["display_id"], "a restored handle updates what the hit shows"
    for wait in ("", "wait=True"):
        _, second = both(k, f"print('gone')\nclear_output({wait})\nprint('kept')")
        assert text(second) == "kept\n"
    _, second = both(k, "for i in range(3): print(f'\\r{i}', end='')\nprint()")
    assert text(second) == "2\n"


def test_logging_goes_on_before_inside_and_after(k):
    """A handler that holds a stream of ours is deaf, or worse, from the end of the cell on."""
    k.out("log0 = logging.getLogger('zero'); log0.addHandler(logging.StreamHandler(sys.stdout)); log0.setLevel('INFO')")
    k.out("log0.propagate = False")
    for out in both(k, "log0.info('logged')"):
        assert text(out) == "logged\n"
    k.out(
        "%%task\nhandler = logging.StreamHandler(); log1 = logging.getLogger('one')\n"
        "log1.addHandler(handler); log1.warning('inside')"
    )
    out = k.out("log1.warning('after')\nprint(type(handler.stream).__module__)")
    assert "after" in text(out, "stderr")
    assert "ipykernel" in text(out)


def test_threads_children_warnings_and_redirection(k):
    """Whatever reaches the cell's output is part of it, and whatever does not is not."""
    thread = "import threading\nt = threading.Thread(target={}, args=('threaded',)); t.start(); t.join(); del t"
    for out in both(k, thread.format("print")):
        assert text(out) == "threaded\n"
    for out in both(k, thread.format("display")):
        assert any(each[:2] == ("display_data", "'threaded'") for each in out)
    for out in both(k, "import subprocess\ndone = subprocess.run(['echo', 'child'])"):
        assert "child" in text(out)
    for out in both(k, "import warnings\nwarnings.warn('careful')"):
        assert "careful" in text(out, "stderr")
    hidden = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as buffer: print('hidden')"
    for out in both(k, hidden + "\ncaught = buffer.getvalue()\ndel buffer"):
        assert text(out) == ""


def test_figures(k):
    """A plot that is missing on a hit, or drawn twice, makes the notebook wrong."""
    k.out("import matplotlib.pyplot as plt")
    pngs = lambda out: [each[2] for each in out if each[0] == "display_data"]
    one = [["image/png", "text/plain"]]
    for body in ("_ = plt.plot([1, 2])", "fig, ax = plt.subplots()\n_ = ax.plot([1, 4])"):
        for out in both(k, body):
            assert pngs(out) == one
    for out in both(k, "plt.plot([1, 3])\nplt.show()\nprint('after')"):
        assert pngs(out) == one
        assert out[-1][:3] == ("stream", "stdout", "after\n")
    for out in both(k, "fig2, ax2 = plt.subplots()\nplt.close(fig2)\nfig2"):
        assert "image/png" in next(each for each in out if each[0] == "execute_result")[2]
    assert users(k.out("plt.get_fignums()"))[0][1] == "[]", "a restored figure is not pyplot's"
    flaky = "import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\n_ = plt.plot([1, 5])\nif builtins.n < 2: raise OSError"
    assert pngs(users(k.out("%%task --retries 1\n" + flaky))) == one, "a failed attempt's figure is gone"


def test_widget_views_leave_their_text(k):
    """The model of a widget died with its kernel: a view of it would be a grey box."""
    first, second = both(k, "import ipywidgets\nwid = ipywidgets.IntSlider()\ndisplay(wid)\ndel wid")
    assert [each[2] for each in second if each[0] == "display_data"] == [["text/plain"]]


def test_output_flag(k):
    """`--output last` and `none` are for cells whose prints are only interesting once."""
    cell = "%%task talk{}\nprint('noise')\nw = 3\nw + 1"
    k.out(cell.format(""))
    assert text(k.out(cell.format(" --output last"))) == ""
    assert result(k.out(cell.format(" --output last"))) == "4"
    out = k.out(cell.format(" --output none"))
    assert hit(out)
    assert not users(out)
    assert k.value("w") == "3"


def test_very_much_text_is_cut(k):
    """A cell that prints for a gigabyte must not fill memory, store and notebook."""
    k.out("%%task\nfor _ in range(12): print('x' * 999_999)")
    out = k.out("%%task\nfor _ in range(12): print('x' * 999_999)")
    assert hit(out)
    assert len(text(out)) < 9_000_000
    assert "not kept" in text(out)


def test_very_large_images_are_cut(k):
    """The store must not hold gigabytes of what nobody looks at twice, nor a hit write them into the notebook again."""
    k.out("pixel = b'\\x89PNG\\r\\n\\x1a\\n\\x00\\x00\\x00\\rIHDR\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x01'")
    body = (
        "from IPython.display import Image\nfor size in (10, 60_000_000): display(Image(pixel + bytes(size), width=3))"
    )
    first, second = both(k, body)
    assert [each[2] for each in first] == [["image/png", "text/plain"]] * 2
    assert [each[2] for each in second] == [["image/png", "text/plain"], ["text/plain"]]
    assert second[1][1] == "[nbflow: an output of 80 MB was shown, and is not kept]"


def test_the_line_is_small_escaped_and_updated_in_place(k):
    """The line is in every saved notebook: twenty kilobytes a cell, or someone's markup, would be too."""
    out = k.out("%%task '<b>bold</b>'\nraise ValueError('<script>' * 200)")
    shown = [each for each in out if ours(each)]
    assert len({each[3]["display_id"] for each in shown}) == 1
    assert [each[0] for each in shown] == ["display_data", "update_display_data"]
    for each in shown:
        assert len(each[4]["text/html"]) + len(each[4]["text/plain"]) <= 1400
        assert "<script>" not in each[4]["text/html"]
        assert "<b>bold" not in each[4]["text/html"]
    out = k.out("%%task --retries 1\nraise ValueError('<script>' * 200)")
    assert all("<script>" not in each[4]["text/html"] for each in out if ours(each))


def test_what_the_line_says(k):
    """Hit or miss, and why, how long and how much: it is why one trusts a cache."""
    k.out("def clean(v):\n    return v * 2")
    assert re.fullmatch(
        r"▸ table · running · miss: first run \| ✓ table · ran in \S+ ms · stored \d+ B · miss: first run",
        told(k.out("%%task\ntable = clean(3)")),
    )
    assert re.fullmatch(r"⚡ table · cached just now · saved \S+ ms · \d+ B", told(k.out("%%task\ntable = clean(3)")))
    k.out("def clean(v):\n    return v * 3")
    assert "miss: clean() changed" in told(k.out("%%task\ntable = clean(3)"))
    assert "not cached: --no-cache" in told(k.out("%%task --no-cache\ntable = clean(3)"))
    waiting = told(k.out("%%task --retries 1 --retry-delay 0.01\nraise OSError('HTTP 503')"))
    assert "↻ " in waiting
    assert "attempt 2 of 2 in 10 ms · OSError: HTTP 503" in waiting


def test_nothing_is_left_behind(k):
    """A wrapper that stays on a stream slows every later print, and holds the cell's values."""
    state = (
        "[sorted(vars(o)) for o in (sys.stdout, sys.stderr, get_ipython().display_pub, get_ipython().displayhook)], "
        "[n for n in globals() if n.startswith('__task')]"
    )
    before = k.value(state)
    k.out("%%task\nprint('x')\ndisplay('y')\n1")
    k.out("%%task\nprint('x')\ndisplay('y')\n1")
    k.run("%%task --retries 1\nprint('x')\n1/0")
    k.run("%%task\nimport asyncio\nawait asyncio.sleep(0)\n1/0")
    assert k.value(state) == before


def test_a_hundred_hits_do_not_grow_the_kernel(k):
    """A notebook lives for weeks."""
    k.out("import tracemalloc, gc\nbig = 'x' * 100")
    cell = "%%task\nprint(big)\ndd = {i: big for i in range(5)}"
    for _ in range(20):
        k.out(cell)
    k.out("gc.collect(); tracemalloc.start(); gc.collect(); before = tracemalloc.take_snapshot()")
    for _ in range(100):
        k.out(cell)
    k.out("gc.collect(); grown = tracemalloc.take_snapshot().compare_to(before, 'filename'); tracemalloc.stop()")
    found = k.value("sum(s.size_diff for s in grown if 'nbflow' in s.traceback[0].filename)")
    assert int(found) < 300_000, k.value(
        "[(s.traceback[0].filename, s.size_diff) for s in grown if 'nbflow' in str(s)]"
    )


def test_a_display_handle_within_another_value_updates_what_the_hit_has_shown(k):
    """A list of live displays that all stand still behind a hit."""
    cell = "%%task\nshown = {'first': [display('a', display_id=True)]}"
    k.out(cell)
    k.out("del shown")
    ids = [each[3].get("display_id") for each in users(k.out(cell))]
    assert [k.value("shown['first'][0].display_id").strip("'")] == ids
