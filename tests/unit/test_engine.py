"""The loops that perform a plan."""

import asyncio
import gc
import traceback
import weakref

import pytest

from nbflow.engine.loop import advance, arun, run, value_of
from nbflow.step import commands as c
from nbflow.step.plan import plan
from nbflow.step.policy import Policy
from tests.fakes import FakeWorld, kinds


def test_advance_stops_at_the_drivers_own_command():
    """A waiting step would hold a worker of the pool."""
    world = FakeWorld(OSError(), 5)
    steps = plan(1, Policy(attempts=2, wait=lambda *_: 3.0), keyed=False)
    hands = world.hands(c.Sleep)
    assert advance(steps, hands) == c.Sleep(3.0)
    assert world.calls == 1
    assert advance(steps, hands) == c.Ok(5)


def test_error_of_the_drivers_own_command_reaches_the_plan():
    """A cancelled wait would go on with the next attempt."""
    world = FakeWorld(OSError())
    steps = plan(1, Policy(attempts=2), keyed=False)
    advance(steps, world.hands(c.Sleep))
    with pytest.raises(KeyboardInterrupt):
        advance(steps, world.hands(c.Sleep), error=KeyboardInterrupt())
    assert kinds(world.events) == ["Started", "Waiting", "Cancelled"]


def test_a_users_stop_iteration_is_an_error_like_any_other():
    """A bare `next()` in the user's code would end the step as if it had returned."""
    world = FakeWorld(StopIteration(3))
    with pytest.raises(StopIteration):
        value_of(run(plan(1, Policy(), keyed=False), world.hands()))


def test_the_original_error_with_the_users_frame():
    """The traceback would end in nbflow, not at the user's line."""

    def boom():
        return {}["x"]

    with pytest.raises(KeyError) as info:
        value_of(run(plan(1, Policy(), keyed=False), FakeWorld(boom).hands()))
    assert info.traceback[-1].name == "boom"


def test_async_and_sync_give_the_same():
    """An `async def` task would be retried in another way."""
    policy = Policy(attempts=3, wait=lambda attempt, *_: attempt)
    one, other = FakeWorld(OSError(), OSError(), 5), FakeWorld(OSError(), OSError(), 5)
    assert run(plan(1, policy, keyed=True), one.hands()) == c.Ok(5)
    assert asyncio.run(arun(plan(1, policy, keyed=True), other.hands(*other.awaited()), other.awaited())) == c.Ok(5)
    assert one.events == other.events and one.clock.slept == other.clock.slept


def test_cancelling_an_awaited_step_is_told_and_stops_it():
    """A cancelled task would be retried, or look as if it ran for ever."""
    world = FakeWorld(OSError())
    awaited = world.awaited()
    sleeping = asyncio.Event()

    async def forever(_):
        sleeping.set()
        await asyncio.Event().wait()

    awaited[c.Sleep] = forever

    async def main():
        steps = asyncio.create_task(arun(plan(1, Policy(attempts=9), keyed=False), world.hands(*awaited), awaited))
        await sleeping.wait()
        steps.cancel()
        with pytest.raises(asyncio.CancelledError):
            await steps

    asyncio.run(main())
    assert kinds(world.events) == ["Started", "Waiting", "Cancelled"] and world.calls == 1


def test_one_hundred_coroutines_count_their_own_attempts():
    """Calls that run at the same time would share one attempt counter."""
    worlds = [FakeWorld(OSError(), OSError(), i) for i in range(100)]

    async def main():
        policy = Policy(attempts=3)
        return await asyncio.gather(
            *(arun(plan(i, policy, keyed=False), w.hands(*w.awaited()), w.awaited()) for i, w in enumerate(worlds))
        )

    assert [outcome.value for outcome in asyncio.run(main())] == list(range(100))
    assert all(world.calls == 3 for world in worlds)


def test_value_of_keeps_no_frame_alive():
    """A failed step's locals, a frame of 8 GB, would stay in memory until the collector runs."""

    class Big:
        pass

    def boom():
        big = Big()
        refs.append(weakref.ref(big))
        raise ValueError

    refs = []
    gc.disable()
    try:
        try:
            value_of(run(plan(1, Policy(attempts=2), keyed=False), FakeWorld(boom).hands()))
        except ValueError as error:
            assert "boom" in "".join(traceback.format_exception(error))
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()
