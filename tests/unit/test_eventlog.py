"""The file through which `nbflow run` hears of steps."""

import math

import pytest

from nbflow.eventlog import EventLog, Tail
from nbflow.events import Began, Completed, Hit, Missed, Started, Waiting


@pytest.fixture
def log(tmp_path):
    made = EventLog(tmp_path / "events")
    yield made
    made.close()


def test_events_arrive_as_they_were_told(tmp_path, log):
    """Otherwise the command line would show other attempts, times or names than the panel."""
    told = [
        Began(7, 1.5, "fetch", (3, "'a'", None, True), None),
        Missed(7, 1.6, "first run", None),
        Started(7, 1.7, 1, 4),
        Waiting(7, 1.8, 1, 0.25, "HTTPError: 503\n\ud800 \u2028"),
        Began(8, 1.9, "inner", (), 7),
        Completed(7, 2.0, 0.1, 812),
    ]
    for event in told:
        log(event)
    heard = list(Tail(tmp_path / "events").read())
    assert [(type(each), tuple(each)[1:]) for each in heard if type(each) is not Began] == [
        (type(each), tuple(each)[1:]) for each in told if type(each) is not Began
    ]
    first, inner = [each for each in heard if type(each) is Began]
    assert (first.task, first.arguments, first.parent) == ("fetch", (3, "'a'", None, True), None)
    assert inner.parent == first.step
    assert {each.step for each in heard if each.step != inner.step} == {first.step}


def test_a_line_that_is_still_written_waits(tmp_path, log):
    """Otherwise an event that is read half would be lost."""
    path = tmp_path / "events"
    log(Hit(1, 2.0, 3.0, 4.0, 5))
    whole = path.read_bytes()
    tail = Tail(path)
    path.write_bytes(whole[:9])
    assert list(tail.read()) == []
    path.write_bytes(whole)
    assert list(tail.read()) == [Hit(1, 2.0, 3.0, 4.0, 5)]
    assert list(tail.read()) == []


def test_steps_of_two_processes_are_two_steps(tmp_path):
    """Otherwise the steps of a fork would change the rows of its parent, which have the same numbers."""
    path = tmp_path / "events"
    path.write_text('[1, "Hit", 5, 1.0, 1.0, 1.0, 1]\n[2, "Hit", 5, 1.0, 1.0, 1.0, 1]\n')
    first, second = Tail(path).read()
    assert first.step != second.step


@pytest.mark.parametrize("line", ["", "{}", "[1]", "nonsense", '[1, "Newer", 1, 2]', '[1, "Hit", 1]', "\udcff"])
def test_foreign_lines_are_passed_over(tmp_path, line):
    """Otherwise a kernel with another version of nbflow would end the run."""
    path = tmp_path / "events"
    path.write_bytes(line.encode("utf-8", "surrogateescape") + b'\n[1, "Hit", 5, 1.0, 1.0, 1.0, 1]\n')
    assert [type(each) for each in Tail(path).read()] == [Hit]


def test_no_file_is_no_events(tmp_path):
    """A notebook that never uses nbflow makes no file, and must run all the same."""
    assert list(Tail(tmp_path / "none").read()) == []


def test_misses_are_explained_but_not_at_any_price(tmp_path):
    """Otherwise the run would not say why a step ran, or ten thousand misses would wait for their explanations."""
    now = [0.0]
    asked = []

    def explain(task, missed):
        asked.append((task, missed.step))
        now[0] += 0.2
        return "clean() changed" if missed.step == 1 else ""

    log = EventLog(tmp_path / "events", explain, clock=lambda: now[0])
    for step in range(1, 101):
        log(Began(step, 0.0, "fetch", (), None))
        log(Missed(step, 0.0, "no entry", {"the code": math.pi}))
    log.close()
    heard = [each.why for each in Tail(tmp_path / "events").read() if type(each) is Missed]
    assert heard[:2] == ["clean() changed", "no entry"]
    assert len(heard) == 100
    assert asked[0] == ("fetch", 1)
    assert len(asked) < 10


def test_a_log_that_cannot_be_written_costs_the_log_alone(tmp_path):
    """Otherwise a full disk would take the run down with its progress display."""
    from nbflow.bus import Bus

    said = []
    log = EventLog(tmp_path / "events")
    bus = Bus(log, warn=said.append)
    log.close()
    bus.tell(Hit(1, 2.0, 3.0, 4.0, 5))
    bus.tell(Hit(2, 2.0, 3.0, 4.0, 5))
    assert len(said) == 1
    assert bus.sinks == ()
