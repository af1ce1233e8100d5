"""Ending an attempt that runs too long."""

import asyncio
import pickle
import signal
import sys
import threading
import time
import weakref

import pytest

from nbflow.engine.timeouts import await_within, call_within, late
from nbflow.errors import StepTimeout

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


def test_what_python_calls_back_meanwhile_is_not_interrupted(monkeypatch):
    """Now and then `Exception ignored in: WeakSet._remove` would be printed into the cell, in place of the limit's error."""

    class Thing:
        pass

    def drop():
        while True:
            things.add(Thing())

    ignored, things = [], weakref.WeakSet()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: ignored.append(told.exc_type))
    for _ in range(20):
        with pytest.raises(StepTimeout):
            call_within(drop, 0.005)
    assert ignored == []


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


def test_a_body_that_swallows_it_in_a_loop_is_interrupted_again():
    """`while True: try: ... except: pass` would never end, and the notebook hang for good."""
    rang = []

    def stubborn():
        while len(rang) < 3:
            try:
                spin()
            except BaseException as error:
                rang.append(type(error).__name__)
        return "late"

    with pytest.raises(StepTimeout):
        call_within(stubborn, SHORT)
    assert rang == ["StepTimeout"] * 3


def test_what_cannot_be_interrupted_is_told():
    """Native code that holds out for a minute would look as if the limit of a second had been kept."""
    error = late(1.0, elapsed=61.0)
    assert "could be interrupted only after 1 min 1 s" in str(error) and "interrupted" not in str(
        late(1.0, elapsed=1.1)
    )


@pytest.mark.parametrize("where", [lambda body: body(), in_thread], ids=["main thread", "worker"])
def test_it_says_where_the_body_was(where):
    """One would know that something hangs, and not what."""
    release = threading.Event()

    def waits_for_the_server():
        release.wait(10)

    def run():
        try:
            call_within(waits_for_the_server, SHORT)
        except StepTimeout as error:
            return error

    try:
        error = where(run)
    finally:
        release.set()
    assert error.limit == SHORT <= error.elapsed < 5
    assert "in waits_for_the_server" in error.stack and "release.wait(10)" in error.stack
    assert "nbflow/timeouts.py" not in error.stack
    assert error.stack.rstrip() in error.__notes__[0]
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), there.limit, there.stack) == (str(error), error.limit, error.stack)


class TestCoroutines:
    """The same for what awaits."""

    def test_in_time_and_too_late(self):
        """A coroutine would not be ended at its limit, or lose its value."""

        async def gives():
            await asyncio.sleep(0)
            return 7

        async def hangs():
            await asyncio.Event().wait()

        assert asyncio.run(await_within(gives, 5)) == asyncio.run(await_within(gives, None)) == 7
        with pytest.raises(StepTimeout, match="30 ms") as info:
            asyncio.run(await_within(hangs, SHORT))
        assert "in hangs" in info.value.stack and "nbflow/timeouts.py" not in info.value.stack

    @pytest.mark.parametrize("body", [spin, block])
    def test_one_that_holds_up_its_loop_is_interrupted(self, body):
        """`time.sleep` in an async cell would hang the whole kernel, limit or not."""

        async def holds():
            await asyncio.sleep(0)
            body()

        with pytest.raises(StepTimeout) as info:
            asyncio.run(await_within(holds, SHORT))
        assert "in holds" in info.value.stack

    def test_one_in_a_group_of_tasks(self):
        """A group packs what it cannot handle: the limit would end in a crash."""

        async def holds():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
                spin()

        with pytest.raises(StepTimeout):
            asyncio.run(await_within(holds, SHORT))

    def test_its_own_errors_and_cancellation_pass(self):
        """Another limit's end, or Ctrl-C, would be told as this one's."""

        async def raises():
            raise TimeoutError("of the socket")

        async def cancelled():
            running = asyncio.ensure_future(await_within(asyncio.Event().wait, 5))
            await asyncio.sleep(0)
            running.cancel()
            await running

        with pytest.raises(TimeoutError, match="of the socket"):
            asyncio.run(await_within(raises, 5))
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled())

    def test_many_at_once_end_in_any_order_and_leave_nothing(self):
        """Limits of calls that run together would be lost, or ring for the wrong one."""

        async def sleeps(i):
            await asyncio.sleep(0 if i % 3 else 30)
            return i

        async def main():
            limits = [SHORT + 0.001 * (i % 7) for i in range(60)]
            calls = (await_within(lambda i=i: sleeps(i), limit) for i, limit in enumerate(limits))
            return await asyncio.gather(*calls, return_exceptions=True)

        results = asyncio.run(main())
        assert [i for i, each in enumerate(results) if isinstance(each, StepTimeout)] == list(range(0, 60, 3))
        assert [each for each in results if not isinstance(each, StepTimeout)] == [i for i in range(60) if i % 3]

    def test_tidying_up_after_a_cancellation_is_not_interrupted(self):
        """A connection would be left half closed."""
        tidied = []

        async def hangs():
            try:
                await asyncio.Event().wait()
            finally:
                spin(0.12)  # longer than the alarm takes to ring again
                tidied.append(1)

        with pytest.raises(StepTimeout):
            asyncio.run(await_within(hangs, SHORT))
        assert tidied == [1]

    def test_nothing_rings_after_the_end(self):
        """A timeout would strike the loop itself, which kills a kernel: a thousand that end just about at their limit."""
        ended = {"in time": 0, "late": 0}

        async def main():
            for i in range(1000):
                limit = 0.0002 + (i % 20) * 0.00003
                try:
                    await await_within(half_blocking, limit)
                    ended["in time"] += 1
                except StepTimeout:
                    ended["late"] += 1
            await asyncio.sleep(0.01)

        async def half_blocking():
            await asyncio.sleep(0)
            spin(0.0003)
            await asyncio.sleep(0)

        asyncio.run(main())
        spin(0.01)
        assert sum(ended.values()) == 1000 and all(ended.values())


def test_an_alarm_of_the_body_itself_is_its_own():
    """A library that sets an alarm while a step runs would lose it, or take the step's limit along."""
    rang = []

    def body():
        before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
        left = signal.setitimer(signal.ITIMER_REAL, 0.01)
        call_within(lambda: spin(0.03), 5)  # a step within, with a limit
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)
        spin()

    with pytest.raises(StepTimeout):
        call_within(body, 0.1)
    assert rang == [1]


def test_a_pool_is_usable_after_a_timeout(fresh):
    """After one hung download no other step would run."""
    from nbflow import task

    release = threading.Event()

    @task(timeout_seconds=SHORT, persist_result=False)
    def fetch(wait):
        return release.wait(10) if wait else 7

    try:
        hung = [fetch.submit(True) for _ in range(40)]  # more than there are workers
        assert fetch.submit(False).result(20) == 7
        assert all(isinstance(each.exception(20), StepTimeout) for each in hung)
        assert any("timeout_seconds on a thread" in each for each in fresh.warned)
    finally:
        release.set()


def test_no_warning_where_a_body_can_be_interrupted(fresh):
    """Every step with a limit would warn of a thread that it does not run on."""
    from nbflow import task

    task(timeout_seconds=5, persist_result=False)(lambda: 7)()
    assert not fresh.warned
