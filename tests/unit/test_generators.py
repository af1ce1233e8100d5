"""Generators as tasks: streamed, kept when they are exhausted, yielded again on a hit."""

import asyncio
import gc
import threading
import time

import numpy as np
import pytest

from nbflow import StepTimeout, configure, task
from nbflow import events as e
from nbflow.states import Running

PATIENCE = 30


def drain(items):
    """All items, and what the generator returned."""
    found = []
    while True:
        try:
            found.append(next(items))
        except StopIteration as stop:
            return found, stop.value


async def adrain(items):
    return [item async for item in items]


def told(fresh, kind):
    return [event for event in fresh.events if type(event) is kind]


class TestStreaming:
    def test_items_come_as_they_are_made(self, fresh):
        """A notebook would wait for the last page before it sees the first, or hold them all in memory."""
        made = []

        @task(persist_result=False)
        def pages(n):
            for i in range(n):
                made.append(i)
                yield i

        items = pages(3)
        assert made == [] and iter(items) is items
        assert next(items) == 0 and made == [0]
        assert next(items) == 1 and made == [0, 1]

    def test_the_step_runs_until_it_is_exhausted(self, fresh):
        """The panel would show a generator as done after its first item."""
        seen = []

        @task(on_running=[lambda task, run, state: seen.append(run)])
        def pages(n):
            yield from range(n)

        items = pages(2)
        next(items)
        assert seen[0].state.is_running() and isinstance(seen[0].state, type(Running()))
        assert not told(fresh, e.Completed)
        assert drain(items) == ([1], None)
        assert len(told(fresh, e.Completed)) == 1 and seen[0].state.is_completed()

    def test_what_is_sent_and_thrown_in_arrives(self, fresh):
        """A coroutine-like generator would get None for every answer."""

        @task
        def echo():
            got = yield "ready"
            try:
                got = yield got
            except KeyError as error:
                got = yield f"caught {error}"
            return got

        items = echo()
        assert next(items) == "ready" and items.send(5) == 5
        assert items.throw(KeyError("x")) == "caught 'x'"
        with pytest.raises(StopIteration) as stop:
            items.send("end")
        assert stop.value.value == "end"

    def test_code_between_the_items_is_not_the_steps(self, fresh, tmp_path):
        """A file that the loop's body reads would count as the generator's own, and miss when it changes."""
        other, own = tmp_path / "other.txt", tmp_path / "own.txt"
        other.write_text("1")
        own.write_text("1")

        @task
        def lines(path):
            with open(path) as file:
                yield from file
            yield own.read_text()

        def through():
            for _ in lines(own):
                other.read_text()

        through()
        other.write_text("another")
        through()
        assert len(told(fresh, e.Hit)) == 1
        own.write_text("changed")
        assert drain(lines(own))[0] == ["changed", "changed"]

    def test_two_side_by_side(self, fresh):
        """Two generators of one key would wait for each other for ever."""

        @task
        def numbers(n):
            yield from range(n)

        assert list(zip(numbers(3), numbers(3), strict=True)) == [(0, 0), (1, 1), (2, 2)]

    def test_arguments_are_checked_at_the_call(self, fresh):
        """The error would come from a line far from the wrong call."""

        @task
        def numbers(n):
            yield n

        with pytest.raises(TypeError, match="numbers"):
            numbers()

    def test_from_another_thread(self, fresh):
        """A generator that is begun here and gone through by a worker would break on context variables."""

        @task
        def numbers(n):
            yield from range(n)

        items, found = numbers(3), []
        found.append(next(items))
        thread = threading.Thread(target=lambda: found.extend(items))
        thread.start()
        thread.join(PATIENCE)
        assert found == [0, 1, 2]


class TestKeeping:
    def test_a_hit_yields_the_same_items_and_returns_the_same_value(self, fresh):
        """Every restart would fetch all pages again."""
        runs = []

        @task
        def pages(n):
            runs.append(n)
            for i in range(n):
                yield {"page": i, "rows": np.full(5, i)}
            return "total"

        first, second = drain(pages(3)), drain(pages(3))
        assert runs == [3] and first[1] == second[1] == "total"
        assert [item["page"] for item in second[0]] == [0, 1, 2] and second[0][2]["rows"].tolist() == [2] * 5
        assert pages.is_cached(3) and not pages.is_cached(4)

    def test_items_are_kept_as_they_were_yielded(self, fresh):
        """A generator that fills one buffer again and again would replay its last content n times."""

        @task
        def batches():
            batch = []
            for i in range(3):
                batch.append(i)
                yield batch

        lengths = [len(batch) for batch in batches()]
        for batch in batches():
            batch.append("POISON")
        assert lengths == [1, 2, 3] and drain(batches())[0] == [[0], [0, 1], [0, 1, 2]]

    def test_one_that_is_left_is_no_failure_and_is_not_kept(self, fresh):
        """The next run would get the first page only; or the panel would show a failure for `break`."""
        closed = []

        @task(persist_result=True)
        def pages(n):
            try:
                yield from range(n)
            finally:
                closed.append(n)

        for page in pages(3):
            if page == 1:
                break
        gc.collect()
        assert closed == [3] and not pages.is_cached(3)
        assert not told(fresh, e.Failed) and "left after 2 items" in told(fresh, e.Unsaved)[0].why
        assert not fresh.warned
        assert drain(pages(3))[0] == [0, 1, 2] and pages.is_cached(3)

    def test_a_failure_is_not_kept(self, fresh):
        """Half of the pages would be all of them, from then on."""
        broken = [True]

        @task(ignore=["broken"])
        def pages(broken):
            yield 1
            if broken:
                raise ValueError("no page 2")
            yield 2

        with pytest.raises(ValueError, match="no page 2"):
            drain(pages(broken))
        assert len(told(fresh, e.Failed)) == 1
        broken.clear()
        assert drain(pages(broken))[0] == [1, 2]

    def test_an_item_without_a_stored_form_costs_the_entry_alone(self, fresh):
        """A generator of connections would raise."""

        @task(persist_result=True)
        def locks():
            yield 1
            yield threading.Lock()

        assert len(drain(locks())[0]) == 2 and not locks.is_cached()
        assert any("item 1" in line for line in fresh.warned)

    def test_with_a_serializer(self, fresh):
        """The items would be pickled although the user asked for JSON."""

        @task(result_serializer="json")
        def rows():
            yield {"a": 1}
            return [2]

        assert drain(rows()) == drain(rows()) == ([{"a": 1}], [2])
        assert len(told(fresh, e.Hit)) == 1
        assert drain(rows.with_options(result_serializer="pickle")()) == ([{"a": 1}], [2])

    def test_caching_turned_off(self, fresh):
        """`NBFLOW_CACHE=off` would still hold every item in memory."""
        configure(cache=False)

        @task
        def numbers(n):
            yield from range(n)

        assert drain(numbers(2))[0] == drain(numbers(2))[0] == [0, 1] and not told(fresh, e.Hit)


