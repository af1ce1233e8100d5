"""`@flow` as users have it: what it came to, what is waited for, what its tasks take over, what runs again."""

import asyncio
import functools
import inspect
import pickle
import threading
import time
import traceback

import cloudpickle
import pytest

from nbflow import (
    FLOW_PARAMETERS,
    INPUTS,
    RUN_ID,
    TASK_SOURCE,
    ConfigurationError,
    InterfaceError,
    NotReadyError,
    ThreadPoolTaskRunner,
    as_completed,
    flow,
    get_run_logger,
    resolve_futures_to_results,
    tags,
    task,
    wait,
)
from nbflow import events as e
from nbflow.context import current_flow_run, current_tags, get_run_context
from nbflow.flows import Flow
from nbflow.flows.options import FlowOptions
from nbflow.states import Cancelled, Completed, Failed
from tests.fakes import kinds

PATIENCE = 30


@task
def double(x):
    return 2 * x


@task
def fail(x=0):
    raise ValueError(f"no {x}")


@flow
def module_flow(x):
    return double(x)


def told(fresh, kind):
    return [event for event in fresh.events if type(event) is kind]


def notes(error):
    return "\n".join(getattr(error, "__notes__", ()))


class Counter:
    """Calls, counted where no key sees them."""

    def __init__(self):
        self.calls = []

    def __nbflow_digest__(self):
        return "a counter"


# What it is


def test_a_flow_is_called_as_its_function(fresh):
    """A flow would give something else than the function below it, or lose its name and docstring."""

    @flow
    def add_all(a, b=2, *more, c=0, **rest):
        """Add."""
        return a + b + sum(more) + c + sum(rest.values())

    assert add_all(1) == 3
    assert add_all(1, 2, 3, c=4, d=5) == 15
    assert add_all.fn(1) == 3
    assert (add_all.name, add_all.__name__, add_all.description) == ("add-all", "add_all", "Add.")
    assert isinstance(add_all, Flow)
    with pytest.raises(TypeError, match="add_all"):
        add_all()
    assert not told(fresh, e.Failed)


def test_methods_of_all_kinds(fresh):
    """A flow in a class would not get its object."""

    class Shop:
        def __init__(self, rate):
            self.rate = rate

        @flow
        def price(self, x):
            return self.rate * double(x)

        @flow
        async def aprice(self, x):
            return self.rate * double(x)

        @staticmethod
        @flow
        def net(x):
            return double(x)

        @classmethod
        @flow
        def of(cls, x):
            return cls(double(x)).rate

        @flow
        @staticmethod
        def above_static(x):
            return double(x)

        @flow
        @classmethod
        def above_class(cls, x):
            return cls(double(x)).rate

    assert Shop(3).price(1) == 6
    assert Shop(3).price.with_options(retries=1)(1) == 6
    assert asyncio.run(Shop(3).aprice(1)) == 6
    assert Shop.net(2) == 4
    assert Shop.of(2) == 4
    assert Shop.above_static(2) == Shop(3).above_static(2) == 4
    assert Shop.above_class(2) == Shop(3).above_class.with_options(retries=1)(2) == 4


def test_a_callable_object_is_a_flow(fresh):
    """An object with `__call__` could not be a flow."""

    class Etl:
        def __call__(self, x):
            return double(x)

    made = flow(Etl())
    assert (made.name, made(4)) == ("Etl", 8)


def test_options_keep_what_is_not_named(fresh):
    """`with_options` would forget options, or take ones that there are not."""
    first = flow(name="etl", retries=2, log_prints=True)(lambda: 1)
    second = first.with_options(retries=0)
    assert (second.name, second.options.retries, second.options.log_prints) == ("etl", 0, True)
    assert first.options.retries == 2
    assert first.with_options(timeout_seconds=None).options.timeout_seconds is None
    with pytest.raises(ConfigurationError, match="did you mean 'retries'"):
        first.with_options(retires=1)
    with pytest.raises(ConfigurationError, match="cache_policy"):
        flow(cache_policy=INPUTS)


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"retries": -1}, "retries"),
        ({"retry_delay_seconds": "soon"}, "retry_delay_seconds"),
        ({"timeout_seconds": "never"}, "timeout_seconds"),
        ({"on_failure": print}, "on_failure"),
        ({"on_completion": ["print"]}, "on_completion"),
        ({"flow_run_name": 3}, "flow_run_name"),
        ({"task_runner": "threads"}, "task_runner"),
        ({"result_serializer": "yaml"}, "yaml"),
        ({"result_storage": 3}, "result_storage"),
    ],
)
def test_options_that_cannot_be_meant(option, match):
    """A mistake in a declaration would show in the middle of a run, or never."""
    with pytest.raises(ConfigurationError, match=match):
        flow(**option)(lambda: 1)


