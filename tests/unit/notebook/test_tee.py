"""What is left to see of what a cell showed."""

import io
import sys
from types import SimpleNamespace

import pytest

from nbflow.notebook.replay import chosen
from nbflow.notebook.tee import Tee, fold

OUT = "stdout"
A, B = ({"text/plain": "a"}, None), ({"text/plain": "b"}, None)


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], []),
        ([("stream", OUT, "a"), ("stream", OUT, "b")], [("stream", OUT, "ab")]),
        ([("stream", OUT, "a"), ("stream", "stderr", "b")], [("stream", OUT, "a"), ("stream", "stderr", "b")]),
        ([("stream", OUT, "1\r2\r3\n4\r")], [("stream", OUT, "3\n4")]),
        ([("display", "i", *A), ("update", "i", *B)], [("display", "i", *B)]),
        ([("update", "other", *B)], []),
        ([("stream", OUT, "a"), ("clear", False), ("stream", OUT, "b")], [("stream", OUT, "b")]),
        ([("stream", OUT, "a"), ("clear", True)], [("stream", OUT, "a")]),
        ([("stream", OUT, "a"), ("clear", True), ("stream", OUT, "b")], [("stream", OUT, "b")]),
        ([("result", *A), ("display", None, *B)], [("result", *A), ("display", None, *B)]),
    ],
)
def test_fold(events, left):
    """A hit that plays a progress bar again, or brings back what was cleared, is not what the run left."""
    assert fold(events) == left


def test_chosen():
    """`--output`."""
    events = [("stream", OUT, "x"), ("result", *A), ("result", *B)]
    assert chosen("all", events, [1, 2]) == (events, [1, 2])
    assert chosen("last", events, [1, 2]) == ([("result", *B)], [2])
    assert chosen("none", events, [1, 2]) == ([], [])


class Publisher:
    def __init__(self):
        self.shown = []

    def publish(self, data, metadata=None, **more):
        self.shown.append(data)

    def clear_output(self, wait=False):
        self.shown.append("clear")


class Hook:
    pub_socket = None

    def compute_format_data(self, value):
        return {"text/plain": repr(value)}, {}


@pytest.fixture
def shell():
    return SimpleNamespace(display_pub=Publisher(), displayhook=Hook())


def test_all_doors_are_heard_and_given_back(shell, monkeypatch):
    """A wrapper left behind holds the cell's output for ever; one that swallows makes the cell mute."""
    stream = io.StringIO()
    real = type("Stream", (), {"write": lambda self, text: stream.write(text), "flush": lambda self: None})()
    monkeypatch.setattr(sys, "stdout", real)
    tee = Tee(shell)
    with tee:
        real.write("text")
        shell.display_pub.publish({"text/plain": "a"}, transient={"display_id": "i"})
        shell.display_pub.clear_output(wait=True)
        shell.displayhook.compute_format_data(3)
    real.write(" after")
    assert tee.events == [
        ("stream", "stdout", "text"),
        ("display", "i", {"text/plain": "a"}, None),
        ("clear", True),
        ("result", {"text/plain": "3"}, {}),
    ]
    assert stream.getvalue() == "text after"
    assert shell.display_pub.shown == [{"text/plain": "a"}, "clear"]
    assert [vars(real), vars(shell.display_pub).keys(), vars(shell.displayhook)] == [{}, {"shown"}, {}]


def test_someone_who_patched_over_it_is_left_in_place(shell, monkeypatch):
    """Taking another tool's wrapper away would break it; ours only passes on from then on."""
    tee = Tee(shell)
    with tee:
        inner = shell.display_pub.publish
        shell.display_pub.publish = lambda *args, **more: inner(*args, **more)
    shell.display_pub.publish({"text/plain": "later"})
    assert shell.display_pub.shown == [{"text/plain": "later"}]
    assert tee.events == []


def test_a_stream_that_takes_no_attributes_is_left_alone(shell, monkeypatch):
    """Somebody's own `sys.stdout` must not break the cell."""

    class Slotted:
        __slots__ = ()

        def write(self, text):
            return len(text)

    monkeypatch.setattr(sys, "stdout", Slotted())
    with Tee(shell) as tee:
        sys.stdout.write("x")
    assert tee.events == []
