"""Futures, lists of them, and arguments that hold them."""

import _thread
import asyncio
import concurrent.futures
import logging
import sys
import threading
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from nbflow.errors import ConfigurationError, InterfaceError, NotReadyError
from nbflow.futures import (
    Future,
    FutureList,
    allow_failure,
    as_completed,
    blocking,
    futures_in,
    resolve_futures_to_results,
    unmapped,
    wait,
)
from nbflow.futures.mapping import items

PATIENCE = 20


def done(value, task="fetch", arguments=()):
    future = Future(task, arguments)
    future.set_result(value)
    return future


def failed(error, task="fetch", arguments=()):
    future = Future(task, arguments)
    future.set_exception(error)
    return future


def cancelled():
    future = Future("fetch")
    future.cancel()
    future.set_running_or_notify_cancel()
    return future


class TestFuture:
    def test_result_gives_the_value_or_raises_the_error_itself(self):
        """`except MyError` around result() would not catch."""
        error = ValueError("x")
        assert done(3).result() == 3
        with pytest.raises(ValueError) as info:
            failed(error).result()
        assert info.value is error

    def test_result_returns_the_exception_if_asked(self):
        """Prefect's raise_on_failure=False would raise."""
        error = ValueError("x")
        assert failed(error).result(raise_on_failure=False) is error
        assert done(3).result(raise_on_failure=False) == 3
        assert done(3).result(None, False) == 3

    def test_result_in_time_or_timeout(self):
        """result(timeout=0) would block, or a pending step look cancelled."""
        with pytest.raises(TimeoutError):
            Future("slow").result(timeout=0)
        with pytest.raises(TimeoutError):
            Future("slow").result(timeout=0, raise_on_failure=False)

    def test_the_steps_own_timeout_is_told_from_ones_patience(self):
        """A step that timed out would look like a result that is not there yet."""
        own = TimeoutError("the attempt took more than 1 s")
        with pytest.raises(TimeoutError, match="the attempt took"):
            failed(own).result(timeout=0)

    def test_cancelled(self):
        """A cancelled step would return None."""
        with pytest.raises(concurrent.futures.CancelledError):
            cancelled().result()
        with pytest.raises(concurrent.futures.CancelledError):
            cancelled().result(raise_on_failure=False)

    def test_wait_never_raises(self):
        """wait() on a failed step would raise its error at the wrong place."""
        failed(ValueError()).wait()
        cancelled().wait()
        Future().wait(timeout=0)

    def test_await(self):
        """`await future` would block the notebook's loop, or not work at all."""

        async def main():
            future = Future()
            asyncio.get_running_loop().call_soon(future.set_result, 7)
            return await future

        assert asyncio.run(main()) == 7

    def test_works_with_the_standard_library(self):
        """concurrent.futures.wait and as_completed, or asyncio.wrap_future, would not take it."""
        assert [each.result() for each in concurrent.futures.as_completed([done(1)])] == [1]
        assert concurrent.futures.wait([done(1)]).not_done == set()

    def test_repr_names_the_call(self):
        """A list of a hundred futures would be a list of addresses."""
        assert repr(done(1, "fetch", (3, "'a'"))) == "<Future fetch(3, 'a') finished>"
        assert repr(Future("fetch")) == "<Future fetch() pending>"

    def test_waiting_lends_the_workers_place(self):
        """A step that waits for its own steps would keep them from running."""
        lent = []

        class Lend:
            def __enter__(self):
                lent.append("in")

            def __exit__(self, *_):
                lent.append("out")

        mark = blocking.set(Lend)
        try:
            pending = Future()
            timer = threading.Thread(target=pending.set_result, args=(1,))
            done(1).result()
            assert lent == []
            with pytest.raises(TimeoutError):
                pending.result(timeout=0)
            assert lent == ["in", "out"]
            timer.start()
            timer.join()
        finally:
            blocking.reset(mark)

    def test_a_callback_that_raises_breaks_nothing(self, caplog):
        """A user's callback would keep everybody waiting for ever."""
        future = Future()
        heard = []
        future.add_done_callback(lambda _: 1 / 0)
        future.add_done_callback(heard.append)
        with caplog.at_level(logging.CRITICAL, "concurrent.futures"):
            future.set_result(1)
        assert heard == [future] and list(as_completed([future])) == [future]