def test_options_are_accepted_as_prefect_has_them(fresh):
    """A program of Prefect's would have to change its options."""
    options = dict.fromkeys(FlowOptions.__dataclass_fields__) | {"validate_parameters": True}
    assert flow(**options)(lambda: 1)() == 1
    names = set(FlowOptions.__dataclass_fields__)
    assert {"retries", "retry_delay_seconds", "task_runner", "on_crashed", "cache_result_in_memory"} <= names


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_reserved_parameters(name):
    """A parameter of that name would never get its argument."""
    namespace = {}
    exec(f"def load({name}): return 1", namespace)
    with pytest.raises(ConfigurationError, match=name):
        flow(namespace["load"])


# What it came to


def test_values_of_futures_wherever_they_are(fresh):
    """A flow that returns futures would give futures, which are of no use once it has ended."""

    @flow
    def all_kinds():
        one, many = double.submit(1), double.map([1, 2])
        return {"one": one, "many": many, "nested": [(double.submit(3),)], "plain": 4}

    assert all_kinds() == {"one": 2, "many": [2, 4], "nested": [(6,)], "plain": 4}
    assert flow(lambda: double.map(range(3)))() == [0, 2, 4]
    assert flow(lambda: double.submit(5))() == 10


def test_the_state_of_a_flow_is_that_of_what_it_returns(fresh):
    """A flow would be called completed though what it returned had failed."""

    @flow
    def some(values):
        return [(fail if each is None else double).submit(each) for each in values]

    state = some([None, 1, None], return_state=True)
    assert (state.type, state.name, state.message) == ("FAILED", "Failed", "2/3 states failed.")
    with pytest.raises(ValueError, match="no None") as caught:
        some([None, 1, None])
    assert "2/3" in notes(caught.value)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert len([each for each in frames if "/nbflow/" in each.filename]) <= 2, frames
    assert some([1], return_state=True).result() == [2]
    one = flow(lambda: fail.submit(3))(return_state=True)
    assert one.is_failed()
    assert "no 3" in one.message
    kept = flow(lambda: {"a": fail.submit(3)})(return_state=True)
    assert kept.is_failed()


@pytest.mark.parametrize(
    ("returned", "name", "message"),
    [
        (lambda: Completed(message="as it should be", data=3), "Completed", "as it should be"),
        (lambda: Failed(message="not today"), "Failed", "not today"),
        (lambda: [Completed(data=1), Failed(message="a"), Failed(message="b")], "Failed", "2/3 states failed."),
        (lambda: (Completed(data=1), Cancelled(message="a")), "Cancelled", "1/2 states cancelled."),
        (lambda: [Completed(data=1), Completed(data=2)], "Completed", None),
        (lambda: double(1, return_state=True), "Completed", None),
        (lambda: None, "Completed", None),
    ],
)
def test_states_that_are_returned(fresh, returned, name, message):
    """A flow could not say what it came to."""
    state = flow(returned)(return_state=True)
    assert (state.name, state.message) == (name, message)


def test_a_returned_state_gives_its_data_or_its_error(fresh):
    """The caller of a flow that returns a state would get the state, or no error."""
    assert flow(lambda: Completed(data=3))() == 3
    with pytest.raises(Exception, match="not today"):
        flow(lambda: Failed(message="not today"))()
    with pytest.raises(KeyError, match="gone"):
        flow(lambda: Failed(data=KeyError("gone")))()


def test_a_state_of_its_own_stands_whatever_else_failed(fresh):
    """A flow that says that it completed would be contradicted."""

    @flow
    def forgiving():
        fail.submit(1)
        return Completed(message="one may fail")

    assert forgiving(return_state=True).message == "one may fail"


