"""Ending an attempt that runs too long."""

import signal
import threading
import time

import pytest

from nbflow.errors import StepTimeout
from nbflow.timeouts import call_within, late

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")

SHORT = 0.03


@pytest.fixture(autouse=True)
def alarms():
    """The handler and the timer are as they were."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def spin(seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def block(seconds=5.0):
    threading.Event().wait(seconds)


def in_thread(body):
    """What a body gave or raised in a thread of its own."""
    outcome = []

    def run():
        try:
            outcome.append(body())
        except BaseException as error:
            outcome.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    worker.join(10)
    return outcome[0]


def test_no_limit_is_a_plain_call():
    """Every task would pay for alarms."""
    assert call_within(lambda: threading.current_thread(), None) is threading.current_thread()


def test_in_time():
    """A step that is fast enough would time out, or lose its value."""
    assert call_within(lambda: 7, 5) == 7
    assert in_thread(lambda: call_within(lambda: 7, 5)) == 7


@pytest.mark.parametrize("body", [spin, block])
def test_main_thread_is_interrupted(body):
    """A hung download would block the notebook for ever."""
    began = time.monotonic()
    with pytest.raises(StepTimeout, match="the attempt took more than 30 ms") as info:
        call_within(body, SHORT)
    assert time.monotonic() - began < 2
    assert isinstance(info.value, TimeoutError) and info.value.__suppress_context__


def test_except_exception_cannot_swallow_it():
    """`except Exception: pass` in a polling loop would make the limit void."""

    def stubborn():
        while True:
            try:
                spin()
            except Exception:
                pass

    with pytest.raises(StepTimeout):
        call_within(stubborn, SHORT)


def test_a_bare_except_is_late_but_told():
    """A body that swallows everything would look as if it had been in time."""

    def stubborn():
        try:
            spin()
        except:  # noqa: E722 - that is the point
            return "late"

    with pytest.raises(StepTimeout):
        call_within(stubborn, SHORT)


def test_the_users_own_error_passes():
    """An error within the limit would become a timeout."""
    with pytest.raises(KeyError):
        call_within(lambda: {}["x"], 5)
    assert isinstance(in_thread(lambda: call_within(lambda: {}["x"], 5)), KeyError)


def test_inner_limit_ends_first():
    """An inner step's limit would be ignored inside a step with one."""

    def outer():
        try:
            call_within(spin, SHORT)
        except StepTimeout:
            return "inner"

    assert call_within(outer, 5) == "inner"


def test_outer_limit_ends_the_inner_step():
    """A flow's limit would wait for a step that has a longer one."""

    def outer():
        try:
            call_within(spin, 5)
        except StepTimeout:
            return "inner"

    with pytest.raises(StepTimeout, match="30 ms"):
        call_within(outer, SHORT)


def test_outer_limit_goes_on_after_the_inner_step():
    """After one inner step with a limit the outer one would never ring."""

    def outer():
        for _ in range(3):
            call_within(lambda: 1, 5)
        spin()

    with pytest.raises(StepTimeout, match="50 ms"):
        call_within(outer, 0.05)


def test_outer_limit_rings_while_the_inner_body_swallows_its_own():
    """A body that swallows its own timeout would escape the limit around it too."""

    def stubborn():
        try:
            spin()
        except BaseException:
            spin()

    with pytest.raises(StepTimeout, match="80 ms"):
        call_within(lambda: call_within(stubborn, SHORT), 0.08)


def test_the_users_own_alarm_still_rings_once():
    """pytest-timeout, or the user's own alarm, would be lost, or ring twice."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, SHORT)
        with pytest.raises(StepTimeout):
            call_within(spin, 0.1)
        assert rang == [1] and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 30)
        call_within(lambda: 1, 5)
        assert 25 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rang == [1]


def test_nothing_rings_after_the_end():
    """A timeout would strike the next cell: a thousand bodies that end just about at their limit."""
    ended = {"in time": 0, "late": 0}
    for i in range(1000):
        limit = 0.0002 + (i % 20) * 0.00001
        try:
            call_within(lambda: spin(0.0003), limit)
            ended["in time"] += 1
        except StepTimeout:
            ended["late"] += 1
    spin(0.01)
    assert sum(ended.values()) == 1000 and all(ended.values())


def test_a_body_in_a_worker_is_given_up_and_named():
    """A hung step on a thread would never be told, or one would not know that it still runs."""
    release, done = threading.Event(), threading.Event()

    def body():
        release.wait(10)
        done.set()
        return "dropped"

    try:
        error = in_thread(lambda: call_within(body, SHORT))
        assert isinstance(error, StepTimeout)
        named = [each.name for each in threading.enumerate() if each.name.startswith("nbflow-timed")]
        assert len(named) == 1 and named[0] in str(error) and "cannot be stopped" in str(error)
    finally:
        release.set()
    assert done.wait(10)


def test_context_reaches_a_timed_body_in_a_worker():
    """Prints of a step with a limit on a thread would go to the wrong step."""
    from contextvars import ContextVar

    here = ContextVar("here")

    def body():
        here.set(5)
        return call_within(here.get, 5)

    assert in_thread(body) == 5


def test_late_spells_the_limit():
    """One could not see which limit it was."""
    assert str(late(90)) == "the attempt took more than 1 min 30 s"
