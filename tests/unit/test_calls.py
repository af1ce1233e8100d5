"""Everything about a call beyond its value: states, what it waits for, what it is called, where its key comes from."""

import asyncio
import functools
import inspect
import threading
from dataclasses import dataclass

import pytest

from nbflow import (
    INPUTS,
    NO_CACHE,
    ConfigurationError,
    FailedRun,
    InterfaceError,
    NotReadyError,
    allow_failure,
    configure,
    quote,
    resolve_futures_to_results,
    tags,
    task,
    unmapped,
)
from nbflow import events as e
from nbflow.context import here
from nbflow.futures import opaque, resolve_futures_to_states
from nbflow.states import Completed, Crashed, Failed, Running

PATIENCE = 30


def told(fresh, kind):
    return [event for event in fresh.events if type(event) is kind]


@pytest.fixture
def same(fresh):
    """A task that returns what it gets."""

    @task(persist_result=False)
    def same(x):
        return x

    return same


@pytest.fixture
def broken(fresh):
    """A task that fails with the text that it gets."""

    @task(persist_result=False)
    def broken(text="no rows"):
        raise ValueError(text)

    return broken


class TestStates:
    def test_return_state(self, fresh, same, broken):
        """A flow that looks at states instead of catching errors would end at the first failure."""
        state = same(5, return_state=True)
        assert (state.name, state.result()) == ("Completed", 5)
        failed = broken(return_state=True)
        assert failed.is_failed() and "no rows" in failed.message
        with pytest.raises(ValueError, match="no rows"):
            failed.result()
        assert same.submit(6, return_state=True).result() == 6
        assert [state.name for state in same.map([1, 2], return_state=True)] == ["Completed"] * 2
        kept = task(lambda x: x)
        assert [kept(1, return_state=True).name for _ in range(2)] == ["Completed", "Cached"]
        assert kept.submit(1, return_state=True).name == "Cached"

    def test_return_state_of_a_coroutine(self, fresh, broken):
        """The same flow, once it is asynchronous."""

        @task(persist_result=False)
        async def work(x):
            return 1 / x

        async def both():
            return (
                await work(1, return_state=True),
                await work(0, return_state=True),
                await work(broken.submit(), return_state=True),
            )

        assert [state.name for state in asyncio.run(both())] == ["Completed", "Failed", "NotReady"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_interrupts_are_raised_in_any_case(self, fresh, error):
        """Ctrl-C would become a value."""

        @task
        def work():
            raise error

        with pytest.raises(error):
            work(return_state=True)

    def test_wrong_arguments_are_raised_in_any_case(self, fresh, same):
        """A typo in a call would look like a failed step."""
        with pytest.raises(TypeError, match="same"):
            same(return_state=True)

    def test_a_returned_state_is_the_final_one(self, fresh):
        """A step that says itself how it ended would not be heard."""

        @task(persist_result=False)
        def skipped():
            return Completed(message="nothing new", data=5, name="Skipped")

        state = skipped(return_state=True)
        assert (state.name, state.message, state.data) == ("Skipped", "nothing new", 5)
        assert skipped().name == "Skipped"
        future = skipped.submit()
        assert future.result(PATIENCE) == 5 and future.state.name == "Skipped"

    @pytest.mark.parametrize("make", [Failed, Crashed])
    def test_a_returned_failure_is_retried_and_not_kept(self, fresh, make):
        """A step that reports its failure instead of raising would be kept as a success."""
        calls = []

        @task(retries=2, persist_result=True)
        def work():
            calls.append(1)
            return make(message="no rows")

        state = work()
        assert state.message == "no rows" and len(calls) == 3 and not work.is_cached()
        assert work(return_state=True).type == make().type and len(told(fresh, e.Failed)) == 2
        future = work.submit()
        with pytest.raises(FailedRun, match="no rows"):
            future.result(PATIENCE)
        assert future.state.message == "no rows" and isinstance(future.result(raise_on_failure=False), FailedRun)

    def test_the_error_in_a_returned_failure_decides(self, fresh):
        """`retry_on` would not know the error that the step put into its state."""
        calls = []

        @task(retries=2, retry_on=OSError, persist_result=False)
        def work():
            calls.append(1)
            return Failed(data=OSError("down") if len(calls) < 2 else ValueError("bad"))

        assert isinstance(work().data, ValueError) and len(calls) == 2

    def test_an_async_returned_failure_is_retried(self, fresh):
        """The same of coroutines."""
        calls = []

        @task(retries=1, persist_result=False)
        async def work():
            calls.append(1)
            return Failed(message="no") if len(calls) < 2 else 7

        assert asyncio.run(work()) == 7

    def test_states_as_inputs(self, fresh, same, broken):
        """A step would get the state of the one before instead of its value."""
        good, bad = same(5, return_state=True), broken(return_state=True)
        assert same([good, {"a": good}, (good,)]) == [5, {"a": 5}, (5,)]
        assert same.submit(good).result(PATIENCE) == 5
        with pytest.raises(NotReadyError, match="no rows"):
            same(bad)
        assert same.submit(bad, return_state=True).name == "NotReady"
        assert isinstance(same(allow_failure(bad)), ValueError)
        with pytest.raises(NotReadyError):
            same(Running())
        assert same(quote(good)) is good

    def test_futures_tell_their_state(self, fresh):
        """A program that polls would see nothing until the end."""
        go, begun = threading.Event(), threading.Event()

        @task(persist_result=False)
        def work(x):
            begun.set()
            assert go.wait(PATIENCE)
            return x

        future = work.submit(3)
        assert begun.wait(PATIENCE) and future.state.is_running()
        waiting = work.submit(future)
        assert waiting.state.is_pending() and len(future.task_run_id) == 32
        name = future.task_run_id
        go.set()
        assert waiting.result(PATIENCE) == 3
        assert future.state.is_completed() and future.state.result() == 3 and future.task_run_id == name
        assert future.state is future.state


class TestDependencies:
    def test_wait_for(self, fresh, same, broken):
        """A step that reads what another one has written would run before it."""
        order, go = [], threading.Event()

        @task(persist_result=False)
        def first():
            assert go.wait(PATIENCE)
            order.append("first")

        @task(persist_result=False)
        def second(x):
            order.append("second")
            return x

        one = first.submit()
        two = second.submit(1, wait_for=[one])
        three = second.map([1, 2], wait_for=[two])
        go.set()
        assert three.result(PATIENCE) == [1, 2] and order == ["first", "second", "second", "second"]
        assert second(3, wait_for=[one, "no future"]) == 3
        bad = broken.submit()
        with pytest.raises(NotReadyError, match="no rows"):
            second(4, wait_for=[bad])
        with pytest.raises(NotReadyError):
            second.submit(4, wait_for=[[bad]]).result(PATIENCE)
        assert [state.name for state in second.map([4, 5], wait_for=bad, return_state=True)] == ["NotReady"] * 2
        assert len(order) == 5
        assert second(5, wait_for=[allow_failure(bad)]) == 5
        assert second.map([6], wait_for=[allow_failure([bad])]).result(PATIENCE) == [6]

    def test_wait_for_does_not_change_the_key(self, fresh):
        """Each run would miss, for the future is always another one."""

        @task
        def work(x):
            return x

        work(1)
        assert work(1, wait_for=[work.submit(2)]) == 1 and len(told(fresh, e.Hit)) == 1

    def test_a_coroutine_waits_without_holding_its_loop(self, fresh):
        """An asynchronous task that is given a future of another one would hang for ever."""

        @task(persist_result=False)
        async def slow(x):
            await asyncio.sleep(0.01)
            return x

        @task(persist_result=False)
        async def outer():
            return await slow(slow.submit(1)) + await slow(2, wait_for=[slow.submit(5)])

        assert outer.submit().result(PATIENCE) == 3 and asyncio.run(outer()) == 3

    def test_failures_that_are_allowed_arrive_wherever_they_are(self, fresh, same, broken):
        """A summary over all items would not run because of one; or it would be given futures."""
        good, bad = same.submit(1), broken.submit("gone")
        after = same.submit(bad)

        @task(persist_result=False)
        def names(x):
            return str(x)

        assert names(allow_failure([good, bad])) == "[1, ValueError('gone')]"
        assert names(allow_failure({"a": (bad,)})) == "{'a': (ValueError('gone'),)}"
        assert names(allow_failure(after)) == "broken('gone') failed: ValueError: gone"  # what NotReadyError says
        assert names([allow_failure(bad), 2]) == "[ValueError('gone'), 2]"
        assert names.map(allow_failure(broken.map(["a", "b"]))).result(PATIENCE) == ["a", "b"]
        assert names.map([1, 2], wait_for=allow_failure(broken.map(["a"]))).result(PATIENCE) == ["1", "2"]

    def test_the_reason_goes_down_the_chain(self, fresh, same, broken):
        """The last of ten steps would say that the ninth was not ready, and nothing more."""
        last = same.submit(same.submit(same.submit(broken.submit("no rows"))))
        with pytest.raises(NotReadyError, match="no rows"):
            last.result(PATIENCE)
        assert len(told(fresh, e.NotReady)) == 3 and last.state.name == "NotReady" and not last.state.is_final()

    def test_quoted_arguments_are_left_alone(self, fresh, same):
        """A large collection would be searched for futures; or a task could not be given a future itself."""
        future = same.submit(1)
        inner = [future, {"a": future}]
        assert same(quote(inner)) is inner and same.submit(quote(inner)).result(PATIENCE) is inner
        assert same([quote(inner), 2])[0] is inner
        assert same(opaque(future)) == 1 and same(opaque(inner)) is inner
        assert same(unmapped(3)) == 3 and same.submit(unmapped([future])).result(PATIENCE) == [1]

    def test_quoted_arguments_are_not_mapped(self, fresh):
        """One step would become a thousand."""

        @task(persist_result=False)
        def pair(x, y):
            return x, y

        assert pair.map([1, 2], quote([3, 4])).result(PATIENCE) == [(1, [3, 4]), (2, [3, 4])]

    @pytest.mark.parametrize("make", [list, tuple, iter, lambda each: (x for x in each), set])
    def test_what_can_be_mapped(self, fresh, same, make):
        """A generator of inputs would have to be a list first."""
        assert sorted(same.map(make([1, 2])).result(PATIENCE)) == [1, 2]

    def test_states_and_futures_of_lists_can_be_mapped(self, fresh, same, broken):
        """A fan-out over what another step has listed would be one call with the list."""
        assert same.map(same([1, 2], return_state=True)).result(PATIENCE) == [1, 2]
        assert same.map(same.submit([1, 2])).result(PATIENCE) == [1, 2]
        assert same.map([same.submit(1), same(2, return_state=True)]).result(PATIENCE) == [1, 2]
        assert same.map([]) == [] and same.map(same.submit([])).result() == []
        with pytest.raises(NotReadyError, match="no rows"):
            same.map(broken.submit())

    def test_a_step_that_waits_for_itself(self, fresh):
        """A program would hang, and nobody could say why."""
        got, ready = [], threading.Event()

        @task(persist_result=False)
        def work():
            assert ready.wait(PATIENCE)
            return got[0].result()

        got.append(work.submit())
        ready.set()
        with pytest.raises(InterfaceError, match="its own result"):
            got[0].result(PATIENCE)

    def test_resolved_in_all_collections(self, fresh, same, broken):
        """A report would show futures, or lose its keys."""

        @dataclass
        class Row:
            value: object
            fixed: int = 1

        one, bad = same.submit(1), broken.submit()
        value = {one: [one, (one, {one}), Row(one)], "state": same(2, return_state=True)}
        assert resolve_futures_to_results(value) == {1: [1, (1, {1}), Row(1)], "state": 2}
        states = resolve_futures_to_states([one, {"a": bad}])
        assert (states[0].name, states[1]["a"].name) == ("Completed", "Failed")
        plain = [1, {"a": 2}]
        assert resolve_futures_to_results(plain) is plain and resolve_futures_to_states(plain) is plain

    def test_a_cancelled_step_says_so(self, fresh):
        """It would look like one that failed, or still waits."""
        go = threading.Event()

        @task(persist_result=False)
        def work(x=None):
            assert go.wait(PATIENCE)

        waiting = work.submit(first := work.submit())
        assert waiting.cancel() and waiting.state.name == "Cancelled" and waiting.state.is_final()
        go.set()
        first.result(PATIENCE)

    def test_items_that_cannot_even_be_told_of_stay_alone(self, fresh):
        """One bad item would take the others down, or the panel."""

        class Rude(Exception):
            def __str__(self):
                raise RuntimeError("no text")

            def __reduce__(self):
                raise RuntimeError("no pickle")

        class Shy:
            def __repr__(self):
                raise RuntimeError("no repr")

        @task(persist_result=True, ignore=["shy"])
        def work(x, shy):
            if x == 1:
                raise Rude
            return x

        futures = work.map([0, 1, 2], unmapped(Shy()))
        assert futures.result(PATIENCE, errors="skip") == [0, 2]
        assert isinstance(futures[1].result(raise_on_failure=False), Rude) and futures[1].state.is_failed()
        assert [work.is_cached(x, Shy()) for x in range(3)] == [True, False, True]
        assert work.map([0, 1, 2], unmapped(Shy())).result(PATIENCE, errors="skip") == [0, 2]
        assert len(told(fresh, e.Hit)) == 2


class TestKeyFunctions:
    def test_they_get_values_and_the_run(self, fresh):
        """A key would be made of a future, and never be found again; one of the run's name would raise."""
        seen = []

        def key(context, parameters):
            seen.append((context.task.name, context.task_run.name, context.parameters == parameters, parameters))
            return str(parameters["x"])

        @task(cache_key_fn=key, task_run_name="run-{x}")
        def work(x, y=2):
            return x

        one = task(lambda: 1).submit()
        assert work(one) == work.submit([one][0]).result(PATIENCE) == work(1) == 1
        assert seen == [("work", "run-1", True, {"x": 1, "y": 2})] * 3 and len(told(fresh, e.Hit)) == 2

    def test_one_that_never_repeats_never_hits(self, fresh):
        """A random key would be kept for nothing but the file system."""
        keys = iter("abc")

        @task(cache_key_fn=lambda context, parameters: next(keys), ignore=[])
        def work():
            return 1

        work()
        work()
        assert not told(fresh, e.Hit)

    def test_the_object_of_a_method_counts_unless_it_is_left_out(self, fresh):
        """Two sources would serve each other's rows; or equal ones could never share."""

        class Source:
            def __init__(self, url):
                self.url = url

            @task(persist_result=True)
            def rows(self, x):
                return self.url

            @task(cache_policy=INPUTS - "self")
            def shared(self, x):
                return self.url

            @task(cache_key_fn=lambda context, parameters: parameters["self"].url)
            def keyed(self, x):
                return x

        a, b = Source("a"), Source("b")
        assert (a.rows(1), b.rows(1), Source("a").rows(1)) == ("a", "b", "a") and len(told(fresh, e.Hit)) == 1
        assert (a.shared(1), b.shared(1)) == ("a", "a")
        assert (a.keyed(1), b.keyed(2), a.keyed(3)) == (1, 2, 1)


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("load-{month}", "load-5"),
            ("{month:03d}-{year}", "005-2026"),
            (lambda: "fixed", "fixed"),
            (lambda parameters: f"of {parameters['year']}", "of 2026"),
        ],
    )
    def test_from_a_template_or_a_function(self, fresh, given, name):
        """A hundred rows of the panel would all be called `load`."""
        seen = []

        @task(task_run_name=given)
        def load(month, year=2026):
            seen.append(here.get().run.name)
            return month

        load(5)
        load(5)
        assert load.submit(5).result(PATIENCE) == 5
        assert seen == [name] and [event.name for event in told(fresh, e.Named)] == [name] * 3

    def test_of_a_method(self, fresh):
        """The name could not tell which object it was."""

        class Source:
            def __init__(self, url):
                self.url = url

            @task(task_run_name="from {self.url}")
            def load(self, x):
                return x

        Source("a").load(1)
        assert told(fresh, e.Named)[0].name == "from a"

    def test_once_a_run_and_with_the_run_at_hand(self, fresh):
        """A counter or a clock in the name would name one run twice."""
        asked, calls = [], []

        def name(parameters):
            asked.append((parameters, here.get().run))
            return f"run {len(asked)}"

        @task(task_run_name=name, retries=2, persist_result=False)
        def work(x):
            calls.append(here.get().run.name)
            if len(calls) < 3:
                raise ValueError("no")

        work(1)
        work(2)
        assert calls == ["run 1"] * 3 + ["run 2"] and [each[0] for each in asked] == [{"x": 1}, {"x": 2}]
        assert asked[0][1].task_name == "work" and asked[0][1].parameters == {"x": 1}

    def test_a_bad_template_costs_the_name_alone(self, fresh):
        """A typo in a label would end the night's run."""

        @task(task_run_name="{nope}")
        def work(x):
            return x

        assert work(1) == 1 and work(2) == 2
        assert len([line for line in fresh.warned if "nope" in line]) == 1

    def test_a_function_that_gives_no_text_is_named(self, fresh):
        """The error would come from inside of nbflow."""

        def number():
            return 5

        @task(task_run_name=number)
        def work(x):
            return x

        with pytest.raises(TypeError, match=r"number\(\).*int"):
            work(1)
        assert len(told(fresh, e.Failed)) == 1
        with pytest.raises(ConfigurationError, match="task_run_name"):
            work.with_options(task_run_name=5)