class TestFutureList:
    def test_values_in_input_order(self):
        """Results would come in the order of completion."""
        assert FutureList([done(2), done(1), done(3)]).result() == [2, 1, 3]
        assert FutureList().result() == []

    def test_first_failure_in_input_order_with_the_others_named(self):
        """One would have to look through a hundred futures for those that failed."""
        error = ValueError("a")
        futures = FutureList(
            [done(0), failed(error, "fetch", (1,)), done(2), failed(KeyError("b"), "fetch", (3,)), cancelled()]
        )
        with pytest.raises(ValueError) as info:
            futures.result()
        assert info.value is error
        (note,) = error.__notes__
        assert note.splitlines() == [
            "nbflow: item 1 of 5, fetch(1), failed; 2 more failed:",
            "  item 3, fetch(3): KeyError: 'b'",
            "  item 4, fetch(): CancelledError",
        ]

    @pytest.mark.parametrize("others", [0, 3])
    def test_asking_twice_notes_once(self, others):
        """Each look at the result would make the error's text longer."""
        error = ValueError("a")
        futures = FutureList([failed(error), *(failed(KeyError(i)) for i in range(others))])
        for _ in range(2):
            with pytest.raises(ValueError):
                futures.result()
        assert len(error.__notes__) == 1

    def test_many_failures_are_cut(self):
        """A thousand failed items would print a thousand lines."""
        futures = FutureList([failed(ValueError(i), "f", (i,)) for i in range(1000)])
        with pytest.raises(ValueError) as info:
            futures.result()
        (note,) = info.value.__notes__
        assert len(note.splitlines()) <= 21 and note.endswith("and 980 others")

    def test_skip_and_return(self):
        """There would be no way to go on with what worked."""
        error = ValueError("a")
        futures = FutureList([done(0), failed(error), done(2)])
        assert futures.result(errors="skip") == [0, 2]
        assert futures.result(errors="return") == [0, error, 2]
        assert futures.result(raise_on_failure=False) == [0, error, 2]
        with pytest.raises(ConfigurationError, match="raise, skip, return"):
            futures.result(errors="ignore")

    def test_return_and_skip_cover_cancelled_items(self):
        """Cancelling one item would make the others' results unreachable."""
        futures = FutureList([done(0), cancelled()])
        assert futures.result(errors="skip") == [0]
        value, error = futures.result(errors="return")
        assert value == 0 and isinstance(error, concurrent.futures.CancelledError)

    def test_timeout_counts_what_is_missing(self):
        """A timeout of a list would not say how far it is."""
        with pytest.raises(TimeoutError, match=r"^1 \(of 3\) futures unfinished$"):
            FutureList([done(1), Future(), done(3)]).result(timeout=0)

    def test_the_same_future_twice(self):
        """A list with duplicates would hang or lose one."""
        one = done(1)
        assert FutureList([one, one]).result() == [1, 1]


