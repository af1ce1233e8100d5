"""How many steps with a tag run at a time."""

import asyncio
import threading

import pytest

from nbflow import configure, task
from nbflow.context import tags
from nbflow.engine.limits import Limits, limits_of
from nbflow.errors import ConfigurationError, StepTimeout
from nbflow.events import Logged, Started
from nbflow.session import session

PATIENCE = 20


def entered(limits, *names):
    """A turn, and whether it was given at once; what it is called with later goes into its list."""
    turn, called = limits.turn(names), []
    return turn, turn.enter(lambda: called.append(turn)), called


def test_places_are_given_in_order_and_given_back():
    """An API that allows two calls would get three, or the first who waits would wait longest."""
    limits = Limits({"api": 2})
    (one, now1, _), (two, now2, _), (three, now3, third), (_, now4, fourth) = (entered(limits, "api") for _ in range(4))
    assert (now1, now2, now3, now4) == (True, True, False, False)
    one.leave()
    assert third and not fourth
    one.leave()  # again changes nothing
    assert not fourth
    three.leave()
    assert fourth
    two.leave()
    assert entered(limits, "api")[1]


def test_all_tags_or_none():
    """Two steps that need two places each would wait for each other for ever."""
    limits = Limits({"api": 1, "db": 1})
    both, now, _ = entered(limits, "api", "db", "other")
    assert now and both.tags == {"api", "db"}
    api, now_api, called_api = entered(limits, "api")
    _, now_both, called_both = entered(limits, "db", "api")
    assert not now_api and not now_both
    both.leave()
    assert called_api and not called_both
    api.leave()
    assert called_both
    assert limits.turn(["other"]) is None


def test_who_waits_no_longer_is_not_called():
    """A cancelled step would keep a place for ever."""
    limits = Limits({"api": 1})
    one, _, _ = entered(limits, "api")
    two, _, second = entered(limits, "api")
    _, _, third = entered(limits, "api")
    two.leave()
    one.leave()
    assert third and not second


@pytest.mark.parametrize("given", [{"api": 2}, "api=2", " api = 2 ,"])
def test_spellings(given):
    """The same limit could not be set in code and in the environment."""
    assert limits_of(given) == {"api": 2}


@pytest.mark.parametrize("given", [{"api": 0}, {"api": True}, {"api": 1.5}, {"": 1}, "api", "api=x", 3, ["api"]])
def test_limits_that_cannot_be_meant(given):
    """A limit that is misspelled would be no limit, and nobody would know."""
    with pytest.raises(ConfigurationError, match="tag_limits"):
        configure(tag_limits=given)


def test_from_the_environment_and_the_project(fresh, monkeypatch, tmp_path):
    """A team could not keep its limits with the project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\ntag-limits = {db = 3}\n")
    configure(tag_limits=None)
    assert session.limits.places == {"db": 3}
    session._environ["NBFLOW_TAG_LIMITS"] = "api=2"
    configure(tag_limits=None)
    assert session.limits.places == {"api": 2}
    session._environ["NBFLOW_TAG_LIMITS"] = "api"
    configure(tag_limits=None)
    assert session.limits.places == {} and any("not followed" in line for line in fresh.warned)


def test_a_waiting_step_says_so_and_holds_no_worker(fresh):
    """The panel would show a step that seems to hang, and two workers would stand in line with nothing to do."""
    configure(tag_limits={"api": 1})
    gate, first = threading.Event(), threading.Event()

    @task(tags=["api"], persist_result=False)
    def item(x):
        first.set()
        assert gate.wait(PATIENCE)
        return x

    @task(persist_result=False)
    def free():
        return "free"

    futures = item.map(range(3))
    assert first.wait(PATIENCE) and free.submit().result(PATIENCE) == "free"
    assert len([event for event in fresh.events if type(event) is Started and event.step != futures[0].step]) == 1
    queued = item.submit(3)
    gate.set()
    assert futures.result(PATIENCE) == [0, 1, 2] and queued.result(PATIENCE) == 3
    assert any("waits for a place: api (1 at a time)" in e.text for e in fresh.events if type(e) is Logged)


def test_a_place_is_given_back_however_the_attempt_ends(fresh):
    """One failure, timeout or interrupt would close the door for all others."""
    configure(tag_limits={"api": 1})

    @task(tags=["api"], persist_result=False)
    def item(how):
        if how is not None:
            raise how

    for how in (OSError(), KeyboardInterrupt(), SystemExit(), None):
        if how is None:
            item(how)
        else:
            with pytest.raises(type(how)):
                item(how)
        assert session.limits._free == {"api": 1}

    @task(tags=["api"], persist_result=False, timeout_seconds=0.05)
    def slow():
        threading.Event().wait(PATIENCE)

    with pytest.raises(StepTimeout):
        slow()
    assert session.limits._free == {"api": 1}


def test_coroutines_wait_without_blocking_their_loop(fresh):
    """Two async steps with a limit of one would stop the kernel."""
    configure(tag_limits={"api": 1})
    running = most = 0

    @task(persist_result=False)
    async def item(x):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return x

    async def main():
        with tags("api"):
            return await asyncio.gather(*(item(x) for x in range(5)))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4] and most == 1
