"""Submitted steps: driven a stretch at a time, by whichever worker is free."""

import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from nbflow.futures import Future
from nbflow.step.plan import plan
from nbflow.step.policy import Policy
from nbflow.task_runners import ThreadPoolTaskRunner
from nbflow.tasks.jobs import join, start_async, start_job, when_done
from tests.fakes import FakeClock, FakeWorld, kinds

PATIENCE = 20


def start(pool, world, policy=Policy(), number=1):
    future = Future("fetch")
    start_job(pool, number, future, lambda: (None, plan(number, policy, keyed=True), world))
    return future


def waits(seconds):
    return lambda *_: seconds


def test_a_job_runs_to_its_value():
    """A submitted step would not give its result."""
    world = FakeWorld(41)
    assert start(ThreadPoolTaskRunner(1), world).result(PATIENCE) == 41
    assert kinds(world.events) == ["Started", "Completed"]


def test_an_error_reaches_the_future_as_it_is():
    """`future.exception()` would be another error than the user's."""
    error = ValueError("x")
    assert start(ThreadPoolTaskRunner(1), FakeWorld(error)).exception(PATIENCE) is error


def test_an_error_before_the_plan_reaches_the_future():
    """A call with wrong arguments would leave a future that never ends."""
    future = Future("fetch")
    start_job(ThreadPoolTaskRunner(1), 1, future, lambda: 1 / 0)
    assert isinstance(future.exception(PATIENCE), ZeroDivisionError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_exit_in_a_worker_reaches_the_future_and_leaves_the_pool_usable(error):
    """sys.exit() in one item would end its worker, and all later items would wait for ever."""

    def leave():
        raise error

    pool = ThreadPoolTaskRunner(1)
    assert start(pool, FakeWorld(leave)).exception(PATIENCE) is error
    assert start(pool, FakeWorld(1)).result(PATIENCE) == 1


def test_a_hundred_waiting_retries_hold_no_worker():
    """Two workers would sleep through a hundred backoffs, one after the other: 10 s instead of 0.2 s."""
    clock, pool = FakeClock(), ThreadPoolTaskRunner(2)
    worlds = [FakeWorld(OSError(), i, clock=clock) for i in range(100)]
    futures = [start(pool, world, Policy(attempts=2, wait=waits(0.2)), i) for i, world in enumerate(worlds)]
    clock.wait_parked(100)
    assert not any(future.done() for future in futures)
    assert start(pool, FakeWorld("free")).result(PATIENCE) == "free"
    clock.advance(0.2)
    assert [future.result(PATIENCE) for future in futures] == list(range(100))
    assert clock.now == pytest.approx(0.2) and all(world.calls == 2 for world in worlds)


def test_a_step_that_waits_for_its_turn_holds_no_worker():
    """A hundred submits of one slow call would fill the pool, and nothing else would run."""
    pool, world = ThreadPoolTaskRunner(1), FakeWorld(5)
    world.holder = True
    future = start(pool, world)
    assert start(pool, FakeWorld("free")).result(PATIENCE) == "free"
    assert not future.done() and world.calls == 0
    world.free()
    assert future.result(PATIENCE) == 5


def test_a_turn_that_somebody_else_took_is_waited_for_again():
    """Two of three waiting steps would run the same key at the same time."""
    pool, world = ThreadPoolTaskRunner(1), FakeWorld(5)
    world.holder = True
    future = start(pool, world)
    assert start(pool, FakeWorld(0)).result(PATIENCE) == 0
    callback = world.waiting.pop()
    callback()  # it is told that the key is free, but another one was faster
    assert start(pool, FakeWorld(0)).result(PATIENCE) == 0
    assert not future.done() and len(world.waiting) == 1
    world.free()
    assert future.result(PATIENCE) == 5


def test_cancelled_while_queued_is_never_called():
    """future.cancel() on a queued download would download anyway."""
    pool, gate, world = ThreadPoolTaskRunner(1), threading.Event(), FakeWorld(1)
    busy = start(pool, FakeWorld(lambda: gate.wait(PATIENCE)))
    future = start(pool, world)
    assert future.cancel()
    gate.set()
    busy.result(PATIENCE)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(PATIENCE)
    assert start(pool, FakeWorld(2)).result(PATIENCE) == 2
    assert world.calls == 0


def test_cancelled_between_attempts_is_told_and_not_tried_again():
    """A cancelled step would go on retrying for hours, or look as if it had failed."""
    clock, pool = FakeClock(), ThreadPoolTaskRunner(1)
    world = FakeWorld(OSError(), 1, clock=clock)
    future = start(pool, world, Policy(attempts=5, wait=waits(60.0)))
    clock.wait_parked(1)
    future.cancel()
    clock.advance(60)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(PATIENCE)
    assert world.calls == 1 and kinds(world.events) == ["Started", "Waiting", "Cancelled"]


def test_context_of_the_caller_reaches_every_attempt():
    """The user's own context variables would be lost in a worker, or leak from one attempt into the next."""
    here, seen = ContextVar("here", default=0), []

    def body():
        seen.append(here.get())
        here.set(99)
        if len(seen) == 1:
            raise OSError

    mark = here.set(5)
    future = start(ThreadPoolTaskRunner(1), FakeWorld(body), Policy(attempts=2))
    here.reset(mark)
    future.result(PATIENCE)
    assert seen == [5, 5]


def test_a_step_may_wait_for_its_own_steps():
    """A map inside a mapped step would hang as soon as the pool is full."""
    pool = ThreadPoolTaskRunner(2)

    def descend(depth):
        if depth == 0:
            return 1
        below = [start(pool, FakeWorld(partial(descend, depth - 1))) for _ in range(2)]
        return sum(each.result(PATIENCE) for each in below)

    assert start(pool, FakeWorld(partial(descend, 5))).result(PATIENCE) == 32


def test_when_done_calls_once_after_the_last():
    """A step that depends on three others would start after the first, or three times."""
    futures, called = [Future() for _ in range(3)], []
    when_done(futures, lambda: called.append(1))
    futures[0].set_result(1)
    futures[1].set_exception(ValueError())
    assert called == []
    futures[2].set_result(1)
    assert called == [1]
    when_done([], lambda: called.append(2))
    assert called == [1, 2]


def test_coroutines_share_one_loop_and_retry():
    """Every submitted `async def` would start a loop of its own, or not be retried."""
    where = set()

    def body(world):
        def step():
            where.add(asyncio.get_running_loop())
            if world.calls == 1:
                raise OSError
            return world.calls

        return step

    futures, clock = [], FakeClock()
    for i in range(10):
        world = FakeWorld(clock=clock)
        world.script = [body(world)]
        futures.append(Future("fetch"))
        start_async(i, futures[-1], lambda w=world, i=i: (None, plan(i, Policy(attempts=2), keyed=True), w))
    assert [each.result(PATIENCE) for each in futures] == [2] * 10
    assert len(where) == 1


def test_an_error_in_a_coroutines_beginning_reaches_the_future():
    """A submitted coroutine with wrong arguments would never end."""
    future = Future("fetch")
    start_async(1, future, lambda: 1 / 0)
    assert isinstance(future.exception(PATIENCE), ZeroDivisionError)


def test_join_waits_for_all():
    """Steps that nobody waited for would be cut off at the exit."""
    gate, world = threading.Event(), FakeWorld(lambda: gate.wait(PATIENCE) and 5)
    future = start(ThreadPoolTaskRunner(1), world)
    gate.set()
    join()
    assert future.done()


SCRIPT = """
    import sys, threading, time
    from functools import partial
    sys.path.insert(0, {root!r})
    from tests.unit.test_jobs import start
    from tests.fakes import FakeWorld
    from nbflow.task_runners import ThreadPoolTaskRunner
    pool = ThreadPoolTaskRunner(2)
"""


def script(text):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return textwrap.dedent(SCRIPT).format(root=root) + textwrap.dedent(text)


def test_steps_that_nobody_waits_for_are_joined_at_exit():
    """A script that ends with fetch.map(urls) would stop in the middle."""
    code = script("""
        def slow():
            time.sleep(0.3)
            print("done", flush=True)
        start(pool, FakeWorld(slow))
        print("end of script", flush=True)
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split("\n")[:2] == ["end of script", "done"], ran.stderr


def test_steps_that_depend_on_others_are_joined_too(tmp_path):
    """The last step of a chain would be lost at the exit."""
    code = script(f"""
        from nbflow import configure, task
        configure(store={str(tmp_path / "store")!r})
        @task
        def one(x):
            time.sleep(0.2)
            return x
        @task
        def other(x):
            print("other", x, flush=True)
        other.submit(other.submit(one.submit(5)))
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split("\n")[:2] == ["other 5", "other None"], ran.stderr


def test_ctrl_c_in_a_blocked_result_returns_at_once():
    """Ctrl-C would wait until all workers have ended, as concurrent.futures' pool does."""
    code = script("""
        hung = threading.Event()
        future = start(pool, FakeWorld(lambda: hung.wait(60)))
        try:
            print("ready", flush=True)
            future.result()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            hung.set()
    """)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with child:
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(30) == 0, child.stderr.read()