class TestTogether:
    def test_wait_tells_done_from_not_done(self):
        """wait() would raise for a failed step, or forget the pending one."""
        good, bad, late = done(1), failed(ValueError()), Future()
        assert wait([good, bad, late], timeout=0) == ({good, bad}, {late})
        assert wait([good, bad]) == ({good, bad}, set())
        assert wait([]).done == set()

    def test_as_completed_yields_in_order_of_completion(self):
        """The first finished download could not be shown before the last."""
        one, other = Future(), Future()
        other.set_result(2)
        found = as_completed([one, other])
        assert next(found) is other
        one.set_exception(ValueError())
        assert next(found) is one
        assert list(found) == []

    def test_as_completed_with_no_time_yields_what_is_ready(self):
        """Prefect's timeout=0 would yield nothing."""
        ready, late = done(1), Future()
        found = as_completed([ready, late], timeout=0)
        assert next(found) is ready
        with pytest.raises(TimeoutError, match=r"1 \(of 2\) futures unfinished"):
            next(found)

    @pytest.mark.parametrize(
        "waits", [lambda each: each.result(), lambda each: wait([each]), lambda each: list(as_completed([each]))]
    )
    def test_an_interrupt_that_wakes_nobody_ends_the_wait(self, waits):
        """Ctrl-C right before the thread slept would be heard when the step has ended, perhaps tomorrow."""
        future, main, begun = Future(), threading.get_ident(), threading.Event()

        def interrupt():
            begun.wait(PATIENCE)
            while sys._current_frames()[main].f_code.co_name not in {"wait", "taken"} and not future.done():
                time.sleep(0.001)
            if not future.done():
                _thread.interrupt_main()

        late = threading.Timer(PATIENCE, future.set_result, (1,))
        late.daemon = True
        late.start()
        thread = threading.Thread(target=interrupt)
        thread.start()
        begun.set()
        with pytest.raises(KeyboardInterrupt):
            waits(future)
        assert not future.done(), "it ended first"
        thread.join()
        late.cancel()

    def test_as_completed_refuses_negative_time(self):
        """A wrong sign would look like a timeout."""
        with pytest.raises(ValueError, match="timeout"):
            list(as_completed([done(1)], timeout=-1))


@dataclass
class Box:
    inner: object
    other: int = 0
    made: object = field(default=None, init=False)


class Pair(NamedTuple):
    left: object
    right: object


class Rows(list):
    pass


class TestResolve:
    def test_in_all_collections(self):
        """A future within an argument would reach the user's function as a future."""
        given = {"a": [done(1), (done(2), {done(3)})], done("k"): frozenset({done(4)}), "b": Box(done(5))}
        assert resolve_futures_to_results(given) == {"a": [1, (2, {3})], "k": frozenset({4}), "b": Box(5)}

    def test_in_collections_of_other_classes(self):
        """A future in a named tuple or a defaultdict would reach the user's function as a future."""
        counts = defaultdict(list, {"a": done(1), done("k"): [done(2)]})
        assert set(futures_in(counts)) >= {counts["a"]}
        found = resolve_futures_to_results(counts)
        assert found == {"a": 1, "k": [2]} and found["new"] == [] and type(counts["a"]) is not int
        pair = resolve_futures_to_results(Pair(done(1), OrderedDict(b=done(2))))
        assert pair == Pair(1, OrderedDict(b=2)) and type(pair) is Pair and type(pair.right) is OrderedDict
        rows = resolve_futures_to_results(Rows([done(1)]))
        assert rows == [1] and type(rows) is Rows

    def test_a_list_of_futures_becomes_a_plain_list(self):
        """The function would get a FutureList of values."""
        got = resolve_futures_to_results(FutureList([done(1), done(2)]))
        assert got == [1, 2] and type(got) is list

    def test_what_holds_no_future_is_passed_as_it_is(self):
        """Arguments would be copied: a task could not change the caller's list."""
        for value in ([1, 2], {"a": (1,)}, {1}, Box([1])):
            assert resolve_futures_to_results(value) is value

    def test_all_are_found(self):
        """A step would start before what it depends on has ended."""
        one, two, three = done(1), done(2), done(3)
        assert set(futures_in({"a": [one], two: Box(three)})) == {one, two, three}
        assert set(futures_in([allow_failure(one), unmapped(two)])) == {one, two}
        assert futures_in([1, "a", None]) == []
        deep = [one]
        for _ in range(5000):
            deep = [deep]
        assert futures_in(deep) == [one]

    def test_a_list_that_holds_itself(self):
        """A self-referring argument would end in a RecursionError of ours."""
        ring = [1]
        ring.append(ring)
        assert futures_in(ring) == []
        assert resolve_futures_to_results(ring) is ring

    def test_failed_upstream_is_not_ready(self):
        """A step would run with an exception as its argument."""
        error = ValueError("x")
        with pytest.raises(NotReadyError, match=r"fetch\(3\) failed: ValueError: x") as info:
            resolve_futures_to_results([failed(error, "fetch", (3,))])
        assert info.value.__cause__ is error

    def test_cancelled_upstream_is_not_ready(self):
        """A step would run without its input."""
        with pytest.raises(NotReadyError):
            resolve_futures_to_results([cancelled()])

    def test_a_step_that_waits_for_itself_is_named(self):
        """The message would speak of an upstream failure."""
        with pytest.raises(InterfaceError):
            resolve_futures_to_results(failed(InterfaceError("a step that waits for itself")))

    def test_allowed_failures_are_passed(self):
        """A clean-up step could not see what went wrong."""
        error = ValueError("x")
        assert resolve_futures_to_results(allow_failure(failed(error))) is error
        assert resolve_futures_to_results(allow_failure(done(1))) == 1
        assert resolve_futures_to_results([allow_failure([failed(error), done(2)])]) == [[error, 2]]
        assert resolve_futures_to_results(allow_failure(5)) == 5


