"""Tasks that fail: which failures are tried again, after how long, and what one is told when it was no use."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import pickle
import random
import subprocess
import sys
import threading
import traceback
import weakref
from contextvars import ContextVar
from datetime import timedelta
from types import SimpleNamespace

import pytest
import tenacity

import nbflow
from nbflow import (
    ConfigurationError,
    Retry,
    RetryExhausted,
    StepTimeout,
    TaskOptions,
    attempts,
    exponential_backoff,
    task,
)
from nbflow import events as e
from nbflow.step.policy import policy_of
from tests.fakes import kinds


class Busy(OSError):
    """As a client library raises it: the server's answer is at hand."""

    def __init__(self, after):
        super().__init__("503")
        self.response = SimpleNamespace(headers={"Retry-After": after})


def failing(*script, **options):
    """A task that does what the script says, call by call, the last one again and again; and the list of its calls."""
    calls = []

    @task(persist_result=False, **options)
    def fetch(*args):
        calls.append(args)
        step = script[min(len(calls), len(script)) - 1]
        if isinstance(step, BaseException) or (isinstance(step, type) and issubclass(step, BaseException)):
            raise step
        return step() if callable(step) else step

    return fetch, calls


def raised(fetch, *args):
    with pytest.raises(BaseException) as info:
        fetch(*args)
    return info.value


# Which failures


@pytest.mark.parametrize(
    ("options", "error", "calls"),
    [
        ({}, OSError, 4),
        ({"retry_on": OSError}, ValueError, 1),
        ({"retry_on": (OSError, KeyError)}, ConnectionResetError, 4),
        ({"retry_on": "ConnectionError"}, ConnectionResetError, 4),
        ({"retry_on": OSError, "give_up_on": PermissionError}, PermissionError, 1),
        ({"retry_on": lambda error: error.args == ("x",)}, OSError("x"), 4),
        ({"retry_on": lambda error: error.args == ("x",)}, OSError("y"), 1),
        ({"retry_on": tenacity.retry_if_exception_type(OSError)}, OSError, 4),
        ({"retry_on": tenacity.retry_if_exception_type(OSError)}, KeyError, 1),
        ({"retry_on": tenacity.retry_if_exception_message(match="503")}, OSError("503 busy"), 4),
        ({}, KeyboardInterrupt, 1),
        ({}, SystemExit, 1),
        ({}, GeneratorExit, 1),
        ({}, asyncio.CancelledError, 1),
        ({"retry_on": lambda _: True, "retry_condition_fn": lambda *_: True}, KeyboardInterrupt, 1),
        ({"retry_on": lambda _: True, "retry_condition_fn": lambda *_: True}, GeneratorExit, 1),
        ({"retry_on": OSError}, ExceptionGroup("all", [OSError(), ConnectionError()]), 4),
        ({"retry_on": OSError}, ExceptionGroup("all", [OSError(), ExceptionGroup("in", [KeyError()])]), 1),
        ({"retry_on": Exception, "give_up_on": KeyError}, ExceptionGroup("all", [OSError(), KeyError()]), 1),
        ({"retry_on": ExceptionGroup}, ExceptionGroup("all", [OSError(), KeyError()]), 4),
        ({}, BaseExceptionGroup("all", [OSError(), KeyboardInterrupt()]), 1),
        ({"retry_on": KeyError}, Retry(), 4),
        ({"give_up_on": Exception, "retry_condition_fn": lambda *_: False}, Retry(), 4),
        ({"retry_on": OSError}, ExceptionGroup("all", [OSError(), Retry()]), 4),
    ],
)
def test_what_is_tried_again(fresh, options, error, calls):
    """A payment is sent twice, a wrong password four times, or a bad line at night ends the run."""
    fetch, made = failing(error, retries=3, **options)
    found = raised(fetch)
    assert len(made) == calls
    assert found is error or type(found) is error


@pytest.mark.parametrize(
    ("answer", "slept"),
    [(0, [0.0] * 2), (2.5, [2.5] * 2), (timedelta(minutes=1), [60.0] * 2), (True, [9.0] * 2), (False, [])],
)
def test_a_function_may_say_after_how_long(fresh, clock, answer, slept):
    """An error that says when to come back could not be listened to."""
    fetch, _ = failing(OSError, retries=2, retry_delay_seconds=9, retry_on=lambda error: answer)
    raised(fetch)
    assert clock.slept == slept