class TestTags:
    def test_they_add_up_and_end(self, fresh):
        """A limit on `database` would not count the steps that are tagged around the call."""
        seen = []

        @task(tags={"own"}, persist_result=False)
        def work():
            seen.append(set(here.get().run.tags))

        work()
        with tags("a", "b"):
            work()
            with tags("c"):
                work.submit().result(PATIENCE)
            work.with_options(tags=["other"])()
        work()
        assert seen == [{"own"}, {"own", "a", "b"}, {"own", "a", "b", "c"}, {"other", "a", "b"}, {"own"}]

    def test_they_are_copied(self):
        """Changing a set of tags would change tasks that were made of it."""
        mine = {"a"}
        work = task(lambda: 1, tags=mine)
        mine.add("b")
        assert work.tags == {"a"} == work.with_options(retries=1).tags
        for wrong in ("a", [1], 5):
            with pytest.raises((ConfigurationError, TypeError), match="tags|iterable"):
                task(tags=wrong)


class TestStorageKey:
    def test_it_is_the_key(self, fresh):
        """Two spellings of one month would be computed twice; or the record of last night not be found."""
        runs = []

        @task(result_storage_key="rows-{parameters[month]}")
        def rows(month, client):
            runs.append(month)
            return [month]

        assert rows(5, object()) == rows(5, client=lambda: 1) == [5] and runs == [5]
        assert rows(6, None) == [6] and rows.is_cached(5, None) and not rows.is_cached(7, None)
        assert rows.forget(5, None) == 1 and rows(5, None) == [5] and runs == [5, 6, 5]

    def test_it_knows_the_runs_name(self, fresh):
        """A template from a Prefect program would raise."""
        runs = []

        @task(result_storage_key="{task_run.name}", task_run_name=lambda parameters: f"m{parameters['x'] % 2}")
        def work(x):
            runs.append(x)
            return x

        assert [work(x) for x in (1, 2, 3)] == [1, 2, 1] and runs == [1, 2]
        assert work.is_cached(5) and work.forget(5) == 1 and not work.is_cached(5)

    def test_failures_are_not_kept_under_it(self, fresh):
        """A night's error would be served as its result."""
        bad = [True]

        @task(result_storage_key="x", ignore=[])
        def work():
            if bad:
                raise ValueError("no")
            return 1

        with pytest.raises(ValueError, match="no"):
            work()
        bad.clear()
        assert work() == 1

    def test_a_bad_template_costs_the_key_alone(self, fresh):
        """A typo would cost the result."""

        @task(result_storage_key="{parameters[nope]}")
        def work(x):
            return x

        assert (
            work(1) == 1
            and not told(fresh, e.Hit)
            and any("its result_storage_key '{parameters[nope]}': KeyError" in line for line in fresh.warned)
        )
        with pytest.raises(ConfigurationError, match="result_storage_key"):
            task(result_storage_key=5)


