"""Sync, async and pooled drivers tell one story; retry arithmetic holds for every policy.

`python -m pytest tests/property/test_stories.py --hypothesis-profile=thorough` draws 10,000 of each.
"""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import tenacity
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow import events as e
from nbflow.engine.loop import arun, run
from nbflow.errors import DamagedError, StepTimeout, StoreError, UnkeyableError
from nbflow.futures import Future
from nbflow.options import TaskOptions
from nbflow.step import commands as c
from nbflow.step.hints import Retry
from nbflow.step.history import attempts as attempts_of
from nbflow.step.plan import plan
from nbflow.step.policy import Policy, policy_of
from nbflow.step.retry import jittered
from nbflow.task_runners import ThreadPoolTaskRunner
from nbflow.tasks.jobs import start_job
from tests.fakes import FakeClock, FakeWorld

PATIENCE = 30
POOL = ThreadPoolTaskRunner(2)
EPOCH = FakeClock().epoch


class Flaky(Exception):
    """What a drawn attempt raises."""


class Fatal(Flaky):
    """What no drawn policy retries when it gives up on it."""


class Busy(Flaky):
    """What a server answers that says when to come back."""

    def __init__(self, *args: Any, after: object = "7") -> None:
        super().__init__(*args)
        self.response = SimpleNamespace(headers={"retry-after": after})


def group(*leaves: type[Exception]) -> Callable[[str], Exception]:
    return lambda text: ExceptionGroup(text, [leaf(text) for leaf in leaves])


def at_least(count: int) -> int:
    """How many examples to draw: so many, or as many as the profile says."""
    return max(count, settings().max_examples)


