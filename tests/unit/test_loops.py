"""One coroutine task, several callers and several event loops."""

import asyncio

import pytest

from nbflow import events as e
from nbflow import task


class Gate:
    """What callers share with a test; no input of the task."""

    def __init__(self):
        self.calls, self.open, self.fail = [], asyncio.Event(), []

    def __nbflow_digest__(self):
        return "the gate"


@pytest.fixture
def gated(fresh):
    @task(persist_result=True)
    async def fetch(gate, x):
        gate.calls.append(x)
        await gate.open.wait()
        if gate.fail:
            raise gate.fail.pop()
        return x

    return fetch


async def until(condition):
    """Let the loop go on until something holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is the task's own state
            await asyncio.sleep(0.001)


def waiting(fetch, gate, count):
    """So many callers of one key; the first of them runs, the others wait for it."""
    return [asyncio.ensure_future(fetch(gate, 1)) for _ in range(count)]


def test_a_waiter_that_is_cancelled_leaves_the_others_alone(gated):
    """One impatient caller would cancel the download that nine others wait for."""

    async def main():
        gate = Gate()
        owner, impatient, other = waiting(gated, gate, 3)
        await until(lambda: gate.calls)
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        gate.open.set()
        assert await asyncio.gather(owner, other) == [1, 1]
        return gate.calls

    assert asyncio.run(main()) == [1]


def test_an_owner_that_is_cancelled_lets_one_waiter_run(gated):
    """The others would be cancelled with it, wait for ever, or all run at once."""

    async def main():
        gate = Gate()
        owner, *others = waiting(gated, gate, 4)
        await until(lambda: gate.calls)
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owner
        await until(lambda: len(gate.calls) == 2)
        gate.open.set()
        assert await asyncio.gather(*others) == [1, 1, 1]
        return gate.calls

    assert asyncio.run(main()) == [1, 1]


def test_an_owner_that_fails_lets_one_waiter_try(gated):
    """One failure would be everybody's, or everybody would hammer the service that just failed."""

    async def main():
        gate = Gate()
        gate.fail.append(OSError("503"))
        steps = waiting(gated, gate, 4)
        await until(lambda: gate.calls)
        gate.open.set()
        found = await asyncio.gather(*steps, return_exceptions=True)
        return [type(each) for each in found], gate.calls

    kinds, calls = asyncio.run(main())
    assert sorted(kinds, key=str) == [OSError, int, int, int] and calls == [1, 1]


def test_a_loop_that_was_closed_leaves_nothing_behind(fresh, gated):
    """The second `asyncio.run` would wait for a task of the first one for ever."""

    async def cut_short():
        gate = Gate()
        steps = waiting(gated, gate, 2)
        await until(lambda: gate.calls)
        return steps

    async def whole():
        gate = Gate()
        gate.open.set()
        return await gated(gate, 1), await gated(gate, 1), gate.calls

    asyncio.run(cut_short())
    assert asyncio.run(whole()) == (1, 1, [1])
    assert type(fresh.events[-1]) is e.Hit


def test_a_coroutine_that_awaits_itself_with_the_same_inputs(fresh):
    """An endless recursion would hang instead of raising."""

    @task(persist_result=True)
    async def again(x):
        return await again(x)

    async def main():
        async with asyncio.timeout(20):
            await again(1)

    with pytest.raises(Exception, match="itself"):
        asyncio.run(main())