def test_its_error_is_the_functions_own(fresh):
    """A user would look through frames of ours for the line that failed."""

    @flow
    def broken():
        fail.fn(7)

    with pytest.raises(ValueError, match="no 7") as caught:
        broken()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert len([each for each in frames if "/nbflow/" in each.filename]) <= 2, frames
    state = broken(return_state=True)
    assert (state.name, state.message) == ("Failed", "Flow run encountered an exception: ValueError: no 7")
    assert kinds(fresh.events[-3:]) == ["Began", "Started", "Failed"]


# What is submitted


def test_what_is_submitted_is_waited_for(fresh):
    """Steps that nobody waits for would be cut off when the flow ends."""
    gate, done = threading.Event(), Counter()

    @task(persist_result=False)
    def slow(x):
        gate.wait(PATIENCE)
        done.calls.append(x)

    @flow
    def start():
        slow.map(range(3))
        threading.Thread(target=gate.set).start()

    start()
    assert sorted(done.calls) == [0, 1, 2]


@pytest.mark.parametrize(
    "look",
    [
        lambda future: future.exception(),
        lambda future: future.result(raise_on_failure=False),
        lambda future: future.state,
        lambda future: pytest.raises(ValueError, future.result),
        lambda future: future.cancel() or future.state,
    ],
)
def test_a_failure_that_somebody_looked_at_is_forgiven(fresh, look):
    """A flow that handles a failure would fail all the same."""

    @flow
    def handled():
        future = fail.submit(1)
        future.wait()
        look(future)
        return "done"

    assert handled() == "done"


def test_a_failure_nobody_looked_at_fails_the_flow(fresh):
    """A step would fail and nobody would hear of it: Prefect calls such a flow completed."""

    @flow
    def careless():
        double.submit(1)
        futures = fail.map([1, 2])
        wait(futures)
        return "done"

    with pytest.raises(ValueError, match="no 1") as caught:
        careless()
    assert notes(caught.value).splitlines() == [
        "nbflow: 2/3 submitted steps failed, and nobody looked at it, this is fail(1)",
        "  fail(2): ValueError: no 2",
    ]


def test_the_cause_is_shown_not_what_followed_from_it(fresh):
    """The error of a flow would be that a step was not ready, instead of why."""

    @flow
    def chain():
        return double.submit(double.submit(fail.submit(4)))

    with pytest.raises(ValueError, match="no 4"):
        chain()
    assert chain(return_state=True).message == "1/1 states failed."

    @flow
    def unjoined():
        double.submit(fail.submit(4))

    with pytest.raises(ValueError, match="no 4"):
        unjoined()


def test_all_items_end_before_the_flow_fails(fresh):
    """One bad step would take the others with it, and a second run would begin them again."""
    done = Counter()

    @task(persist_result=False)
    def note(x):
        done.calls.append(x)

    @flow
    def abrupt():
        note.map(range(20))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        abrupt()
    assert sorted(done.calls) == list(range(20))


def test_an_interrupt_cancels_what_is_queued(fresh):
    """Ctrl-C would wait until everything that was submitted has run."""
    gate, ran = threading.Event(), Counter()

    @task(persist_result=False)
    def slow(x):
        ran.calls.append(x)
        gate.wait(PATIENCE)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def start():
        futures.extend(slow.submit(each) for each in range(5))
        while not ran.calls:
            time.sleep(0.001)
        raise KeyboardInterrupt

    futures = []
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
        assert [each.cancelled() for each in futures] == [False, True, True, True, True]
        assert type(fresh.events[-1]) is e.Cancelled
    finally:
        gate.set()
    wait(futures)
    assert ran.calls == [0]


def test_upstream_failures_reach_a_direct_call(fresh):
    """A task that is called with a failed future would return None, as Prefect's does."""

    @flow
    def direct():
        return double(fail.submit(2))

    with pytest.raises(NotReadyError, match="no 2"):
        direct()

    @flow
    def awaited():
        return double(1, wait_for=[fail.submit(2)])

    with pytest.raises(NotReadyError, match="no 2"):
        awaited()


def test_second_steps_in_the_order_of_completion(fresh):
    """The usual pattern of a flow would not work: skip failures, submit what follows."""

    @flow
    def survey():
        asked = {(fail if each == 2 else double).submit(each): each for each in range(4)}
        second = {}
        for future in as_completed(asked):
            if future.exception() is None:
                second[asked[future]] = double.submit(future)
        return resolve_futures_to_results(second)

    assert survey() == {0: 0, 1: 4, 3: 12}