@pytest.mark.parametrize("answer", [None, -1, float("nan")])
def test_a_function_that_says_nothing_usable_is_told(fresh, answer):
    """A forgotten `return` would switch retries off, and nobody would know why."""
    fetch, calls = failing(OSError("x"), retries=2, retry_on=lambda error: answer)
    assert raised(fetch).__notes__ == [
        f"nbflow: not retried: retry_on gave {answer!r}: give True, False or seconds, 0 or more"
    ]
    assert len(calls) == 1


class Condition:
    """A condition as a callable object."""

    def __call__(self, task, run, state):
        return state.name == "Failed" and run.run_count < 3


async def later(task, run, state):
    await asyncio.sleep(0)
    return isinstance(await asyncio.to_thread(state.result, raise_on_failure=False), OSError)


@pytest.mark.parametrize(
    ("condition", "calls"),
    [
        (lambda task, run, state: True, 4),
        (lambda task, run, state: 0, 1),
        (functools.partial(lambda wanted, task, run, state: run.run_count < wanted, 2), 2),
        (Condition(), 3),
        (later, 4),
        (tenacity.retry_if_exception_type(KeyError), 1),
        (tenacity.retry_if_exception_type(OSError), 4),
    ],
    ids=["yes", "falsy", "partial", "object", "async", "tenacity no", "tenacity yes"],
)
@pytest.mark.parametrize("how", ["call", "await in a loop", "call in a loop", "submit"])
def test_a_condition_of_any_kind_is_asked(fresh, condition, calls, how):
    """Prefect fails on a partial or a callable object; an `async` one would never be awaited, and count as yes."""
    made = []

    def fetch():
        made.append(1)
        raise OSError("x")

    async def afetch():
        fetch()

    options = {"retries": 3, "retry_condition_fn": condition, "persist_result": False}
    if how == "call":
        raised(task(**options)(fetch))
    elif how == "submit":
        assert isinstance(task(**options)(fetch).submit().exception(20), OSError)
    else:

        async def main():
            with pytest.raises(OSError):
                if how.startswith("await"):
                    await task(**options)(afetch)()
                else:
                    task(**options)(fetch)()

        asyncio.run(main())
    assert len(made) == calls


def test_a_condition_is_told_task_run_and_state(fresh):
    """A condition written for Prefect would see something else here."""
    seen = []

    @task(retries=2, persist_result=False, retry_condition_fn=lambda *about: seen.append(about) or True)
    def fetch(url):
        raise KeyError("x")

    raised(fetch, "u")
    assert len(seen) == 2, "it is not asked where there is no further attempt"
    asked, run, state = seen[0]
    assert asked is fetch and run.task_name == "fetch" and state.is_failed()
    with pytest.raises(KeyError):
        state.result()


def test_a_condition_that_raises_is_logged_and_ends_it_with_the_users_own_error(fresh, caplog):
    """The error one wants to see would be hidden by a bug in the code that should help with it."""
    fetch, calls = failing(OSError("x"), retries=3, retry_condition_fn=lambda *_: {}["missing"])
    with caplog.at_level(logging.WARNING, "nbflow"):
        error = raised(fetch)
    assert type(error) is OSError and len(calls) == 1
    assert error.__notes__ == ["nbflow: not retried: retry_condition_fn raised KeyError: 'missing'"]
    assert "KeyError: 'missing'" in caplog.text and error.__context__ is None
    assert fresh.events[-1].error == "OSError: x · not retried: retry_condition_fn raised KeyError: 'missing'"


@pytest.mark.parametrize("option", ["retry_condition_fn", "retry_if_result"])
def test_what_cannot_be_called_is_refused_at_once(option):
    """A typo would show up at the first failure, at night."""
    with pytest.raises(TypeError, match=option):
        task(**{option: "yes"})(lambda: 1)


# Results