class TestSettings:
    def test_retries_where_a_task_says_nothing(self, fresh):
        """A notebook with fifty tasks would need fifty edits to stand a bad network."""
        calls = []

        def work():
            calls.append(1)
            raise ValueError("no")

        bare, none, two = task(work), task(retries=0)(work), task(retries=2)(work)
        configure(retries=1)
        for each, count in ((bare, 2), (none, 1), (two, 3), (two.with_options(retries=None), 2)):
            calls.clear()
            with pytest.raises(ValueError, match="no"):
                each()
            assert len(calls) == count
        configure(retries=None)
        calls.clear()
        with pytest.raises(ValueError, match="no"):
            bare()
        assert len(calls) == 1
        with pytest.raises(ConfigurationError, match="retries"):
            configure(retries=-1)

    def test_refresh_where_a_task_says_nothing(self, fresh):
        """There would be no way to run all of a notebook anew but to clear what is kept."""
        runs = []

        @task(ignore=["runs"])
        def work(runs):
            runs.append(1)
            return len(runs)

        reads = work.with_options(refresh_cache=False, ignore=["runs"])
        assert work(runs) == 1
        configure(refresh_cache=True)
        assert work(runs) == 2 and reads(runs) == 2 and work(runs) == 3
        configure(refresh_cache=None)
        assert work(runs) == 3

    def test_nothing_is_kept_where_a_task_says_nothing(self, fresh):
        """A project that keeps only what it names could not say so once; nor a machine without room, for all."""

        def work(x):
            return x

        bare, asked, never = task(work), task(cache_policy=INPUTS)(work), task(cache_policy=NO_CACHE)(work)
        configure(persist_result=False)
        for each in (bare, asked, never):
            each(1)
            each(1)
        assert len(told(fresh, e.Hit)) == 1
        configure(persist_result=True)
        never(1)
        bare(None)
        bare(None)
        assert len(told(fresh, e.Hit)) == 2
        configure(cache=False)
        asked(1)
        assert len(told(fresh, e.Hit)) == 2