class TestItems:
    """What `map` goes through."""

    def each(self, *args, **kwargs):
        return list(items("fetch", args, kwargs))

    @pytest.mark.parametrize(
        "column", [[1, 2], (1, 2), range(1, 3), iter([1, 2]), (i for i in (1, 2)), {1: 0, 2: 0}.keys()]
    )
    def test_takes_all_iterables(self, column):
        """A generator or a range could not be mapped."""
        assert self.each(column) == [((1,), {}), ((2,), {})]

    def test_goes_in_step_by_position_and_name(self):
        """The third item would get the arguments of the second."""
        assert self.each([1, 2], b=[3, 4], c=5) == [((1,), {"b": 3, "c": 5}), ((2,), {"b": 4, "c": 5})]

    def test_text_and_dicts_go_to_all(self):
        """A URL would be mapped over letter by letter."""
        assert self.each([1], "abc", {"k": 1}, b"xy") == [((1, "abc", {"k": 1}, b"xy"), {})]

    def test_unmapped_goes_to_all(self):
        """A list that every item needs would be split up."""
        assert self.each([1, 2], unmapped([7, 8])) == [((1, [7, 8]), {}), ((2, [7, 8]), {})]

    def test_lengths_must_agree(self):
        """Items would be dropped silently, as zip does."""
        with pytest.raises(ValueError, match=r"lengths differ \(0: 2, b: 3\)"):
            self.each([1, 2], b=[1, 2, 3])

    def test_nothing_to_go_through(self):
        """map(5) would run nothing and say nothing."""
        with pytest.raises(ValueError, match=r"fetch.map\(\) has nothing to go through"):
            self.each(5, unmapped([1]))

    def test_no_items(self):
        """map([]) would raise at the end of a filter that left nothing."""
        assert self.each([]) == []

    def test_a_future_of_a_list(self):
        """The list that a step returns could not be mapped over."""
        assert self.each(done([1, 2])) == [((1,), {}), ((2,), {})]
        five = done(5)
        assert self.each([1, 2], five) == [((1, five), {}), ((2, five), {})]

    def test_a_list_of_futures_stays_one(self):
        """A chain of maps would wait for all items of the first before any of the second."""
        one, other = Future(), Future()
        assert self.each(FutureList([one, other])) == [((one,), {}), ((other,), {})]

    def test_a_frame_or_an_array_is_an_iterable(self):
        """An array could not be mapped over row by row."""
        numpy = pytest.importorskip("numpy")
        assert self.each(numpy.array([1, 2])) == [((1,), {}), ((2,), {})]

    def test_allowed_failures_of_a_list_stay_allowed(self):
        """Prefect's map(allow_failure(futures)) would stop at the first failure."""
        good, bad = done(1), failed(ValueError())
        assert [args for args, _ in self.each(allow_failure([good, bad]))] == [
            (allow_failure(good),),
            (allow_failure(bad),),
        ]