seconds = st.floats(0, 100, allow_nan=False).map(lambda x: round(x, 3))
attempts = st.one_of(
    st.integers(-5, 5),
    st.none(),
    st.sampled_from([Flaky, Fatal, OSError, StepTimeout, StopIteration, SystemExit, KeyboardInterrupt]),
    st.sampled_from([Retry, partial(Retry, after=3), partial(Retry, after=500), Busy, partial(Busy, after="900")]),
    st.sampled_from([group(Flaky, OSError), group(Flaky, Fatal), group(Busy, Retry)]),
)
conditions = st.sampled_from([None, lambda _: True, lambda _: False, lambda _: 1 / 0])
policies = st.fixed_dictionaries(
    {
        "retries": st.integers(0, 6),
        "retry_delay_seconds": st.one_of(
            seconds,
            st.lists(seconds, max_size=4),
            st.sampled_from(
                [
                    tenacity.wait_exponential(max=60),
                    tenacity.wait_chain(tenacity.wait_fixed(1), tenacity.wait_fixed(9)),
                    tenacity.wait_fixed(1) + tenacity.wait_random(0, 3),
                    tenacity.wait_random_exponential(max=30),
                ]
            ),
        ),
        "retry_jitter_factor": st.one_of(st.none(), st.floats(0, 100)),
        "retry_on": st.sampled_from(
            [None, Flaky, "Flaky", ("OSError", Flaky), tenacity.retry_if_exception_type(Flaky), lambda _: 2.5]
        ),
        "give_up_on": st.sampled_from([None, Fatal, "Fatal"]),
        "retry_if_result": st.sampled_from([None, None, lambda value: value is None, lambda value: 1 // value]),
        "timeout_seconds": st.one_of(st.none(), st.just(50.0)),
        "deadline_seconds": st.one_of(st.none(), st.floats(0.5, 300)),
        "persist_result": st.sampled_from([None, True]),
        "cache_expiration": st.one_of(st.none(), st.just(3600)),
        "refresh_cache": st.sampled_from([None, True]),
        "stale_on_error": st.booleans(),
    }
)
worlds = st.fixed_dictionaries(
    {
        "script": st.lists(attempts, min_size=1, max_size=7),
        "costs": st.lists(seconds, min_size=1, max_size=4),
        "seen": st.sampled_from(
            [c.Seen("no entry"), c.Seen("", "entry", EPOCH - 60, 1.0, 1), c.Seen("", "entry", EPOCH - 7200, 1.0, 1)]
        ),
        "load": st.sampled_from(["kept", DamagedError("torn")]),
        "save": st.sampled_from([1, StoreError("full"), UnkeyableError("odd"), OSError("gone")]),
        "touched": st.sampled_from([frozenset(), frozenset({"network"})]),
        "draws": st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3),
        "keyed": st.booleans(),
        "condition": conditions,
    }
)


def world_of(drawn: dict[str, Any]) -> FakeWorld:
    drawn = copy.copy(drawn)
    drawn.pop("keyed"), drawn.pop("condition")
    clock = FakeClock(draws=drawn.pop("draws"), auto=True)
    script = [raising(step) if callable(step) else step for step in drawn.pop("script")]
    return FakeWorld(*script, clock=clock, **drawn)


def policy_from(options: dict[str, Any], drawn: dict[str, Any]) -> Policy:
    return policy_of(TaskOptions(**options), drawn["condition"])


def raising(kind: Callable[[str], BaseException]) -> Callable[[], Any]:
    def body() -> Any:
        raise kind("drawn")

    return body


def told(drive: Callable[[FakeWorld], Any], drawn: dict[str, Any]) -> tuple[Any, ...]:
    """All that a driver did: how it ended, events, waits, what was saved, how often it called, the time."""
    world = world_of(drawn)
    try:
        outcome = drive(world)
        end: Any = ("value", outcome.value) if isinstance(outcome, c.Ok) else ("error", *shape(outcome.error))
    except BaseException as error:
        end = ("raised", *shape(error))
    events = [
        (type(event), *(part for part in event if part is not event[-1] or type(event) not in TRACED))
        for event in world.events
    ]
    asked = [type(command) for command in world.asked if type(command) is c.Call]
    return end, events, world.clock.slept, world.saved, world.calls, world.clock.now, len(asked)


TRACED = (e.Failed, e.TimedOut, e.Crashed)  # their last part is the traceback, which names the driver


def shape(error: BaseException) -> tuple[Any, ...]:
    return type(error), str(error), tuple(getattr(error, "__notes__", ())), attempts_of(error)


@settings(max_examples=at_least(300), deadline=None)
@given(policies, worlds)
def test_three_drivers_tell_one_story(options, drawn):
    """An `async def` task, or a submitted one, would retry, wait, store or end in another way than a called one."""
    policy, keyed = policy_from(options, drawn), drawn["keyed"]

    def sync(world):
        return run(plan(7, policy, keyed=keyed), world.hands())

    def looped(world):
        awaited = world.awaited()
        try:
            return LOOP.run_until_complete(arun(plan(7, policy, keyed=keyed), world.hands(*awaited), awaited))
        except RuntimeError as error:  # asyncio ends its loop by SystemExit itself
            raise AssertionError from error

    def pooled(world):
        future = Future("fetch")
        start_job(POOL, 7, future, lambda: (None, plan(7, policy, keyed=keyed), world))
        error = future.exception(PATIENCE)
        if error is None:
            return c.Ok(future.result())
        if isinstance(error, Exception):
            return c.Err(error)
        raise error

    one = told(sync, drawn)
    for other in (told(looped, drawn), told(pooled, drawn)):
        assert one[:6] == other[:6]


LOOP = asyncio.new_event_loop()


def teardown_module():
    LOOP.close()


@settings(max_examples=at_least(300), deadline=None)
@given(policies, worlds)
def test_every_story_has_one_end(options, drawn):
    """A step would stay `running` in the panel for ever, or end twice."""
    world = world_of(drawn)
    policy = policy_from(options, drawn)
    try:
        outcome = run(plan(7, policy, keyed=drawn["keyed"]), world.hands())
    except BaseException:
        outcome = None
    ends = (e.Hit, e.Completed, e.Failed, e.TimedOut, e.Cancelled, e.Crashed)
    assert [type(event) in ends for event in world.events] == [False] * (len(world.events) - 1) + [True]
    starts = [event.attempt for event in world.events if type(event) is e.Started]
    assert starts == list(range(1, world.calls + 1)) and len(starts) <= policy.attempts
    assert len(world.clock.slept) == max(0, len(starts) - 1)
    if not isinstance(outcome, c.Ok):
        assert world.saved == []
    old = [event for event in world.events if type(event) is e.Hit and event.stale]
    if old:
        assert isinstance(outcome, c.Ok) and outcome.value == "kept" and world.saved == []
        assert options["stale_on_error"] and drawn["keyed"] and not drawn["seen"].lack
    times = [event.at for event in world.events]
    assert times == sorted(times)


@settings(max_examples=at_least(300), deadline=None)
@given(policies, worlds)
def test_waits_keep_within_retries_jitter_and_deadline(options, drawn):
    """A step would be tried more often, sooner, or for longer than its options and the server say."""
    policy, world = policy_from(options, drawn), world_of(drawn)
    plain: list[float] = []

    def wait(*about):
        plain.append(policy.wait(*about))
        return plain[-1]

    try:
        outcome = run(plan(7, replace(policy, wait=wait), keyed=False), world.hands())
    except BaseException:
        return
    waiting = [event for event in world.events if type(event) is e.Waiting]
    factor = 1 + (policy.jitter or 0)
    for event in waiting:
        asked = 900 if "900 s" in event.error or "15 min" in event.error else 7 if "7.0 s" in event.error else 0
        assert asked <= event.seconds <= max(500 * factor, asked * factor, *plain) * factor + 1e-9
    assert world.calls <= options["retries"] + 1
    ended = [event.at for event in waiting]
    if policy.deadline is not None and waiting:
        began = world.events[0].at
        assert all(at + event.seconds - began < policy.deadline for at, event in zip(ended, waiting, strict=True))
    if isinstance(outcome, c.Err):
        history = attempts_of(outcome.error)
        assert [each.n for each in history] == list(range(1, world.calls + 1))
        assert [each.slept for each in history[:-1]] == world.clock.slept and history[-1].slept == 0


@settings(max_examples=at_least(3000), deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_jitter_is_bounded_and_finite(wait, factor, draw):
    """Once in a while a step would end with `math domain error`, or wait for ever."""
    spread = jittered(wait, factor, draw)
    assert 0 <= spread <= wait * (1 + factor)


@settings(max_examples=at_least(300), deadline=None)
@given(st.floats(0.001, 1000), st.floats(0.01, 5))
def test_jitter_grows_with_the_draw_and_keeps_the_mean(wait, factor):
    """Clients that fail together would come back together, or wait longer than asked on average."""
    steps = 2000
    spread = [jittered(wait, factor, (i + 0.5) / steps) for i in range(steps)]
    assert spread == sorted(spread)
    assert abs(sum(spread) / steps - wait) <= 0.03 * wait


@settings(max_examples=at_least(500), deadline=None)
@given(st.floats(0.1, 100), st.integers(0, 10), seconds, st.lists(seconds, min_size=1, max_size=5))
def test_a_deadline_holds_over_all_attempts(deadline, retries, delay, costs):
    """A step with a deadline of one second would take two: attempts that honour their limit never pass it."""
    policy = Policy(attempts=retries + 1, wait=lambda *_: delay, deadline=deadline)
    world = FakeWorld(Flaky(), costs=[0.0])
    hands = world.hands()

    def call(command):
        world.clock.now += min(costs[command.attempt % len(costs)], command.timeout)
        return c.Err(Flaky())

    hands[c.Call] = call
    run(plan(1, policy, keyed=False), hands)
    assert world.clock.now <= deadline + 0.002