class TestKindsOfFunctions:
    def test_methods_of_all_kinds_and_orders(self, fresh):
        """`@task` over a class method would be called without its class."""

        class Source:
            @task(persist_result=False)
            def own(self, x):
                return self, x

            @task
            @classmethod
            def of_class(cls, x):
                return cls.__name__, x

            @classmethod
            @task
            def over_class(cls, x):
                return cls.__name__, x

            @task
            @staticmethod
            def static(x):
                return x

            @staticmethod
            @task
            def over_static(x):
                return x

            @task
            async def later(self, x):
                return x

            @task
            @classmethod
            async def later_of_class(cls, x):
                return cls.__name__, x

        class Other(Source):
            pass

        made = Source()
        assert made.own(1)[0] is made and made.own.submit(1).result(PATIENCE)[0] is made
        assert made.own.map([1, 2]).result(PATIENCE) == [(made, 1), (made, 2)]
        for owner, name in ((Source, "Source"), (made, "Source"), (Other, "Other"), (Other(), "Other")):
            assert owner.of_class(1) == owner.over_class(1) == (name, 1)
            assert owner.of_class.submit(2).result(PATIENCE) == (name, 2)
            assert owner.static(1) == owner.over_static(1) == owner.static.submit(1).result(PATIENCE) == 1
        assert asyncio.run(made.later(1)) == 1 and asyncio.run(Other.later_of_class(1)) == ("Other", 1)
        assert Source.of_class.with_options(retries=1)(1) == ("Source", 1)

    def test_a_method_is_identified_once(self, fresh):
        """Each access to a method would read its code anew: a thousand times the cost of a hit."""

        class Source:
            @task
            def load(self, x):
                return x

        assert Source().load.identity is Source().load.identity is Source.load.identity

    def test_what_a_coroutine_is(self, fresh):
        """An asynchronous callable would be run as a function, and its coroutine taken for the result."""

        class Later:
            async def __call__(self, x):
                return x

        async def work(x, y):
            return x + y

        for each, args in ((Later(), (3,)), (functools.partial(work, 1), (2,))):
            made = task(each)
            assert made.isasync and asyncio.run(made(*args)) == 3 and made.submit(*args).result(PATIENCE) == 3

    def test_a_function_that_returns_a_coroutine(self, fresh):
        """A coroutine that nobody awaits would be a success."""

        async def inner():
            return 1

        @task(retries=3)
        def outer():
            return inner()

        with pytest.raises(InterfaceError, match="async def"):
            outer()

        @task
        def scheduled():
            return asyncio.ensure_future(inner())

        async def run():
            with pytest.raises(InterfaceError, match="async def"):
                scheduled()
            await asyncio.sleep(0)

        asyncio.run(run())

    def test_attempts_of_calls_at_the_same_time_do_not_mix(self, fresh):
        """A hundred calls of one coroutine would share one count of attempts."""
        left = dict.fromkeys(range(100), 2)

        @task(retries=2, persist_result=False)
        async def flaky(x):
            await asyncio.sleep(0)
            left[x] -= 1
            if left[x] >= 0:
                raise ValueError(x)
            return x, here.get().run.run_count

        async def all_of_them():
            return await asyncio.gather(*(flaky(x) for x in range(100)))

        assert asyncio.run(all_of_them()) == [(x, 3) for x in range(100)]

    def test_descriptions(self):
        """`help` would show nothing of what a task is for."""

        def work():
            """Do it."""

        assert task(work).description == "Do it." and task(work, description="Other").description == "Other"
        assert task(version="2")(work).version == "2" == task(version="2")(work).with_options(retries=1).version

    def test_options_of_with_options_are_those_of_the_decorator(self):
        """What one takes the other would refuse."""
        names = [name for name in inspect.signature(task).parameters if name != "fn"]
        made = task(lambda: 1)
        for name in names:
            assert made.with_options(**{name: getattr(made.options, name)}).options == made.options

    def test_none_unsets(self, fresh, tmp_path):
        """An option that was given once could never be taken back."""
        made = task(
            lambda: 1,
            result_storage=tmp_path / "own",
            result_serializer="json",
            refresh_cache=True,
            result_storage_key="x",
            cache_key_fn=lambda *_: "y",
            retries=3,
            task_run_name="x",
            on_completion=[print],
        )
        none = dict.fromkeys(
            ["result_storage", "result_serializer", "refresh_cache", "result_storage_key", "cache_key_fn", "retries"]
        ) | dict.fromkeys(["task_run_name", "on_completion"])
        assert made.with_options(**none).options == task(lambda: 1).options
