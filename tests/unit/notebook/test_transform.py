"""From text to the attempt loop."""

import ast
import gc
import re
import sys
from types import SimpleNamespace

import pytest

from nbflow.notebook.analysis import label_of
from nbflow.notebook.transform import Wrap, cell_of, mark


def shell(style="last_expr"):
    return SimpleNamespace(compile=SimpleNamespace(flags=0), autoawait=True, ast_node_interactivity=style)


def wrapped(source, style="last_expr"):
    lines = mark([line + "\n" for line in source.split("\n")])
    return Wrap(shell(style)).visit(ast.parse("".join(lines)))


@pytest.mark.parametrize("before", ["", "\n\n", "# why\n", "\n# why\n\n"])
def test_no_line_moves(before):
    """A traceback would point beside the line that failed."""
    source = f"{before}%%task p --retries 1\n\nx = 1\ny = 2"
    after = mark([line + "\n" for line in source.split("\n")])
    assert len(after) == source.count("\n") + 1
    assert after[-2:] == ["x = 1\n", "y = 2\n"]
    assert after[before.count("\n")] == "get_ipython().run_line_magic('task', 'p --retries 1')\n"


def test_garbage_that_parses_while_a_cell_is_wrapped():
    """On Python 3.11 a traceback logged by a dying asyncio task would cost all later cells their `%%task`."""
    parsed = []

    def collected(*_):
        if not parsed and sys._getframe(1).f_code.co_name == "compiled":
            parsed.append(ast.parse("a = 1"))

    tree = ast.parse("".join(mark(["%%task\n", "x = 1\n"])))
    thresholds = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        assert isinstance(Wrap(shell()).visit(tree), ast.Module)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(collected)
    assert parsed


@pytest.mark.parametrize("source", ["x = 1", "%%time\nx = 1", "%%tasks\nx = 1", "%%task?", "x = 1\n%%task"])
def test_other_cells_are_left_alone(source):
    """A cell without the header must not pay anything."""
    lines = [line + "\n" for line in source.split("\n")]
    assert mark(lines) == lines


def test_a_tree_without_the_header_is_left_alone():
    """As above."""
    tree = ast.parse("x = 1")
    assert Wrap(shell()).visit(tree) is tree


def test_marking_twice_changes_nothing():
    """Input transformers run more than once on a cell."""
    once = mark(["%%task a\n", "x = 1\n"])
    assert mark(once) == once


def test_the_body_stays_where_it_is():
    """Debuggers and coverage go by positions."""
    tree = wrapped("%%task\nx = 1\nif x:\n    y = 2\ny")
    places = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    assert places == {1, 2, 3, 4, 5}
    compile(ast.fix_missing_locations(tree), "<cell>", "exec")


@pytest.mark.parametrize(
    ("body", "kind"),
    {
        "x = 1": ast.For,
        "await f()": ast.AsyncFor,
        "x = [i async for i in y]": ast.AsyncFor,
        "async for i in y: pass": ast.AsyncFor,
        "async with y: pass": ast.AsyncFor,
        "async def f():\n    await g()": ast.For,
        "f = lambda: [i async for i in y]": ast.For,
        "": ast.For,
    }.items(),
)
def test_only_a_body_that_awaits_gets_a_loop_that_awaits(body, kind):
    """A sync body must stay sync, or `asyncio.run` fails in it."""
    assert type(wrapped("%%task\n" + body).body[-1]) is kind


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    b = 1\nprint(b)",
        "for i in x:\n    while i:\n        i, c = c, i\n    print(c)\nc",
        "await f()",
        "class K: pass\nK.n = 1",
    ],
)
def test_a_cell_that_is_run_again_is_wrapped_as_before(body):
    """What is noticed while a cell runs must be noticed by later runs too, and not be what other transformers made."""

    def said(tree):
        return re.sub("__task_[0-9]+__|Constant\\(value=[0-9]+", "", ast.dump(tree, include_attributes=True))

    first = wrapped("%%task\n" + body)
    before = said(first)
    for node in ast.walk(first):
        if isinstance(node, ast.Name):
            node.id = "another"
    assert said(wrapped("%%task\n" + body)) == before
    assert said(wrapped("%%task\n\n" + body)) != before


@pytest.mark.parametrize("body", ["break", "for x in y: pass\nelse: continue", "if x:\n    break"])
def test_a_stray_break_stays_an_error(body):
    """In our loop it would be legal, and end the cell silently."""
    with pytest.raises(SyntaxError):
        compile(ast.fix_missing_locations(wrapped("%%task\n" + body)), "<cell>", "exec")


@pytest.mark.parametrize("depth", [1, 10, 17, 18, 19])
def test_any_depth_that_python_allows_still_compiles(depth):
    """Python has a limit of nested blocks; a cell at the limit must not stop to work."""
    body = "".join("    " * i + f"for i{i} in x:\n" for i in range(depth)) + "    " * depth + "y = 1"
    compile(ast.fix_missing_locations(wrapped("%%task\n" + body)), "<cell>", "exec")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "x  =  (1)  # why", True),
        ("if a:\n    b = 1\nprint(b)", "if a:\n    b = 1\n\nprint(b)", True),
        ("x = 1", "x = 2", False),
        ("x = 1\n5", "x = 1\n6", False),
    ],
)
def test_what_a_cell_says(one, other, same):
    """The digest of the text decides about hits: neither layout nor what we add may be in it."""
    digests = []
    for source in (one, other):
        loop = wrapped("%%task\n" + source).body[-1]
        digests.append(cell_of(loop.iter.args[0].value).text)
    assert (digests[0] == digests[1]) == same


@pytest.mark.parametrize(
    ("source", "label"),
    {
        "import os\nraw = 1\nprices = 2": "raw",
        "for day in days: pass": "day",
        "a.b = 1\nc = 2": "c",
        "import os\ndef load(): pass": "load",
        "print( 'x' )": "print('x')",
        "": "empty",
        "f(" + "1 + " * 40 + "1)": "f(1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1…",
    }.items(),
)
def test_labels(source, label):
    """Listings full of `cell` would be of no use."""
    assert label_of(ast.parse(source).body) == label
