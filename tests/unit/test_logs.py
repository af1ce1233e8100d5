"""Where a step's words go."""

import builtins
import io
import logging
import sys
import threading

import pytest

from nbflow.logs import prints_to, warn


def test_prints_become_lines():
    """A step's printed progress would be lost to the panel."""
    lines = []
    with prints_to(lines.append):
        print("a", 1, sep="-")
        print("two\nlines")
        print()
        print("x", end="")
        print("default", end=None)
    assert lines == ["a-1", "two", "lines", "", "x", "default"]


def test_print_is_put_back():
    """After one logged step `print` would stay ours."""
    before = builtins.print
    with prints_to([].append):
        assert builtins.print is not before
    assert builtins.print is before
    with pytest.raises(ZeroDivisionError), prints_to([].append):
        1 / 0
    assert builtins.print is before


def test_prints_elsewhere_are_passed_on(capsys):
    """While one step is logged, the prints of the notebook would vanish."""
    lines, ready, go = [], threading.Event(), threading.Event()

    def other():
        ready.wait(10)
        print("from elsewhere")
        go.set()

    worker = threading.Thread(target=other)
    worker.start()
    with prints_to(lines.append):
        ready.set()
        assert go.wait(10)
    worker.join()
    assert lines == [] and capsys.readouterr().out == "from elsewhere\n"


def test_prints_to_a_file_are_passed_on():
    """print(..., file=report) would write into the log instead of the report."""
    lines, report = [], io.StringIO()
    with prints_to(lines.append):
        print("kept", file=report)
        print("logged", file=sys.stdout)
    assert report.getvalue() == "kept\n" and lines == ["logged"]


def test_overlapping_threads_put_print_back():
    """Steps that end in another order than they began would leave a patched `print` behind."""
    before, lines = builtins.print, {"one": [], "two": []}
    began = {name: threading.Event() for name in lines}
    end = {name: threading.Event() for name in lines}

    def step(name):
        with prints_to(lines[name].append):
            print(name)
            began[name].set()
            end[name].wait(10)
            print(name, "end")

    workers = {name: threading.Thread(target=step, args=(name,)) for name in lines}
    for name in ("one", "two"):
        workers[name].start()
        assert began[name].wait(10)
    for name in ("one", "two"):
        assert builtins.print is not before
        end[name].set()
        workers[name].join()
    assert builtins.print is before
    assert lines == {"one": ["one", "one end"], "two": ["two", "two end"]}


def test_nested_steps_print_to_the_innermost():
    """A step's lines would be shown under the step around it."""
    outer, inner = [], []
    with prints_to(outer.append):
        print("a")
        with prints_to(inner.append):
            print("b")
        print("c")
    assert (outer, inner) == (["a", "c"], ["b"])


def test_a_print_of_the_users_own_is_respected():
    """The print of rich or of IPython would be thrown away."""
    before, seen = builtins.print, []
    builtins.print = lambda *values, **_: seen.append(values)
    try:
        own = builtins.print
        with prints_to([].append):
            pass
        assert builtins.print is own
    finally:
        builtins.print = before


def test_a_warning_is_said_once(caplog):
    """A loop of a thousand calls would print a thousand warnings."""
    text = f"only for this test {object()!r}"
    with caplog.at_level(logging.WARNING, "nbflow"):
        for _ in range(3):
            warn(text)
    assert [record.message for record in caplog.records] == [f"nbflow: {text}"]
