"""`explain`: what would happen and why, part by part, with the old and the new; nothing runs."""

import pytest

from nbflow import DEFAULT, NO_CACHE, Explanation, task
from nbflow.keys.explain import Difference
from nbflow.trace import Trait
from tests.unit.keys.code_cases import cell

SOURCE = """
LIMIT = 10
rows = [1, 2]
API_KEY = 'abc'
class Model:
    rate = 1
    def fit(self): return self.rate
def inner(v): return v + LIMIT
def clean(v, by=1): return inner(v) * by
def make(n):
    def inside(): return n
    return inside
closure = make(3)
@task
def train(data, lr=0.1):
    calls.append(data)
    return clean(data), Model().fit(), rows, closure(), API_KEY
"""


class Notebook:
    """A task in a notebook, run once."""

    def __init__(self):
        self.space = {"__name__": "__main__", "task": task, "calls": []}
        cell(SOURCE, self.space)
        self.task(5)

    @property
    def task(self):
        return self.space["train"]

    def edit(self, old, new):
        """Run the cell again with one thing changed."""
        assert old in SOURCE
        cell(SOURCE.replace(old, new), self.space)


@pytest.fixture
def notebook(fresh):
    return Notebook()


def data(found):
    """The differences as label, old, new."""
    return [(each.label, each.old and each.old.short, each.new and each.new.short) for each in found.differences]


