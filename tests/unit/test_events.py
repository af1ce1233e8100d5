"""Events and the bus that hands them on."""

import pickle
import threading

import pytest

from nbflow import events as e
from nbflow.bus import Bus


@pytest.mark.parametrize("kind", e.Event.__args__)
def test_events_are_frozen_and_picklable(kind):
    """History and the panel's copy of what happened could change, or not be written down."""
    event = kind(*range(len(kind._fields)))
    assert pickle.loads(pickle.dumps(event)) == event and type(pickle.loads(pickle.dumps(event))) is kind
    assert kind._fields[:2] == ("step", "at")
    with pytest.raises(AttributeError):
        event.step = 2


def test_all_sinks_hear_all_events_in_order():
    """A second panel would stay empty."""
    one, other = [], []
    bus = Bus(one.append, other.append)
    for i in range(3):
        bus.tell(e.Unsaved(i, 0.0, ""))
    assert one == other and [event.step for event in one] == [0, 1, 2]


def test_a_failing_sink_is_dropped_with_one_warning():
    """A broken panel would break the step, warn a thousand times, or silence the log as well."""
    heard, said = [], []

    def broken(event):
        raise ZeroDivisionError("panel")

    bus = Bus(broken, heard.append, warn=said.append)
    for i in range(5):
        bus.tell(e.Unsaved(i, 0.0, ""))
    assert len(heard) == 5
    assert len(said) == 1 and "ZeroDivisionError: panel" in said[0]


def test_an_interrupt_in_a_sink_goes_through():
    """Ctrl-C while the panel draws would be lost."""

    def interrupted(event):
        raise KeyboardInterrupt

    bus = Bus(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.tell(e.Unsaved(1, 0.0, ""))
    assert bus.sinks == (interrupted,)


def test_joining_twice_hears_once():
    """Calling panel() again would show every step twice."""
    heard = []
    bus = Bus()
    bus.join(heard.append)
    bus.join(heard.append)
    bus.tell(e.Unsaved(1, 0.0, ""))
    assert len(heard) == 1
    bus.leave(heard.append)
    bus.tell(e.Unsaved(2, 0.0, ""))
    assert len(heard) == 1
    bus.leave(heard.append)


def test_a_sink_may_leave_while_it_hears():
    """Closing the panel from its own button would make another sink miss an event."""
    heard = []
    bus = Bus()

    def once(event):
        bus.leave(once)

    bus.join(once)
    bus.join(heard.append)
    bus.tell(e.Unsaved(1, 0.0, ""))
    assert len(heard) == 1 and once not in bus.sinks


def test_events_are_told_in_the_thread_where_they_happen():
    """A log line would be shown under the cell that runs now, not under its own."""
    where = []
    bus = Bus(lambda event: where.append(threading.current_thread().name))
    worker = threading.Thread(target=bus.tell, args=(e.Unsaved(1, 0.0, ""),), name="there")
    worker.start()
    worker.join()
    assert where == ["there"]
