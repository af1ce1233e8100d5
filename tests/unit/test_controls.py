"""Steps that somebody wakes, stops or repeats from outside."""

import asyncio
import threading
import time
from concurrent.futures import CancelledError

import pytest

from nbflow import task
from nbflow.engine import controls
from nbflow.events import Cancelled, Completed, Failed, Started, Waiting
from nbflow.futures.future import on_their_way
from nbflow.session import session

PATIENCE = 20.0


@pytest.fixture
def real(fresh):
    """The session with the machine's own clock, and a wait for an event of a kind."""
    from nbflow.clock import Clock

    fresh.session.clock = Clock()

    def wait(kind, count=1):
        until = time.monotonic() + PATIENCE
        while len(found := [each for each in fresh.events if type(each) is kind]) < count:
            assert time.monotonic() < until, fresh.events
            time.sleep(0.002)
        return found[-1]

    fresh.wait = wait
    return fresh


def flaky(**options):
    """A task that fails at first, and would then wait for a day."""
    calls = []

    @task(retries=1, retry_delay_seconds=86_400, **options)
    def step(n):
        calls.append(n)
        if len(calls) == 1:
            raise OSError("busy")
        return n

    return step


def in_thread(function, *args):
    """A call in a thread of its own; gives its outcome when joined."""
    out = []

    def run():
        try:
            out.append(function(*args))
        except BaseException as error:  # whatever a step raises
            out.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join():
        thread.join(PATIENCE)
        return out[0]

    return join


def test_a_parked_step_is_woken(real):
    """Else `retry now` would do nothing for steps that were submitted."""
    future = flaky().submit(3)
    step = real.wait(Waiting).step
    assert controls.wake(step) and not controls.wake(step)
    assert future.result(PATIENCE) == 3
    assert not controls.wake(step)


def test_a_step_that_waits_in_its_own_thread_is_woken(real):
    """Else `retry now` would do nothing for plain calls, which is most of a notebook."""
    join = in_thread(flaky(), 4)
    assert controls.wake(real.wait(Waiting).step)
    assert join() == 4


def test_a_coroutine_that_waits_is_woken_and_stopped(real):
    """Else `retry now` and `cancel` would do nothing for `async def` tasks."""

    @task(retries=1, retry_delay_seconds=86_400)
    async def step(n):
        if not [each for each in real.events if type(each) is Waiting]:
            raise OSError("busy")
        await asyncio.sleep(0 if n == 5 else 86_400)
        return n

    future = step.submit(5)
    assert controls.wake(real.wait(Waiting).step)
    assert future.result(PATIENCE) == 5
    running = step.submit(6)
    number = real.wait(Started, 3).step
    assert controls.stop(number)
    with pytest.raises(asyncio.CancelledError):
        running.result(PATIENCE)
    assert real.wait(Cancelled).step == number


def test_a_wait_is_cancelled(real):
    """Else a step in a backoff of a day could only be ended with its kernel."""
    future = flaky().submit(7)
    step = real.wait(Waiting).step
    assert future in on_their_way and not future.cancel() and controls.stop(step)
    with pytest.raises(CancelledError):
        future.result(PATIENCE)
    assert real.wait(Cancelled).step == step
    until = time.monotonic() + PATIENCE
    while future in on_their_way and time.monotonic() < until:  # whoever waits is woken a moment before
        time.sleep(0.002)
    assert future not in on_their_way
    join = in_thread(flaky(), 8)
    assert controls.stop(real.wait(Waiting, 2).step)
    assert isinstance(join(), CancelledError)


def test_a_step_on_the_main_thread_is_interrupted_and_nothing_else_is(real):
    """Else `cancel` could not end a long call, or would hit whatever runs after it."""

    @task(retries=3)
    def long():
        threading.Event().wait(PATIENCE)

    def click():
        stopped.append(controls.stop(real.wait(Started).step))

    stopped = []
    clicker = threading.Thread(target=click)
    clicker.start()
    with pytest.raises(KeyboardInterrupt):
        long()
    clicker.join()
    step = real.wait(Cancelled).step
    assert stopped == [True] and len([each for each in real.events if type(each) is Started]) == 1, "never retried"
    assert not controls.stop(step), "once it is over there is nothing to hit"


def test_a_step_on_a_worker_is_not_said_to_stop(real):
    """Else the panel would promise what no thread can keep."""
    go = threading.Event()

    @task
    def step():
        return go.wait(PATIENCE)

    future = step.submit()
    assert not controls.stop(real.wait(Started).step)
    go.set()
    assert future.result(PATIENCE)


def test_what_failed_can_be_run_again_once(real):
    """Else one failed item of a thousand would mean to find and call it by hand."""

    class Loader:
        broken = True

        @task(persist_result=False)
        def load(self, n, *, factor):
            if Loader.broken:
                raise ValueError("bad")
            return n * factor

    with pytest.raises(ValueError, match="bad"):
        Loader().load(5, factor=3)
    step = real.wait(Failed).step
    Loader.broken = False
    again = controls.again(step)
    assert again is not None and again().result(PATIENCE) == 15
    assert controls.again(step) is None
    assert controls.again(real.wait(Completed).step) is None, "what worked is not kept"


def test_only_the_latest_failures_are_remembered(real):
    """Else a notebook that runs for a week would keep the arguments of every call that failed."""
    for number in range(-1200, 0):
        controls.failed(number, int)
    kept = [number for number in range(-1200, 0) if controls.again(number) is not None]
    assert kept == list(range(-1000, 0))
    assert session is real.session