def test_a_result_that_is_none_is_tried_again(fresh, clock):
    """A job that answers `pending` would be taken for done, and kept."""
    fetch, calls = failing(None, "pending", 7, retries=5, retry_delay_seconds=2, retry_if_result=lambda v: v != 7)
    assert fetch() == 7 and len(calls) == 3 and clock.slept == [2, 2]
    assert [event.error for event in fresh.events if type(event) is e.Waiting] == [
        "retry_if_result does not accept the NoneType that it returned",
        "retry_if_result does not accept the str that it returned",
    ]


def test_results_and_errors_count_together(fresh):
    """Of two kinds of trouble only one would be tried again."""
    fetch, calls = failing(None, OSError(), 7, retries=2, retry_if_result=tenacity.retry_if_result(lambda v: v is None))
    assert fetch() == 7 and len(calls) == 3
    both = tenacity.retry_if_exception_type(OSError) | tenacity.retry_if_result(lambda v: v is None)
    fetch, calls = failing(None, OSError(), 7, retries=2, retry_on=both)
    assert fetch() == 7 and len(calls) == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_a_result_that_stays_none_is_raised_with_the_value_and_never_kept(fresh, retries):
    """A table of yesterday's leftovers would be used, or served from the store for ever."""
    calls = []

    @task(retries=retries, retry_if_result=lambda rows: not rows, persist_result=True)
    def fetch():
        calls.append(1)
        return []

    for _ in range(2):
        error = raised(fetch)
        assert type(error) is RetryExhausted and error.value == []
        assert str(error) == "retry_if_result does not accept the list that it returned"
        assert len(attempts(error)) == retries + 1
    assert len(calls) == 2 * (retries + 1)
    assert kinds(fresh.events)[-1] == "Failed"


def test_exhausted_pickles_with_any_value():
    """In a process pool the error would be lost, and the pool break."""
    error = RetryExhausted("no", threading.Lock())
    error.add_note("n")
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), there.value, there.__notes__) == ("no", "(lock, which does not pickle)", ["n"])
    assert pickle.loads(pickle.dumps(RetryExhausted("no", [1]))).value == [1]


def test_a_question_about_the_result_that_raises_is_the_failure(fresh):
    """A bug in it would be retried four times, or taken for a yes."""
    fetch, calls = failing(0, retries=3, retry_if_result=lambda v: 1 / v)
    assert type(raised(fetch)) is ZeroDivisionError and len(calls) == 1


# When


@pytest.mark.parametrize(
    ("options", "slept"),
    [
        ({"retries": 0}, []),
        ({"retries": 3, "retry_delay_seconds": 2}, [2, 2, 2]),
        ({"retries": 4, "retry_delay_seconds": [1, 2, 4, 8]}, [1, 2, 4, 8]),
        ({"retries": 3, "retry_delay_seconds": [1, 2]}, [1, 2, 2]),
        ({"retries": 2, "retry_delay_seconds": []}, [0, 0]),
        ({"retries": 3, "retry_delay_seconds": range(1, 4)}, [1, 2, 3]),
        ({"retries": 3, "retry_delay_seconds": exponential_backoff(10)}, [10, 20, 40]),
        ({"retries": 4, "retry_delay_seconds": tenacity.wait_exponential(multiplier=10, max=25)}, [10, 20, 25, 25]),
        ({"retries": tenacity.stop_after_attempt(3), "retry_delay_seconds": 2}, [2, 2]),
        ({"retries": tenacity.stop_before_delay(10), "retry_delay_seconds": 4}, [4, 4]),
        ({"retries": tenacity.stop_after_delay(7) | tenacity.stop_after_attempt(9), "retry_delay_seconds": 4}, [4, 4]),
        ({"retries": 9, "retry_delay_seconds": 0.4, "deadline_seconds": 1}, [0.4, 0.4]),
        ({"retries": 1, "retry_delay_seconds": 1e300}, [366 * 86400]),
    ],
)
def test_waits(fresh, clock, options, slept):
    """A service that is down is hammered, or asked again next year."""
    fetch, calls = failing(OSError, **options)
    raised(fetch)
    assert clock.slept == pytest.approx(slept) and len(calls) == len(slept) + 1


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"retry_delay_seconds": -1},
        {"retry_delay_seconds": float("nan")},
        {"retry_delay_seconds": float("inf")},
        {"retry_delay_seconds": True},
        {"retry_delay_seconds": [1, -1]},
        {"retry_delay_seconds": [1] * 51},
        {"retries": 60, "retry_delay_seconds": lambda retries: [1] * retries},
        {"retry_jitter_factor": -1},
        {"retry_jitter_factor": True},
        {"retry_jitter_factor": float("nan")},
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"deadline_seconds": 0},
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(options):
    """A typo would show up at the first failure, at night."""
    with pytest.raises(ConfigurationError):
        task(**options)(lambda: 1)