# Async, generators


def test_async_flows(fresh):
    """`await flow()` would not work as `await task()` does."""

    @task
    async def later(x):
        await asyncio.sleep(0)
        return x + 1

    @flow
    async def inner(x):
        return await later(x)

    @flow
    async def outer():
        futures = later.map([1, 2])
        both = await asyncio.gather(inner(10), inner(20))
        return [*both, *[await each for each in futures], double.submit(4)]

    assert asyncio.run(outer()) == [11, 21, 2, 3, 8]
    state = asyncio.run(outer(return_state=True))
    assert state.is_completed()
    rows = {event.step: event for event in told(fresh, e.Began)}
    parents = {rows[event.parent].task for event in rows.values() if event.task == "later" and event.parent}
    assert parents == {"inner", "outer"}


def test_an_async_flow_fails_as_another_one(fresh):
    """The failure of a step that an async flow submitted would be lost."""

    @flow
    async def careless():
        fail.submit(3)

    with pytest.raises(ValueError, match="no 3"):
        asyncio.run(careless())


def test_a_cancelled_async_flow(fresh):
    """Cancelling a flow would leave its steps queued, or be taken for a failure."""
    hooked = []
    gate, begun = threading.Event(), asyncio.Event()

    @task(persist_result=False)
    def slow(x):
        gate.wait(PATIENCE)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1), on_cancellation=[lambda *args: hooked.append(args)])
    async def start():
        futures.extend(slow.submit(each) for each in range(3))
        begun.set()
        await asyncio.sleep(PATIENCE)

    async def main():
        running = asyncio.ensure_future(start())
        await begun.wait()
        running.cancel()
        await running

    futures = []
    try:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
        assert [each.cancelled() for each in futures[1:]] == [True, True]
        (_, run, state), *_ = hooked
        assert state.is_cancelled()
        assert run.state is state
    finally:
        gate.set()
    wait(futures)


def test_what_a_flow_yields_comes_as_a_list(fresh):
    """A flow that yields would return before it has run."""

    @flow
    def each():
        for x in range(3):
            yield double(x)

    @flow
    async def aeach():
        for x in range(3):
            yield double(x)

    assert each() == [0, 2, 4]
    assert asyncio.run(aeach()) == [0, 2, 4]
    assert flow(lambda: (double.submit(x) for x in range(2)))() == [0, 2]


# Around its tasks


def test_rows_are_nested(fresh):
    """The panel would not show which flow a task belongs to."""

    @flow(name="inner flow")
    def inner():
        return double(1)

    @flow(name="outer flow")
    def outer():
        inner()
        return double.submit(2)

    outer()
    events = [each for each in fresh.events if type(each) in (e.Began, e.Queued)]
    names = {each.step: each.task for each in events}
    assert {(each.task, names.get(each.parent)) for each in events} == {
        ("outer flow", None),
        ("inner flow", "outer flow"),
        ("double", "inner flow"),
        ("double", "outer flow"),
    }
    assert kinds(fresh.events)[-1] == "Completed"


def test_passwords_are_not_shown(fresh):
    """A flow's password would stand in the panel and in the saved notebook."""
    flow(lambda user, password: None)("ann", password="hunter2")
    assert "hunter2" not in repr(fresh.events)
    assert "ann" in repr(fresh.events)


@pytest.mark.parametrize(
    ("given", "inner", "kept"),
    [(True, {}, True), (False, {}, False), (True, {"persist_result": False}, False), (None, {}, False)],
)
def test_tasks_take_over_what_they_do_not_say(fresh, given, inner, kept):
    """`persist_result=` of a flow would not reach its tasks, or would reach those that say otherwise."""
    calls = Counter()

    @task(**inner)
    def nothing(x):
        calls.calls.append(x)  # it returns None, which nobody keeps without being asked

    @flow(persist_result=given)
    def twice():
        nothing(1)
        nothing(1)

    twice()
    assert len(calls.calls) == (1 if kept else 2)