class TestAllAtOnce:
    def test_submitted_and_mapped(self, fresh):
        """A future of a generator could not be stored, nor gone through twice."""

        @task
        def numbers(n):
            yield from range(n)
            return "end"

        assert numbers.submit(3).result(PATIENCE) == [0, 1, 2]
        assert numbers.map([1, 2]).result(PATIENCE) == [[0], [0, 1]]
        assert numbers(3, return_state=True).result() == [0, 1, 2]
        assert drain(numbers(3)) == ([0, 1, 2], "end")  # what was submitted is kept in the same form
        assert drain(numbers(4)) == ([0, 1, 2, 3], "end") and numbers.submit(4).result(PATIENCE) == [0, 1, 2, 3]
        assert len(told(fresh, e.Hit)) == 3

    def test_what_an_ordinary_function_returns_is_a_list(self, fresh):
        """A hit would give a generator that somebody has gone through already."""

        @task
        def squares(n):
            return (i * i for i in range(n))

        assert squares(3) == squares(3) == squares.submit(3).result(PATIENCE) == [0, 1, 4]
        assert len(told(fresh, e.Hit)) == 2

    def test_what_an_item_is_stays_what_it_is(self, fresh):
        """A generator of generators would be gone through to the end before its first item."""

        @task(persist_result=False)
        def rows():
            yield (i for i in range(2))

        assert list(next(rows())) == [0, 1]


class TestRetries:
    def test_before_the_first_item(self, fresh):
        """A server that is down when the first page is asked for would end the notebook."""
        runs = []

        @task(retries=2)
        def pages():
            runs.append(1)
            if len(runs) < 3:
                raise OSError("down")
            yield 1

        assert drain(pages())[0] == [1] and len(runs) == 3

    def test_not_after_it(self, fresh):
        """Whoever goes through the items would get the first ones twice."""
        runs = []

        @task(retries=3)
        def pages():
            runs.append(1)
            yield 1
            raise OSError("down")

        with pytest.raises(OSError, match="down"):
            drain(pages())
        assert len(runs) == 1

    def test_after_it_where_that_was_asked_for(self, fresh):
        """A consumer that can take items twice could not have the retry; or nobody would tell it of them."""
        runs = []

        @task(retries=3, retry_after_yield=True)
        def pages():
            runs.append(1)
            yield 1
            if len(runs) < 3:
                raise OSError("down")
            yield 2

        assert drain(pages())[0] == [1, 1, 1, 2] and drain(pages())[0] == [1, 2]
        assert any("come twice" in line for line in fresh.warned)

    def test_timeout_counts_the_generators_own_time(self, fresh):
        """A slow consumer would make a quick generator fail; or a stuck one would hang."""

        @task(timeout_seconds=0.3)
        def pages():
            yield 1
            time.sleep(5)
            yield 2

        items = pages()
        assert next(items) == 1
        time.sleep(0.4)
        began = time.monotonic()
        with pytest.raises(StepTimeout):
            next(items)
        assert time.monotonic() - began < 3 and len(told(fresh, e.TimedOut)) == 1


class TestAsync:
    def test_streamed_kept_and_left(self, fresh):
        """An asynchronous generator would not work at all, or its cleanup would run twice."""
        runs, closed = [], []

        @task
        async def pages(n):
            runs.append(n)
            try:
                for i in range(n):
                    await asyncio.sleep(0)
                    yield i
            finally:
                closed.append(n)

        async def through():
            items = pages(3)
            assert await anext(items) == 0
            await items.aclose()
            assert closed == [3] and runs == [3]
            first = await adrain(pages(3))
            second = await adrain(pages(3))
            assert first == second == [0, 1, 2] and len(runs) == 2
            assert await pages(2, return_state=True) and (await pages(2, return_state=True)).result() == [0, 1]

        asyncio.run(through())
        assert pages.submit(3).result(PATIENCE) == [0, 1, 2] and not told(fresh, e.Failed)

    def test_sent_retried_and_timed(self, fresh):
        """Retries and timeouts would hold for coroutines alone."""
        runs = []

        @task(retries=1, timeout_seconds=0.2)
        async def pages():
            runs.append(1)
            if len(runs) == 1:
                raise OSError("down")
            got = yield 1
            yield got
            await asyncio.sleep(10)

        async def through():
            items = pages()
            assert await anext(items) == 1 and await items.asend("x") == "x"
            with pytest.raises(StepTimeout):
                await anext(items)

        asyncio.run(through())
        assert len(runs) == 2