def test_tenacitys_chance_leaves_the_users_alone(fresh, clock):
    """A retry in the middle would change what a seeded simulation draws; or all clients would come back together."""
    random.seed(7)
    state = random.getstate()
    fetch, _ = failing(OSError, retries=4, retry_delay_seconds=tenacity.wait_random(0, 100))
    clock.draw = iter([0.1, 0.2, 0.3, 0.4]).__next__
    raised(fetch)
    assert random.getstate() == state
    assert len(set(clock.slept)) == 4 and all(0 <= each <= 100 for each in clock.slept)


SEEDED = """
import tenacity
from nbflow import TaskOptions
from nbflow.step.policy import policy_of
from nbflow.world import rng
policy_of(TaskOptions(retries=1, retry_delay_seconds=tenacity.wait_random(0, 5))).wait(1, OSError(), 0.0, 0.5)
print("random" in rng.snapshot())
"""


def test_tenacitys_chance_is_no_seeding_of_the_users():
    """After one retry with a random wait whatever draws without a seed would be computed again after each restart."""
    ran = subprocess.run([sys.executable, "-c", SEEDED], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "False\n", ran.stderr


@pytest.mark.parametrize(
    ("wait", "low", "high", "mean"),
    [
        (tenacity.wait_random(0, 10), 0, 10, 5),
        (tenacity.wait_random_exponential(multiplier=5, max=10), 0, 5, 2.5),
        (tenacity.wait_fixed(1) + tenacity.wait_random(0, 1), 1, 2, 1.5),
    ],
    ids=["full", "full, growing", "added"],
)
def test_tenacitys_jitter_is_spread_evenly(wait, low, high, mean):
    """Clients would come back in clusters, or one of them never."""
    draw, policy = random.Random(7).random, policy_of(TaskOptions(retries=1, retry_delay_seconds=wait))
    drawn = [policy.wait(1, OSError(), 0.0, draw()) for _ in range(10_000)]
    assert low <= min(drawn) <= max(drawn) <= high
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.02)


def test_an_interrupt_within_a_condition_passes_and_is_told(fresh):
    """Ctrl-C would be taken for an answer, or leave a step that waits for ever in the panel."""

    def condition(*_):
        raise KeyboardInterrupt

    fetch, calls = failing(OSError, retries=3, retry_condition_fn=condition)
    assert type(raised(fetch)) is KeyboardInterrupt and len(calls) == 1
    assert kinds(fresh.events)[-1] == "Cancelled"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_draw_different_jitter():
    """Workers that failed together would come back together."""
    from nbflow.clock import Clock

    clock, ends = Clock(), []
    for _ in range(2):
        mine, theirs = os.pipe()
        if not (child := os.fork()):
            os.write(theirs, repr(clock.draw()).encode())
            os._exit(0)
        os.close(theirs)
        ends.append(os.read(mine, 99))
        os.close(mine)
        os.waitpid(child, 0)
    assert ends[0] != ends[1]