def test_an_inner_flow_takes_over_from_the_outer_one(fresh, tmp_path):
    """Storage, serializer and `log_prints` would have to be said at each level."""

    @task
    def rows(x):
        print("rows of", x)
        return [x]

    @flow
    def inner(x):
        return rows(x)

    @flow(result_storage=tmp_path / "elsewhere", result_serializer="json", log_prints=True)
    def outer():
        inner(1)
        return inner.with_options(log_prints=False)(2)

    outer()
    assert (tmp_path / "elsewhere" / "index").exists() or any((tmp_path / "elsewhere").iterdir())
    assert rows.is_cached(1) is False
    assert [each.text for each in told(fresh, e.Logged)] == ["rows of 1"]


def test_a_runner_lives_as_long_as_its_flow(fresh):
    """A flow's runner would not be used, not be ended, or be shared by runs that run at the same time."""
    runner = ThreadPoolTaskRunner(max_workers=2)
    seen = []

    @flow(task_runner=runner)
    def mine():
        here = current_flow_run.get().task_runner
        seen.append((here, here.started))
        return double.map(range(4))

    assert mine() == [0, 2, 4, 6]
    assert mine() == [0, 2, 4, 6]
    (first, started), (second, _) = seen
    assert first == runner
    assert first is not runner
    assert first is not second
    assert started
    assert not first.started
    assert not second.started
    assert flow(task_runner=ThreadPoolTaskRunner)(lambda: double.submit(2))() == 4


def test_tags_union_nest_and_end(fresh):
    """A task would not have the tags that were given around it, or have them for ever."""
    seen = []

    @task(tags=["own"], persist_result=False)
    def show():
        seen.append(sorted(get_run_context().task_run.tags))

    @flow
    def outer():
        show()
        with tags("a"):
            show.submit().wait()
            inner()

    @flow
    def inner():
        with tags("b", "a"):
            show()
        show()

    with tags("x"):
        outer()
    show()
    assert seen == [["own", "x"], ["a", "own", "x"], ["a", "b", "own", "x"], ["a", "own", "x"], ["own"]]
    with pytest.raises(ZeroDivisionError), tags("a"):
        raise ZeroDivisionError
    assert not current_tags.get()


def test_run_context(fresh):
    """Code could not ask which run it is part of."""

    @task(persist_result=False)
    def inside(x):
        context = get_run_context()
        return context.task_run.task_name, context.task_run.flow_run_id, context.parameters, context.task_run.run_count

    @flow(name="etl", flow_run_name="etl of {day}")
    def outer(day, limit=3):
        run = get_run_context().flow_run
        assert inside(1) == ("inside", run.id, {"x": 1}, 1)
        return run.name, run.flow_name, run.parameters, run.run_count, run.start_time is not None

    assert outer("Monday") == ("etl of Monday", "etl", {"day": "Monday", "limit": 3}, 1, True)
    with pytest.raises(InterfaceError, match="get_run_context"):
        get_run_context()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("load-{day}-{limit}", "load-1-5"),
        (lambda: "made", "made"),
        (lambda parameters: f"day {parameters['day']}", "day 1"),
        (lambda: current_flow_run.get().flow_name + "!", "load!"),
        ("{dya}", "load"),
    ],
)
def test_names_of_runs(fresh, name, found):
    """Runs of one flow could not be told apart; a mistake in a name would fail the run."""

    @flow(name="load", flow_run_name=name)
    def load(day, limit=5):
        return current_flow_run.get().name

    assert load(1) == found
    assert any("dya" in each for each in fresh.warned) == (name == "{dya}")
    assert told(fresh, e.Began)[0].task == found


def test_a_function_that_names_runs_gives_text(fresh):
    """A name that is none would show up somewhere else."""

    def number():
        return 3

    with pytest.raises(TypeError, match=r"number\(\).*int"):
        flow(flow_run_name=number)(lambda: 1)()


# Again


def test_a_retry_runs_again_what_is_not_kept(fresh):
    """A retry would repeat work that is kept, or skip what failed."""
    calls = Counter()

    @task(persist_result=True)
    def kept(x):
        calls.calls.append("kept")
        return x

    @task(persist_result=False)
    def loose(x):
        calls.calls.append("loose")
        return x

    @flow(retries=3, retry_delay_seconds=[1, 5])
    def etl():
        kept(1)
        loose(1)
        if current_flow_run.get().run_count < 3:
            raise RuntimeError("not yet")
        return "done"

    assert etl() == "done"
    assert calls.calls == ["kept", "loose", "loose", "loose"]
    assert fresh.clock.slept == [1, 5]
    assert kinds(each for each in fresh.events if each.step == fresh.events[0].step) == [
        "Began", "Started", "Waiting", "Started", "Waiting", "Started", "Completed",
    ]  # fmt: skip


