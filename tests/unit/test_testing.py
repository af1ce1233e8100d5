"""`nbflow.testing`: what users test their own tasks with."""

import asyncio
import threading

import pytest

from nbflow import ConfigurationError, exponential_backoff, task, testing
from nbflow import events as e
from nbflow.session import session


def broken(**options):
    """A task that fails each time, and the list of its calls."""
    calls = []

    @task(persist_result=False, **options)
    def fetch():
        calls.append(1)
        raise OSError("x")

    return fetch, calls


def count(fetch, calls):
    """How many attempts a call makes."""
    calls.clear()
    with pytest.raises(OSError):
        fetch()
    return len(calls)


def test_waits_take_no_time_and_are_listed(fresh):
    """A user's test of a patient task would take as long as the task is patient."""
    fetch, calls = broken(retries=3, retry_delay_seconds=exponential_backoff(60))
    real = session.clock
    with testing.instant() as clock:
        assert count(fetch, calls) == 4
        with pytest.raises(OSError):
            fetch.submit().result(20)
        assert clock.slept == [60, 120, 240] * 2 and clock.now == 840
        with testing.instant(testing.FakeClock(auto=True)) as inner:
            assert session.clock is inner is not clock
        assert session.clock is clock
    assert session.clock is real


def test_a_deadline_counts_the_time_that_would_have_passed(fresh):
    """A test would see more attempts than there will be at night."""
    fetch, calls = broken(retries=9, retry_delay_seconds=60, deadline_seconds=150)
    with testing.instant():
        assert count(fetch, calls) == 3


def test_a_clock_that_a_test_moves(fresh):
    """What happens during a backoff could not be looked at."""
    fetch, calls = broken(retries=1, retry_delay_seconds=60)
    with testing.instant(testing.FakeClock()) as clock:
        future = fetch.submit()
        clock.wait_parked(1)
        assert not future.done() and len(calls) == 1
        clock.advance(59)
        assert len(calls) == 1
        clock.advance(1)
        assert isinstance(future.exception(20), OSError) and len(calls) == 2


def test_attempts_are_capped_never_raised_and_put_back(fresh):
    """A test with two attempts would try what has none; or the cap stay for the tests after it."""
    fetch, calls = broken(retries=5)
    once, made = broken()
    with testing.at_most(2):
        assert (count(fetch, calls), count(once, made)) == (2, 1)
        with testing.at_most(4):
            assert count(fetch, calls) == 2
        with testing.at_most(1):
            assert count(fetch, calls) == 1
        assert count(fetch, calls) == 2
        future = fetch.submit()
    assert isinstance(future.exception(20), OSError), "what was submitted within keeps the cap"
    assert len(calls) == 4
    assert count(fetch, calls) == 6
    for odd in (0, True, 1.5):
        with pytest.raises(ConfigurationError), testing.at_most(odd):
            pass


def test_a_cap_of_one_thread_is_not_that_of_another(fresh):
    """Tests that run side by side would cap each other."""
    fetch, calls = broken(retries=3)
    inside, outside, found = threading.Event(), threading.Event(), []

    def capped():
        with testing.disabled():
            inside.set()
            outside.wait(20)

    other = threading.Thread(target=capped)
    other.start()
    inside.wait(20)
    found.append(count(fetch, calls))
    outside.set()
    other.join()
    assert found == [4]


def test_disabled_is_one_plain_call(fresh):
    """A test of the function itself would be answered by the store, or take four attempts."""
    calls = []

    @task(retries=3, retry_if_result=lambda value: True, timeout_seconds=30, persist_result=True)
    def fetch(x):
        calls.append(x)
        return x

    with testing.disabled():
        assert [fetch(1), fetch(1), fetch.submit(1).result(20)] == [1, 1, 1]
        assert asyncio.run(_in_a_loop(fetch)) == 1
    assert len(calls) == 4 and not fetch.is_cached(1)


async def _in_a_loop(fetch):
    return fetch(1)


def test_events_are_recorded_while_it_lasts(fresh):
    """A test could not ask what happened; or would hear of the tests after it."""
    fetch, _ = broken(retries=1, retry_delay_seconds=9)
    with testing.instant(), testing.recorded() as events, testing.recorded() as others:
        with pytest.raises(OSError):
            fetch()
    assert events.kinds() == ["Began", "Started", "Waiting", "Started", "Failed"] == others.kinds()
    (waiting,) = events.of(e.Waiting)
    assert (waiting.seconds, waiting.error) == (9, "OSError: x")
    assert {each.step for each in events} == {waiting.step}
    assert [each.at for each in events] == sorted(each.at for each in events), "one clock"
    before = len(events)
    with pytest.raises(OSError):
        fetch.with_options(retries=0)()
    assert len(events) == before


def test_a_sink_that_raises_changes_nothing(fresh):
    """A bug in somebody's panel would fail their night's run."""

    def sink(event):
        raise ValueError

    session.bus.join(sink)
    assert task(persist_result=False)(lambda: 7)() == 7
    assert sink not in session.bus.sinks