@pytest.mark.parametrize(
    ("options", "error", "slept"),
    [
        ({}, Retry(after=3), [3]),
        ({"retry_delay_seconds": 10}, Retry(after=3), [3]),
        ({"retry_delay_seconds": 10}, Retry("not yet"), [10]),
        ({"retry_delay_seconds": 10, "retry_jitter_factor": 0.5}, Retry(after=3), [3 * 1.25]),
        ({}, Retry(after=3600), [3600]),
        ({}, ExceptionGroup("all", [Retry(after=3), Retry(after="1m")]), [60]),
        ({}, Busy("30"), [30]),
        ({"retry_delay_seconds": 40}, Busy("30"), [40]),
        ({"retry_delay_seconds": 5, "retry_jitter_factor": 0.5}, Busy("30"), [30 * 1.25]),
        ({"retry_on": lambda _: 1}, Busy("30"), [30]),
        ({"deadline_seconds": 7200}, Busy("3600"), [3600]),
        ({"retry_delay_seconds": 4000}, Busy("3600"), [4000]),
        ({"retry_delay_seconds": 5}, Busy("soon"), [5]),
    ],
)
def test_what_the_code_or_the_server_asks_for_is_waited(fresh, clock, options, error, slept):
    """A server that says when to come back would be asked too early, and lock the user out."""
    fetch, _ = failing(error, retries=1, **options)
    raised(fetch)
    assert clock.slept == slept


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "the server asks to wait 1 h; deadline_seconds says how long may be waited"),
        ({"deadline_seconds": 60}, "the server asks to wait 1 h, the deadline is in 1 min"),
    ],
)
def test_a_server_that_asks_too_much_ends_it_at_once(fresh, clock, options, why):
    """A notebook would stand still for an hour, or die at its deadline without a word why."""
    fetch, calls = failing(Busy("3600"), retries=3, **options)
    error = raised(fetch)
    assert type(error) is Busy and len(calls) == 1 and clock.slept == []
    assert error.__notes__ == [f"nbflow: not retried: {why}"]
    assert fresh.events[-1].error == f"Busy: 503 · not retried: {why}"


def test_the_panel_says_that_it_is_the_server_who_asks(fresh):
    """A countdown of two minutes would look like an option gone wrong."""
    fetch, _ = failing(Busy("45"), 7, retries=1)
    fetch()
    assert [event.error for event in fresh.events if type(event) is e.Waiting] == [
        "Busy: 503 · the server asks to wait 45.0 s"
    ]


def test_retry_at_the_end_gives_way_to_its_cause(fresh):
    """One would learn that a retry was asked for, and not of what."""

    @task(retries=2, persist_result=False)
    def fetch(how):
        try:
            raise KeyError("rows")
        except KeyError as error:
            if how == "from":
                raise Retry(after=1) from error
            if how == "none":
                raise Retry("not yet", after=1) from None
            raise Retry(after=1)  # noqa: B904 - users forget it

    for how in ("from", "within"):
        error = raised(fetch, how)
        assert type(error) is KeyError and error.__notes__ == ["nbflow: 3 attempts in 2.0 s"]
        assert traceback.extract_tb(error.__traceback__)[-1].line == 'raise KeyError("rows")'
    error = raised(fetch, "none")
    assert type(error) is Retry and str(error) == "not yet"


def test_no_sleep_ends_past_the_deadline(fresh, clock):
    """A limit of ten seconds would be eleven, or an attempt run on after it."""
    limits = []

    @task(retries=9, retry_delay_seconds=3, deadline_seconds=10, persist_result=False)
    def fetch():
        limits.append(10 - clock.now)
        raise OSError("x")

    error = raised(fetch)
    assert clock.slept == [3, 3, 3] and limits == [10, 7, 4, 1]
    assert error.__notes__ == [
        "nbflow: 4 attempts in 9.0 s",
        "nbflow: not retried: the next attempt would begin in 3.0 s, the deadline is in 1.0 s",
    ]


# What one is told


def test_the_original_error_with_a_history(fresh, clock):
    """`except OSError` would no longer catch, or nobody know what the first three attempts came to."""
    errors = [OSError("one"), OSError("two\nlines"), OSError("three")]
    fetch, _ = failing(*errors, retries=2, retry_delay_seconds=[1, 2])
    error = raised(fetch, "secret argument")
    assert error is errors[2] and error.__notes__ == ["nbflow: 3 attempts in 3.0 s"]
    began = clock.epoch
    assert attempts(error) == (
        (1, began, 0.0, "OSError: one", 1.0),
        (2, began + 1, 0.0, "OSError: two", 2.0),
        (3, began + 3, 0.0, "OSError: three", 0.0),
    )
    assert pickle.loads(pickle.dumps(attempts(error))) == attempts(error)
    assert attempts(pickle.loads(pickle.dumps(error))) == attempts(error)
    assert "secret" not in "".join(traceback.format_exception_only(error))