def test_a_retry_repairs_the_tasks_that_failed(fresh):
    """A flow whose steps failed would be retried without running them again."""
    calls = Counter()

    @task(persist_result=True)
    def flaky(x):
        calls.calls.append(x)
        if x == 2 and calls.calls.count(2) < 2:
            raise ValueError("not yet")
        return x

    assert flow(retries=1)(lambda: flaky.map([1, 2, 3]))() == [1, 2, 3]
    assert sorted(calls.calls) == [1, 2, 2, 3]


def test_a_failed_flow_goes_on_where_it_stopped(fresh):
    """A flow that is started again would repeat what it has done."""
    calls = Counter()

    @task
    def work(x):
        calls.calls.append(x)
        return x

    @flow
    def etl(bad):
        done = [work(x) for x in range(3)]
        if bad:
            raise RuntimeError("the kernel died")
        return done

    with pytest.raises(RuntimeError):
        etl(True)
    assert etl(False) == [0, 1, 2]
    assert calls.calls == [0, 1, 2]


@pytest.mark.parametrize(
    ("attempts", "hooks"), [(1, ["running", "failed"]), (3, ["running", "running", "running", "failed"])]
)
def test_hooks_of_a_failure(fresh, attempts, hooks):
    """A hook would be called for each attempt, or for none."""
    seen = []

    @flow(
        retries=attempts - 1,
        on_running=[lambda flow, run, state: seen.append("running")],
        on_failure=[lambda flow, run, state: seen.append("failed")],
        on_completion=[lambda flow, run, state: seen.append("completed")],
    )
    def broken():
        raise ValueError

    assert broken(return_state=True).is_failed()
    assert seen == hooks


def test_hooks_get_the_flow_its_run_and_its_state(fresh):
    """A hook could not tell what it is called for; one that fails would fail the flow or stop the others."""
    seen = []

    async def later(flow, run, state):
        await asyncio.sleep(0)
        seen.append(("later", flow.name, run.name, state.name))

    def bad(flow, run, state):
        raise RuntimeError("in a hook")

    @flow(on_completion=[bad, functools.partial(later)])
    def fine(x):
        return x

    @fine.on_completion
    def last(flow, run, state):
        seen.append((flow is fine, run.parameters, state.result()))

    assert fine(3) == 3
    assert seen == [("later", "fine", "fine", "Completed"), (True, {"x": 3}, 3)]


@pytest.mark.parametrize(("error", "hook"), [(SystemExit(3), "on_crashed"), (KeyboardInterrupt(), "on_crashed")])
def test_hooks_of_a_crash(fresh, error, hook):
    """Nobody could clean up after a flow that was killed."""
    seen = []

    def end():
        raise error

    with pytest.raises(type(error)):
        flow(**{hook: [lambda flow, run, state: seen.append(state.name)]})(end)()
    assert seen == ["Crashed"]


# Its time


def test_a_flow_that_takes_too_long(fresh):
    """A flow would hang for ever, or begin tasks after its time."""
    started = Counter()

    @task(persist_result=False)
    def note(x):
        started.calls.append(x)

    @flow(timeout_seconds=0.2)
    def slow():
        while True:
            note(1)
            time.sleep(0.001)

    state = slow(return_state=True)
    assert (state.name, state.type) == ("TimedOut", "FAILED")
    with pytest.raises(TimeoutError):
        slow()
    begun = len(started.calls)
    time.sleep(0.01)
    assert len(started.calls) == begun


def test_a_flow_in_a_thread_ends_at_the_next_task(fresh):
    """A flow that cannot be interrupted would go on and on after its time is over."""
    gate, over = threading.Event(), threading.Event()
    seen = []

    @flow(timeout_seconds=0.1)
    def slow():
        gate.wait(PATIENCE)
        try:
            double(1)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        finally:
            over.set()

    states = []
    thread = threading.Thread(target=lambda: states.append(slow(return_state=True)))
    thread.start()
    thread.join(PATIENCE)
    assert states[0].name == "TimedOut"
    gate.set()
    assert over.wait(PATIENCE)
    assert seen == ["CancelledError"]
    assert not told(fresh, e.Missed)


