"""`stale_on_error` on functions: called, awaited, submitted; what users are told, and what is made from it."""

import asyncio
import logging

import pytest

from nbflow import events as e
from nbflow import task
from nbflow.step.phases import Phase
from nbflow.widget.view import Board


class World:
    """What a task reads without its being an input."""

    down = False

    def __nbflow_digest__(self):
        return "the world"


def called(fetch):
    return fetch("Oslo")


def awaited(fetch):
    @task(name="fetch", cache_expiration="1h", stale_on_error=True, retries=1)
    async def later(city):
        return fetch.fn(city)

    return asyncio.run(later("Oslo"))


def submitted(fetch):
    return fetch.submit("Oslo").result()


@pytest.mark.parametrize("call", [called, awaited, submitted])
def test_an_expired_result_is_returned_and_told(fresh, caplog, call):
    """An outage would stop an `async def` task, or a submitted one, where a called one goes on; or pass unseen."""
    world = World()

    @task(cache_expiration="1h", stale_on_error=True, retries=1)
    def fetch(city):
        if world.down:
            raise ConnectionError("no route")
        return [city]

    made = call(fetch)
    fresh.clock.now += 2 * 3600
    world.down = True
    with caplog.at_level(logging.WARNING, "nbflow"):
        assert call(fetch) == made == ["Oslo"]
    hit = next(event for event in fresh.events if type(event) is e.Hit)
    assert hit.stale == "2 h old, expired 1 h ago · ConnectionError: no route"
    assert [record.message for record in caplog.records] == [f"nbflow: fetch returned a stale result: {hit.stale}"]
    board = Board(clock=fresh.clock.time)
    for event in fresh.events:
        board.hear(event)
    *_, last = board.view().lines
    assert (last.state, last.reason, last.time) == (Phase.CACHED, f"stale: {hit.stale}", ""), "the panel tells it too"
    world.down = False
    call(fetch)
    assert type(fresh.events[-1]) is e.Completed


def test_what_is_made_from_a_stale_result_is_not_kept(fresh):
    """A report on last week's rows would be served as this week's when the source is back."""
    world = World()

    @task(cache_expiration="1h", stale_on_error=True)
    def rows():
        if world.down:
            raise OSError
        return 1

    @task(persist_result=True)
    def report():
        return rows() + 1

    rows()
    fresh.clock.now += 2 * 3600
    world.down = True
    assert report() == 2
    assert "a step in it returned a stale result" in next(each.why for each in fresh.events if type(each) is e.Unsaved)
    world.down = False
    assert report() == 2 and not any(type(event) is e.Unsaved for event in fresh.events[-2:])


def test_nothing_old_is_no_excuse(fresh):
    """A first call that fails would return None, or hide its error."""

    @task(cache_expiration="1h", stale_on_error=True)
    def fetch():
        raise KeyError("x")

    with pytest.raises(KeyError):
        fetch()
    with pytest.raises(KeyError):
        fetch.submit().result()