def test_one_failure_has_a_history_and_no_note(fresh):
    """`nbflow.attempts` would be empty for a task that never retries; or each of its errors carry noise."""
    fetch, _ = failing(OSError("x"))
    error = raised(fetch)
    assert [each.error for each in attempts(error)] == ["OSError: x"] and not hasattr(error, "__notes__")


@pytest.mark.parametrize("how", ["call", "await", "submit", "timed"])
def test_at_most_two_frames_of_ours(fresh, how):
    """One would look for one's own line among those of a library."""

    @task(retries=1, persist_result=False)
    def fetch():
        raise OSError("x")

    @task(retries=1, persist_result=False)
    async def afetch():
        raise OSError("x")

    async def main():
        await afetch()

    with pytest.raises(OSError) as info:
        {
            "call": fetch,
            "await": lambda: asyncio.run(main()),
            "submit": lambda: fetch.submit().result(20),
            "timed": lambda: fetch.with_options(timeout_seconds=20).submit().result(20),
        }[how]()
    ours = [each for each in traceback.extract_tb(info.tb) if "/nbflow/" in each.filename]
    assert len(ours) <= 2, ours
    assert info.traceback[-1].name in {"fetch", "afetch"}


@pytest.mark.parametrize("how", ["call", "await", "submit"])
def test_what_a_failed_attempt_held_is_let_go_before_the_next(fresh, clock, how):
    """The 8 GB of the first attempt would stay while the second makes its own; or until the collector runs."""

    class Big:
        pass

    alive, refs = [], []

    def body():
        alive.append([ref() is not None for ref in refs])
        big = Big()
        refs.append(weakref.ref(big))
        raise OSError("x")

    async def abody():
        body()

    async def main():
        with contextlib.suppress(OSError):  # asyncio's own loop would keep it
            await task(retries=2, persist_result=False)(abody)()

    gc.disable()
    try:
        try:
            if how == "await":
                asyncio.run(main())
            elif how == "call":
                task(retries=2, persist_result=False)(body)()
            else:
                task(retries=2, persist_result=False)(body).submit().result(20)
        except OSError:
            pass
        assert alive == [[], [False], [False, False]]
        if how != "submit":  # its future has the error
            assert [ref() for ref in refs] == [None] * 3
    finally:
        gc.enable()


def test_a_failure_leaves_nothing_for_the_collector(fresh):
    """Each failure would keep its frames until the collector finds them."""
    left = []

    class Lost(Exception):
        pass

    def kept_in_sight(thing):
        left.append(weakref.ref(thing))
        return thing

    def body():
        table = kept_in_sight(Lost())  # a local of the frame
        raise kept_in_sight(Lost(str(type(table))))

    fetch, _ = failing(body, retries=2)
    gc.disable()
    try:
        with contextlib.suppress(Lost):
            fetch()
        assert len(left) == 6
        assert [each() for each in left] == [None] * 6
    finally:
        gc.enable()


def test_retries_within_retries_are_told_once(fresh):
    """Three times four attempts would look like a service that got slow."""
    calls = []

    @task(retries=3, persist_result=False)
    def inner():
        calls.append(1)
        raise OSError("x")

    @task(retries=2, persist_result=False)
    def outer():
        inner()

    error = raised(outer)
    assert len(calls) == 12
    told = [each for each in fresh.warned if "multiply" in each or "in all" in each]
    assert told == [
        "inner is retried within outer, which is retried too: up to 4 x 3 = 12 times in all; retry one of them"
    ]
    assert [each.n for each in attempts(error)] == [1, 2, 3]