def test_an_async_flow_ends_at_the_next_await(fresh):
    """An async flow would not keep its time."""

    @flow(timeout_seconds=0.05)
    async def slow():
        await asyncio.sleep(PATIENCE)

    assert asyncio.run(slow(return_state=True)).name == "TimedOut"


def test_the_clock_of_an_inner_flow_starts_when_it_starts(fresh):
    """An inner flow would pay for what ran before it."""

    @flow(timeout_seconds=5)
    def inner(x):
        return x

    @flow
    def outer():
        gate = threading.Event()
        late = task(persist_result=False)(lambda: gate.wait(0.05)).submit()
        return inner.with_options(timeout_seconds=0.04)(1, wait_for=[late])

    assert outer() == 1


def test_time_that_is_over_cancels_what_is_queued(fresh):
    """Queued steps would run although their flow has been given up."""
    gate, ran = threading.Event(), Counter()

    @task(persist_result=False)
    def slow(x):
        ran.calls.append(x)
        gate.wait(0.5)

    futures = []

    @flow(timeout_seconds=0.2, task_runner=ThreadPoolTaskRunner(max_workers=1))
    def start():
        futures.extend(slow.submit(each) for each in range(5))
        wait(futures)

    assert start(return_state=True).name == "TimedOut"
    assert [each.cancelled() for each in futures[1:]] == [True] * 4
    gate.set()


# Keys


def test_run_id_keys_by_the_flow_run(fresh):
    """`RUN_ID` would share results between runs, or not within one, not even in a retry."""
    calls = Counter()

    @task(cache_policy=INPUTS + TASK_SOURCE + RUN_ID)
    def once(x):
        calls.calls.append(x)
        return x

    @flow(retries=1)
    def etl():
        once(1)
        once(1)
        if current_flow_run.get().run_count == 1:
            raise RuntimeError("again")

    etl()
    assert calls.calls == [1]
    etl()
    assert calls.calls == [1, 1]
    once(1)
    once(1)
    assert calls.calls == [1, 1, 1, 1]


def test_flow_parameters_key_by_all_of_them(fresh):
    """`FLOW_PARAMETERS` would look at the task's own inputs, or miss a parameter that changed."""
    calls = Counter()

    @task(cache_policy=FLOW_PARAMETERS)
    def rows(x):
        calls.calls.append(x)
        return x

    @flow
    def etl(day, limit=1):
        return rows(len(calls.calls))

    assert etl(1) == 0
    assert etl(day=1, limit=1) == 0
    assert etl(1, limit=2) == 1
    assert etl(2) == 2
    assert calls.calls == [0, 1, 2]
    rows(1)
    rows(1)
    assert len(calls.calls) == 5


def test_results_are_shared_between_flow_runs(fresh):
    """A second run would not find what the first one computed."""
    calls = Counter()

    @task
    def work(x):
        calls.calls.append(x)
        return x

    first = flow(lambda: work(1))
    second = flow(lambda: work.submit(1))
    assert (first(), second(), work(1)) == (1, 1, 1)
    assert calls.calls == [1]


def test_a_task_that_calls_a_flow_follows_its_code(fresh):
    """A task would be served from the store although the flow that it calls was edited."""

    def make(factor):
        @flow
        def inner(x):
            return factor * x

        @task
        def outer(x):
            return inner(x)

        return outer

    assert make(2)(1) == 2
    assert make(3)(1) == 3
    assert make(2).is_cached(1)


def test_get_run_logger_needs_a_run(fresh):
    """A logger asked for too early would fail somewhere else, without a cure."""
    with pytest.raises(InterfaceError, match=r"logging\.getLogger"):
        get_run_logger()


def test_a_flow_travels(fresh):
    """A task that calls a flow could not run in another process."""
    again = pickle.loads(cloudpickle.dumps(flow(name="etl", retries=1)(lambda x: 2 * x)))
    assert (again(2), again.name, again.options.retries) == (4, "etl", 1)
    assert pickle.loads(pickle.dumps(module_flow)) is module_flow
    assert cloudpickle.loads(cloudpickle.dumps(module_flow.with_options(name="x")))(1) == 2


def test_docstrings_name_every_option():
    """An option could not be looked up."""
    for name in FlowOptions.__dataclass_fields__:
        assert f"{name}: " in inspect.getdoc(FlowOptions)
        assert name in inspect.signature(flow).parameters