EDITS = {
    "the code": ("return clean(data)", "return 0, clean(data)", ("the code", "", ""), "the code changed"),
    "a helper": ("return inner(v) * by", "return -inner(v) * by", ("clean()", "", ""), "clean() changed"),
    "a helper's helper": ("return v + LIMIT", "return v - LIMIT", ("inner()", "", ""), "inner() changed"),
    "a helper's default": ("by=1", "by=2", ("default by of clean()", "1", "2"), "default by of clean() 1 → 2"),
    "a global": ("LIMIT = 10", "LIMIT = 20", ("global LIMIT", "10", "20"), "global LIMIT 10 → 20"),
    "a global of another type": ("LIMIT = 10", "LIMIT = 10.0", ("global LIMIT", "10", "10.0"), "global LIMIT 10 → 10.0"),
    "a list": ("rows = [1, 2]", "rows = [1, 2, 3]", ("global rows", "[1, 2]", "[1, 2, 3]"), "global rows [1, 2] → [1, 2, 3]"),
    "a method": ("return self.rate", "return -self.rate", ("class Model", "", ""), "class Model changed"),
    "a class attribute": ("rate = 1", "rate = 2", ("class Model", "", ""), "class Model changed"),
    "a closure": ("make(3)", "make(4)", ("closure n of inside()", "3", "4"), "closure n of inside() 3 → 4"),
    "a secret": ("'abc'", "'def'", ("global API_KEY", "", ""), "global API_KEY changed"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named(notebook, name):
    """`miss` without a reason cannot be trusted, and cannot be mended."""
    old, new, difference, words = EDITS[name]
    notebook.edit(old, new)
    found = notebook.task.explain(5)
    assert isinstance(found, Explanation)
    assert (found.task, found.hit, found.why) == ("train", False, words)
    assert data(found) == [difference]
    assert repr(found) == f"train: miss: {words}"


def test_inputs(notebook):
    """Which of ten arguments is another one would have to be guessed."""
    found = notebook.task.explain(6, lr=0.05)
    assert data(found) == [("input data", "5", "6"), ("input lr", "0.1", "0.05")]
    assert repr(found) == "train: miss: input data 5 → 6\n  input lr 0.1 → 0.05"
    assert all(isinstance(each, Difference) and isinstance(each.new, Trait) for each in found.differences)
    assert len({each.new.digest for each in found.differences} | {each.old.digest for each in found.differences}) == 4


def test_a_big_input_is_told_in_short(notebook):
    """A frame or a password would fill the screen, or stand in it."""
    found = notebook.task.explain([0] * 1000, lr="sk-0123456789abcdef")
    assert data(found) == [("input data", "5", "list of 1,000"), ("input lr", "0.1", "str of 19")]


def test_version(notebook):
    """A changed version would look like a changed nothing."""
    found = notebook.task.with_options(version="2").explain(5)
    assert data(found) == [("version", None, "'2'")]
    notebook.task.with_options(version="2")(5)
    found = notebook.task.with_options(version="3").explain(5)
    assert data(found) == [("version", "'2'", "'3'")]
    assert found.why == "version '2' → '3'"


def test_a_key_function(notebook):
    """A key of one's own would have to be guessed."""
    keyed = lambda text: notebook.task.with_options(cache_key_fn=lambda *_: text)
    keyed("monday")(5)
    assert data(keyed("tuesday").explain(5)) == [("the key", "'monday'", "'tuesday'")]


def test_what_is_new_and_what_is_gone(notebook):
    """A helper that a function no longer calls would be passed over."""
    notebook.edit("closure(), API_KEY", "API_KEY, len(EXTRA)")
    notebook.space["EXTRA"] = (1,)
    found = notebook.task.explain(5)
    words = [str(each) for each in found.differences]
    assert words[0] == "the code changed"
    assert "global EXTRA is new" in words
    assert "closure n of inside() is gone" in words


def test_the_nearest_entry_is_compared_with(notebook):
    """After many runs the difference from some other run would be told, in a dozen lines."""
    notebook.task(6, lr=0.5)
    notebook.task(7, lr=0.7)
    assert data(notebook.task.explain(6, lr=0.7)) in ([("input data", "7", "6")], [("input lr", "0.5", "0.7")])
    assert data(notebook.task.explain(6, lr=0.9)) == [("input lr", "0.5", "0.9")]


def test_the_world(notebook, tmp_path, monkeypatch):
    """A changed file or variable would be told as a changed nothing; a variable's value must not be told."""
    source = "import os, pathlib\n@task\ndef read(p): return pathlib.Path(p).read_text(), os.environ['RATE_OF_TEST']\n"
    read, path = cell(source, notebook.space)["read"], tmp_path / "rates.csv"
    path.write_text("1")
    monkeypatch.setenv("RATE_OF_TEST", "s3cret")
    read(path)
    assert read.is_cached(path)
    path.write_text("2")
    assert read.explain(path).why == f"{path} changed"
    path.write_text("1")
    monkeypatch.setenv("RATE_OF_TEST", "0ther")
    assert repr(read.explain(path)) == "read: miss: environment variable RATE_OF_TEST changed"


def test_a_hit(notebook, fresh):
    """That nothing will be computed would have to be tried."""
    fresh.clock.now += 7200
    found = notebook.task.explain(5)
    assert found.hit
    assert found.differences == ()
    assert repr(found).startswith("train: hit: cached 2 h ago, saves ")


def test_the_first_run_and_the_options(notebook, fresh):
    """Expiry, refresh and NO_CACHE are reasons of their own."""
    cell("@task\ndef other(): return 1\n", notebook.space)
    assert repr(notebook.space["other"].explain()) == "other: miss: first run"
    fresh.clock.now += 7200
    assert notebook.task.with_options(cache_expiration="1h").explain(5).why == "expired: 2 h old, 1 h allowed"
    assert notebook.task.with_options(refresh_cache=True).explain(5).why == "refresh asked"
    for options in ({"cache_policy": NO_CACHE}, {"persist_result": False}):
        found = notebook.task.with_options(**options).explain(5)
        assert (found.hit, found.why, found.differences) == (False, "not cached", ())


def test_nothing_runs_and_nothing_is_told(notebook, fresh):
    """To ask would cost an hour, show steps in the panel, or make an entry."""
    events, calls = len(fresh.events), list(notebook.space["calls"])
    entries = [each.row for each in fresh.session.store.entries()]
    notebook.edit("LIMIT = 10", "LIMIT = 20")
    for args in ((5,), (6,), ([1],)):
        notebook.task.explain(*args)
        assert not notebook.task.is_cached(*args)
        assert not notebook.task.with_options(cache_policy=DEFAULT - "data").is_cached(*args)
    assert len(fresh.events) == events
    assert notebook.space["calls"] == calls
    assert [each.row for each in fresh.session.store.entries()] == entries


def test_an_edit_and_its_undo(notebook):
    """After an experiment the old result would be lost."""
    notebook.edit("LIMIT = 10", "LIMIT = 20")
    assert not notebook.task.is_cached(5)
    notebook.edit("LIMIT = 10", "LIMIT = 10  # as it was")
    assert notebook.task.is_cached(5)