def test_retries_do_not_change_the_key(fresh):
    """To make a task more patient would run it again."""
    calls = []

    @task
    def slow(x):
        calls.append(x)
        return x

    slow(1)
    patient = slow.with_options(
        retries=tenacity.stop_after_attempt(4),
        retry_delay_seconds=[1, 2],
        retry_jitter_factor=1,
        retry_on=lambda error: True,
        give_up_on=KeyError,
        retry_condition_fn=lambda *_: True,
        retry_if_result=lambda value: False,
        timeout_seconds=50,
        deadline_seconds=100,
    )
    assert patient(1) == 1 and calls == [1]


# Many at once


def test_a_hundred_calls_count_each_for_itself(fresh):
    """Of calls that run together some would get the attempts of others."""
    counts = {}

    @task(retries=3, persist_result=False)
    async def fetch(x):
        counts[x] = counts.get(x, 0) + 1
        await asyncio.sleep(0)
        if counts[x] <= x % 4:
            raise OSError("x")
        return x

    async def main():
        return await asyncio.gather(*(fetch(x) for x in range(100)))

    assert asyncio.run(main()) == list(range(100))
    assert counts == {x: x % 4 + 1 for x in range(100)}


def test_threads_and_recursion_count_each_for_itself(fresh):
    """As above, for threads that call one task, and for a task that calls itself."""
    local, results = threading.local(), []

    @task(retries=2, persist_result=False)
    def fetch(depth):
        local.tries[depth] = local.tries.get(depth, 0) + 1
        if local.tries[depth] < 3:
            raise OSError("x")
        return depth + (fetch(depth - 1) if depth else 0)

    def run():
        local.tries = {}
        results.append((fetch(2), local.tries))

    threads = [threading.Thread(target=run) for _ in range(20)]
    [each.start() for each in threads]
    [each.join(30) for each in threads]
    assert results == [(3, {2: 3, 1: 3, 0: 3})] * 20


def test_each_attempt_begins_in_the_same_context(fresh):
    """What one attempt sets would be there in the next for a call, and not for a coroutine or a submit."""
    here, seen = ContextVar("here", default=0), []

    @task(retries=2, persist_result=False)
    def fetch():
        seen.append(here.get())
        here.set(here.get() + 1)
        raise OSError("x")

    raised(fetch)
    assert seen == [0, 1, 2]


def test_a_cancelled_backoff_ends_at_once(fresh):
    """`wait_for` around a task would wait for the whole backoff."""
    calls, waiting = [], asyncio.Event()

    @task(retries=3, retry_delay_seconds=3600, persist_result=False)
    async def fetch():
        calls.append(1)
        raise OSError("x")

    async def never(seconds):
        waiting.set()
        await asyncio.Event().wait()

    fresh.clock.asleep = never

    async def main():
        running = asyncio.ensure_future(fetch())
        await waiting.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert len(calls) == 1 and kinds(fresh.events)[-1] == "Cancelled"


@pytest.mark.parametrize(
    ("error", "event"), [(KeyboardInterrupt, "Cancelled"), (SystemExit, "Crashed"), (GeneratorExit, "Crashed")]
)
def test_an_interrupt_is_told_stores_nothing_and_the_next_run_is_a_first_attempt(fresh, error, event):
    """Ctrl-C would be kept as a result, be retried, or leave a step that runs for ever in the panel."""
    script = [error, 7]

    @task(retries=3, persist_result=True)
    def fetch():
        step = script.pop(0)
        if isinstance(step, type):
            raise step
        return step

    assert type(raised(fetch)) is error
    assert kinds(fresh.events)[-1] == event
    assert fetch() == 7
    assert [each.attempt for each in fresh.events if type(each) is e.Started] == [1, 1]


def test_a_timed_out_attempt_is_tried_again(fresh):
    """A hung connection would end the step at its first attempt; unless one says so."""
    for options, count in (({}, 3), ({"retry_on": TimeoutError}, 3), ({"give_up_on": TimeoutError}, 1)):
        fetch, calls = failing(StepTimeout("the attempt took more than 1 s"), retries=2, **options)
        assert type(raised(fetch)) is StepTimeout and len(calls) == count


def test_public_names():
    """`from nbflow import Retry, attempts` would not be found, or find a module."""
    assert nbflow.attempts is attempts and callable(attempts) and issubclass(nbflow.Retry, nbflow.NbflowError)
    assert sys.modules["nbflow.testing"].FakeClock
