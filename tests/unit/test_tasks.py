"""`@task` as users have it: what is kept, what runs again, what they are told."""

import asyncio
import functools
import gc
import importlib
import inspect
import logging
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from nbflow import (
    ConfigurationError,
    NotReadyError,
    StepTimeout,
    TaskOptions,
    UnkeyableError,
    allow_failure,
    as_completed,
    configure,
    task,
    unmapped,
    wait,
)
from nbflow import events as e
from nbflow.tasks import Task
from nbflow.widget.lines import line_of
from nbflow.widget.rows import Row
from tests.fakes import kinds

PATIENCE = 30


def told(fresh, kind):
    return [event for event in fresh.events if type(event) is kind]


def why(fresh):
    return told(fresh, e.Missed)[-1].why


class Modules:
    """Python files that a test writes, imports and edits, as a user does."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.names = folder, []
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))

    def write(self, name, text):
        path = self.folder / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        stamp = 1_000_000_000 + len(self.names) * 10
        os.utime(path, (stamp, stamp))  # a reload looks at the time of the file
        self.names.append(name)
        importlib.invalidate_caches()
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        return importlib.import_module(name)


@pytest.fixture
def modules(tmp_path, monkeypatch):
    made = Modules(tmp_path / "modules", monkeypatch)
    yield made
    for name in made.names:
        sys.modules.pop(name, None)


class TestPickling:
    """Tasks among the arguments of other tasks, in results, on their way to processes."""

    def test_by_its_import_path(self, fresh, modules):
        """A worker would get a copy of the task, with functions that only cloudpickle can send."""
        made = modules.write(
            "shared",
            """
            from nbflow import task

            @task(retries=2)
            def double(x):
                return 2 * x

            class Model:
                factor = 3

                @task
                def times(self, x):
                    return self.factor * x
            """,
        )
        assert pickle.loads(pickle.dumps(made.double)) is made.double
        assert pickle.loads(pickle.dumps(made.Model.times)) is made.Model.times
        changed = pickle.loads(pickle.dumps(made.double.with_options(retries=5)))
        assert (changed.options.retries, changed.fn, changed(4)) == (5, made.double.fn, 8)
        assert pickle.loads(pickle.dumps(made.Model().times))(2) == 6

    def test_a_local_one_by_cloudpickle(self, fresh):
        """A task that a notebook defines could not be sent to another process."""
        cloudpickle = pytest.importorskip("cloudpickle")
        factor = 3

        @task(name="scaled", retries=1)
        def times(x):
            return factor * x

        again = pickle.loads(cloudpickle.dumps(times))
        assert (again.name, again.options.retries, again(2), type(again)) == ("scaled", 1, 6, Task)

    def test_methods_of_two_objects(self, fresh):
        """The second object's method would work on the first."""

        class Model:
            def __init__(self, factor):
                self.factor = factor

            @task(persist_result=False)
            def times(self, x):
                return self.factor * x

        one, other = Model(1).times, Model(10).times
        assert (one(2), other(2), one(2)) == (2, 20, 2)


class TestDefinition:
    def test_name_comes_from_the_function_or_the_option(self):
        """A panel would list a hundred steps called `wrapper`."""

        def fetch(url):
            """Get it."""

        assert task(fetch).name == "fetch"
        assert task(name="prices")(fetch).name == "prices"
        assert task(functools.partial(fetch, 1)).name == "partial"

    def test_looks_like_the_function(self):
        """help(fetch), inspect.signature and doctest would show a wrapper."""

        @task
        def fetch(url: str, *, retry: bool = False) -> str:
            """Get it."""
            return url

        assert fetch.__doc__ == "Get it." and fetch.__name__ == "fetch"
        assert str(inspect.signature(fetch)) == "(url: str, *, retry: bool = False) -> str"
        assert repr(fetch) == "<Task fetch>" and isinstance(fetch, Task)

    def test_the_bare_function_is_at_hand(self, fresh):
        """One could not run it without the store."""

        @task
        def double(x):
            return 2 * x

        assert double.fn(4) == 8 and fresh.events == []

    def test_callable_objects(self, fresh):
        """An instance with __call__ could not be a task."""

        class Scale:
            def __init__(self, factor):
                self.factor = factor

            def __call__(self, x):
                return self.factor * x

        scale = task(Scale(3))
        assert scale.name == "Scale" and scale(2) == 6 and scale(2) == 6
        assert kinds(fresh.events)[-1] == "Hit"
        assert task(Scale(4))(2) == 8

    @pytest.mark.parametrize("name", ["wait_for", "return_state"])
    def test_reserved_parameters_are_refused(self, name):
        """A parameter of the user's would be taken for an option of ours."""
        namespace = {}
        exec(f"def fetch({name}): pass", namespace)
        with pytest.raises(ConfigurationError, match=name):
            task(namespace["fetch"])

    def test_what_is_no_function_is_refused(self):
        """`task(5)` would fail at the first call, far from the mistake."""
        with pytest.raises(ConfigurationError, match="not above a int"):
            task(5)

    def test_a_misspelt_option_is_refused_where_it_stands(self):
        """`@task(retrys=3)` would never retry."""
        with pytest.raises(ConfigurationError, match="did you mean 'retries'"):
            task(retrys=3)

    def test_ignore_must_name_parameters(self):
        """A typo in ignore would leave the parameter in the key."""
        with pytest.raises(ConfigurationError, match="'loger', which is no parameter of fetch"):

            @task(ignore=["loger"])
            def fetch(logger):
                pass

    def test_with_options_keeps_what_is_not_named(self, fresh):
        """fetch.with_options(retries=0) would lose the timeout, or change fetch itself."""

        @task(retries=3, timeout_seconds=5, name="prices")
        def fetch():
            return 1

        other = fetch.with_options(retries=0)
        assert (other.options.retries, other.options.timeout_seconds, other.name) == (0, 5, "prices")
        assert fetch.options.retries == 3 and other.fn is fetch.fn
        assert fetch.with_options(timeout_seconds=None).options.timeout_seconds is None
        with pytest.raises(ConfigurationError):
            fetch.with_options(nope=1)

    def test_signature_of_the_decorator_is_that_of_the_options(self):
        """help(task) would show **options."""
        names = set(inspect.signature(task).parameters)
        assert set(inspect.signature(TaskOptions).parameters) <= names
        assert "retries: Further attempts" in task.__doc__


class TestCalling:
    def test_arguments_reach_the_function_unchanged(self, fresh):
        """*args and **kwargs would arrive as a tuple and a dict."""

        @task
        def show(a, /, b, *rest, c=3, **more):
            return a, b, rest, c, more

        assert show(1, 2, 3, 4, c=5, d=6) == (1, 2, (3, 4), 5, {"d": 6})
        assert show(1, b=2) == (1, 2, (), 3, {})
        assert show(1, b=2, self=3) == show.submit(1, b=2, self=3).result() == (1, 2, (), 3, {"self": 3})
        assert show.is_cached(1, b=2, self=3)

    def test_wrong_arguments_raise_pythons_own_error(self, fresh):
        """A missing argument would end in an error of ours."""

        @task
        def fetch(url):
            pass

        with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'url'"):
            fetch()
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'x'"):
            fetch("u", x=1)

    def test_arguments_are_the_callers_objects(self, fresh):
        """A task that appends to the caller's list would append to a copy."""
        seen = []

        @task(persist_result=False)
        def add(items):
            seen.append(items)
            items.append(1)

        mine = []
        add(mine)
        assert seen[0] is mine and mine == [1]

    def test_methods(self, fresh):
        """A method's `self` would be missing, a copy, or left out of the key."""

        @dataclass
        class Account:
            rate: float

            @task
            def interest(self, sum):
                seen.append(self)
                return self.rate * sum

            @staticmethod
            @task
            def double(x):
                return 2 * x

            @classmethod
            def make(cls, rate):
                return cls(rate)

        seen = []
        one, other = Account(0.1), Account(0.2)
        assert one.interest(10) == 1.0 and other.interest(10) == 2.0 and one.interest(10) == 1.0
        assert len(seen) == 2 and seen[0] is one and seen[1] is other
        assert one.interest.with_options(retries=1)(10) == 1.0 and len(seen) == 2
        assert Account.double(4) == 8 == one.double(4)

    def test_calls_inside_a_step_know_their_parent(self, fresh):
        """The panel could not show which step called which."""

        @task
        def inner(x):
            return x

        @task
        def outer(x):
            return inner(x)

        outer(1)
        first, second = told(fresh, e.Began)
        assert (first.task, first.parent) == ("outer", None)
        assert (second.task, second.parent) == ("inner", first.step)

    def test_events_carry_short_forms_only(self, fresh):
        """The panel would hold a frame of 8 GB alive, or show a password's whole text."""
        big = [0] * 1000

        @task
        def use(a, b, c, d):
            return 1

        use(big, "x" * 500, 3, {"k": big})
        (began,) = told(fresh, e.Began)
        assert began.arguments[0] == "list[1000]" and began.arguments[2:] == (3, "dict[1]")
        assert len(began.arguments[1]) <= 60

    def test_a_sink_that_fails_breaks_no_step(self, fresh):
        """A bug in the panel would cost the user's result."""

        def broken(event):
            raise ZeroDivisionError

        fresh.session.bus.join(broken)

        @task
        def fine():
            return 5

        assert fine() == 5 and fine() == 5
        assert len([text for text in fresh.warned if "ZeroDivisionError" in text]) == 1
        assert not any(text.startswith("nbflow:") for text in fresh.warned), "the logger adds that itself"


class TestKeeping:
    def test_the_second_call_is_a_hit(self, fresh):
        """Everything would run again."""
        calls = []

        @task
        def double(x):
            calls.append(x)
            return 2 * x

        assert [double(2), double(2), double(3)] == [4, 4, 6] and calls == [2, 3]
        assert kinds(fresh.events) == [
            *("Began", "Missed", "Started", "Completed"),
            *("Began", "Hit"),
            *("Began", "Missed", "Started", "Completed"),
        ]

    def test_all_spellings_of_a_call_are_one(self, fresh):
        """f(1), f(x=1) and f(1, k=2) would each run."""
        calls = []

        @task
        def work(x, k=2):
            calls.append(x)
            return x * k

        assert {work(1), work(x=1), work(1, 2), work(1, k=2), work(k=2, x=1)} == {2} and calls == [1]

    def test_two_functions_never_share(self, fresh):
        """Two helpers with equal arguments would give each other's results."""

        @task
        def double(x):
            return 2 * x

        @task
        def triple(x):
            return 3 * x

        assert (double(2), triple(2), double(2), triple(2)) == (4, 6, 4, 6)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, True),
            (1, 1.0),
            (1, "1"),
            ((1, 2), [1, 2]),
            ({1: 2}, {"1": 2}),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
            (0.0, -0.0),
            (b"a", "a"),
            (None, False),
            ({1}, frozenset({1})),
        ],
    )
    def test_values_that_look_alike_are_told_apart(self, fresh, one, other):
        """f(1) would be given to f(True), or one order of columns for another."""

        @task
        def spell(x):
            return repr(x)

        assert spell(one) == repr(one) and spell(other) == repr(other)

    def test_equal_values_hit(self, fresh):
        """A set in another order, or a second NaN, would run again."""

        @task
        def count(x):
            calls.append(x)
            return 1

        calls = []
        for x in ({"a", "b", "c"}, {"c", "b", "a"}):
            count(x)
        for x in (float("nan"), float("nan")):
            count(x)
        assert len(calls) == 2

    def test_mutating_a_result_never_changes_the_next_hit(self, fresh):
        """`df.drop(inplace=True)` on a result would be seen by the next run."""

        @task
        def table():
            return {"rows": [1, 2]}

        first = table()
        first["rows"].append(3)
        second, third = table(), table()
        assert second == third == {"rows": [1, 2]} and second is not third
        second["rows"].clear()
        assert third == {"rows": [1, 2]} == table()

    @pytest.mark.parametrize("value", [0, "", [], {}, False, float("nan"), (), b"", 1j, Ellipsis])
    def test_values_that_look_like_nothing_are_kept(self, fresh, value):
        """An empty result would be computed again and again."""

        @task
        def nothing():
            calls.append(1)
            return value

        calls = []
        assert repr(nothing()) == repr(nothing()) == repr(value) and calls == [1]

    def test_none_is_kept_only_if_asked(self, fresh):
        """A step that ran for its effect would be skipped the second time; asked for, None would not be kept."""

        @task
        def effect():
            calls.append(1)

        calls = []
        effect(), effect()
        assert len(calls) == 2
        assert "it returned None" in told(fresh, e.Unsaved)[0].why
        kept = effect.with_options(persist_result=True)
        assert kept() is None and kept() is None and len(calls) == 3

    def test_network_is_kept_only_if_asked(self, fresh):
        """Monday's prices would be served on Tuesday."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            address = server.getsockname()

            @task
            def download(port):
                calls.append(1)
                socket.create_connection(address).close()
                return "rows"

            calls = []
            download(1), download(1)
            assert len(calls) == 2
            assert told(fresh, e.Unsaved)[0].why.startswith("network; give cache_expiration=")
            kept = download.with_options(cache_expiration="1d")
            kept(1), kept(1)
            assert len(calls) == 3

    def test_a_written_file_is_an_effect(self, fresh, tmp_path):
        """A report would not be written again after its inputs' step was a hit."""

        @task
        def report(path):
            calls.append(1)
            with open(path, "w") as file:
                file.write("x")
            return 1

        calls = []
        path = str(tmp_path / "report.txt")
        report(path), report(path)
        assert len(calls) == 2 and "files" in told(fresh, e.Unsaved)[0].why

    def test_a_changed_input_file_runs_again(self, fresh, tmp_path):
        """Yesterday's CSV would be used after it was edited."""
        data = tmp_path / "data.csv"
        data.write_text("1")

        @task
        def read(path):
            calls.append(1)
            with open(path) as file:
                return int(file.read())

        calls = []
        assert read(str(data)) == read(str(data)) == 1 and len(calls) == 1
        data.write_text("22")
        assert read(str(data)) == 22 and why(fresh).endswith("data.csv changed")
        data.unlink()
        with pytest.raises(FileNotFoundError):
            read(str(data))

    @pytest.mark.parametrize("way", ["call", "submit", "pool"])
    def test_what_an_uncached_step_reads_counts_for_those_around_it(self, fresh, tmp_path, way):
        """Yesterday's CSV would be used, because a helper that keeps nothing itself had read it."""

        @task(persist_result=False)
        def read(name):
            with open(f"{name}.csv") as file:
                return int(file.read())

        @task
        def total(name):
            if way == "pool":
                with ThreadPoolExecutor(1) as pool:
                    return sum(pool.map(read, [name]))
            return read(name) if way == "call" else read.submit(name).result()

        data = tmp_path / "data.csv"
        data.write_text("1")
        assert total(str(tmp_path / "data")) == 1
        data.write_text("22")
        assert total(str(tmp_path / "data")) == 22

    def test_failures_are_never_kept(self, fresh):
        """A failed download would fail for ever."""

        @task(persist_result=True, ignore=["calls"])
        def flaky(calls):
            calls.append(1)
            if len(calls) == 1:
                raise OSError
            return 5

        calls = []
        with pytest.raises(OSError):
            flaky(calls)
        assert flaky(calls) == 5 and flaky(calls) == 5 and len(calls) == 2

    @pytest.mark.parametrize("off", ["option", "configure", "environment"])
    def test_caching_can_be_turned_off(self, fresh, off):
        """persist_result=False or NBFLOW_CACHE=off would still serve and write."""

        @task
        def one():
            calls.append(1)
            return 1

        calls = []
        if off == "option":
            one = one.with_options(persist_result=False)
        elif off == "configure":
            configure(cache=False)
        else:
            fresh.session._environ["NBFLOW_CACHE"] = "off"
            configure()
        one(), one()
        assert len(calls) == 2 and not fresh.store.exists()
        assert kinds(fresh.events) == ["Began", "Started", "Completed"] * 2

    def test_expiry_is_the_readers(self, fresh):
        """A result of last week would be served although a day is allowed."""

        @task(ignore=["calls"])
        def now(calls):
            calls.append(1)
            return len(calls)

        calls = []
        daily = now.with_options(cache_expiration=timedelta(days=1))
        assert daily(calls) == 1
        fresh.clock.now += 86399
        assert daily(calls) == 1
        assert now(calls) == 1, "options that do not change the value do not change the key"
        fresh.clock.now += 1
        assert daily(calls) == 2 and why(fresh).startswith("expired: 1 d old")
        assert now(calls) == 2, "the new result replaced the old one"

    def test_refresh_runs_and_replaces(self, fresh):
        """refresh_cache=True would serve the old value, or leave it for the next call."""

        @task(ignore=["calls"])
        def value(calls):
            calls.append(1)
            return len(calls)

        calls = []
        assert value(calls) == 1
        assert value.with_options(refresh_cache=True)(calls) == 2
        assert why(fresh) == "refresh asked" and value(calls) == 2

    def test_options_that_do_not_change_the_value_do_not_change_the_key(self, fresh):
        """More retries would mean that all results are computed again."""

        @task
        def value(x):
            calls.append(1)
            return x

        calls = []
        value(1)
        for change in (
            {"retries": 5},
            {"timeout_seconds": 60},
            {"cache_expiration": "1d"},
            {"name": "other"},
            {"log_prints": True},
            {"retry_delay_seconds": 4, "retry_jitter_factor": 1},
            {"deadline_seconds": 100},
        ):
            value.with_options(**change)(1)
        assert len(calls) == 1
        value.with_options(version="2")(1)
        assert len(calls) == 2

    def test_ignored_parameters_are_left_out(self, fresh):
        """A logger or a progress bar would make every call a miss."""

        @task(ignore=["verbose"])
        def value(x, verbose=False):
            calls.append(verbose)
            return x

        calls = []
        value(1), value(1, verbose=True), value(1, object())
        assert calls == [False]

    def test_questions(self, fresh):
        """One could not tell whether a call would run, nor drop what is kept."""

        @task
        def value(x):
            calls.append(x)
            return x

        calls = []
        assert not value.is_cached(1) and value.forget(1) == 0 and calls == []
        value(1), value(2)
        before = len(fresh.events)
        assert value.is_cached(1) and value.explain(1).hit and not value.explain(3).hit
        assert "input x" in value.explain(3).why
        assert len(fresh.events) == before, "asking is not running"
        assert value.forget(1) == 1 and not value.is_cached(1) and value.is_cached(2)
        assert value.clear() == 1 and not value.is_cached(2)
        assert not value.with_options(persist_result=False).is_cached(2)

    def test_what_cannot_be_stored_is_returned_with_one_warning(self, fresh):
        """A result that does not pickle would be lost, or warned of each time."""

        @task
        def make():
            calls.append(1)
            return threading.Lock()

        calls = []
        assert make() is not make() and len(calls) == 2
        assert len([text for text in fresh.warned if text.startswith("make: the result is not kept")]) == 1
        assert kinds(fresh.events)[-2:] == ["Unsaved", "Completed"]

    def test_a_class_that_is_gone_costs_a_rerun(self, fresh, modules):
        """After renaming a class every old entry would raise instead of running."""
        shapes = modules.write("shapes_gone", "class Point:\n    def __init__(self, x): self.x = x\n")

        @task
        def make(x):
            calls.append(1)
            return build("shapes_gone", x)

        calls = []
        make(1)
        del shapes.Point
        shapes.Spot = type("Spot", (), {})
        assert isinstance(make.with_options(persist_result=True)(1), tuple) and len(calls) == 2

    def test_a_deep_argument(self, fresh):
        """A long linked list would end in a RecursionError of ours."""
        deep = []
        for _ in range(3000):
            deep = [deep]

        @task
        def depth(x):
            calls.append(1)
            return 7

        calls = []
        assert depth(deep) == 7


def build(module, x):
    kind = getattr(sys.modules[module], "Point", None)
    return (module, x) if kind is None else kind(x)


class TestUnkeyable:
    def test_runs_uncached_with_one_warning(self, fresh):
        """A step with a lock as its argument would fail; or run uncached and nobody knows why."""

        @task
        def use(guard, x):
            calls.append(1)
            return x

        calls = []
        for _ in range(3):
            assert use({"deep": [threading.Lock()]}, 5) == 5
        assert len(calls) == 3
        (text,) = [text for text in fresh.warned if text.startswith("use() runs uncached")]
        assert "guard" in text and "lock" in text and "ignore" in text
        assert kinds(fresh.events)[:3] == ["Began", "Started", "Completed"]

    def test_strict_raises(self, fresh):
        """A pipeline that must be cached would silently run uncached."""
        configure(strict=True)

        @task
        def use(guard):
            return 1

        with pytest.raises(UnkeyableError, match="guard"):
            use(threading.Lock())

    def test_strict_leaves_no_open_step(self, fresh):
        """The panel would show a step that waits for ever."""
        configure(strict=True)

        @task
        def use(guard):
            return 1

        with pytest.raises(UnkeyableError):
            use(threading.Lock())
        assert kinds(fresh.events) in ([], ["Began", "Failed"])

    def test_the_cures_work(self, fresh):
        """The message would send the user to something that does not help."""

        @task(ignore=["guard"])
        def use(guard, x):
            calls.append(1)
            return x

        calls = []
        use(threading.Lock(), 1), use(threading.Lock(), 1)
        assert len(calls) == 1 and not fresh.warned


class TestMutation:
    def test_a_changed_argument_is_not_stored_and_named(self, fresh):
        """A hit would not change the caller's list, which the next line relies on."""

        @task
        def sort(rows, key=1):
            calls.append(1)
            rows.sort()
            return len(rows)

        calls = []
        for _ in range(2):
            rows = [3, 1, 2]
            assert sort(rows) == 3 and rows == [1, 2, 3]
        assert len(calls) == 2
        (text,) = [text for text in fresh.warned if "argument 'rows'" in text]
        assert "in place" in text
        assert kinds(fresh.events)[2:4] == ["Started", "Unsaved"]

    def test_a_deep_change_is_seen(self, fresh):
        """A change three levels down would be stored as if there were none."""

        @task
        def touch(config):
            config["a"]["b"].append(1)
            return 1

        touch({"a": {"b": []}})
        assert told(fresh, e.Unsaved)

    def test_an_argument_that_becomes_unkeyable_costs_no_result(self, fresh):
        """A step that puts a lock into its argument would fail after its work was done."""

        @task
        def fill(box):
            box.append(threading.Lock())
            return 5

        assert fill([]) == 5
        assert kinds(fresh.events)[-2:] == ["Unsaved", "Completed"]

    def test_an_ignored_argument_may_change(self, fresh):
        """The cure that the warning names would not help."""

        @task(ignore=["rows"])
        def sort(rows, x):
            calls.append(1)
            rows.append(1)
            return x

        calls = []
        sort([], 1), sort([], 1)
        assert len(calls) == 1


class TestCode:
    """What counts as the same code, in files that are edited and reloaded."""

    def test_edits_of_helpers_run_again_and_comments_do_not(self, fresh, modules):
        """An edited helper would serve its old results; a comment would cost twenty minutes."""
        source = """
            from nbflow import task
            calls = []
            LIMIT = 10
            def clean(x):
                return x + 1
            @task
            def work(x):
                calls.append(x)
                return clean(x) * LIMIT
        """
        assert modules.write("edited", source).work(1) == 20

        def again(*changes):
            text = source
            for old, new in changes:
                assert old in text
                text = text.replace(old, new)
            module = modules.write("edited", text)
            return module.work(1), len(module.calls)

        assert again() == (20, 0)
        assert again(("return x + 1", "return x + 1  # a comment")) == (20, 0)
        assert again(
            ("return x + 1", "\n\n                '''Documented.'''\n                return (x\n                + 1)")
        ) == (20, 0)
        assert again(("return x + 1", "return x + 2")) == (30, 1)
        assert again(("LIMIT = 10", "LIMIT = 5")) == (10, 1)
        assert again(("clean(x) * LIMIT", "clean(x) * LIMIT + 1")) == (21, 1)
        assert again() == (20, 0), "an edit that was taken back hits"

    def test_a_global_that_changes_in_memory_runs_again(self, fresh, modules):
        """A constant set in another cell would not be noticed."""
        module = modules.write(
            "constant",
            """
            from nbflow import task
            RATES = {"eur": 1.0}
            @task
            def convert(x):
                return x * RATES["eur"]
            """,
        )
        assert module.convert(2) == 2.0
        module.RATES["eur"] = 3.0
        assert module.convert(2) == 6.0
        module.RATES = {"eur": 1.0}
        assert module.convert(2) == 2.0 and kinds(fresh.events)[-1] == "Hit"

    def test_closures_count(self, fresh):
        """Two functions of one factory would share their results."""

        def make(factor):
            @task
            def scale(x):
                return factor * x

            return scale

        assert make(2)(5) == 10 and make(3)(5) == 15 and make(2)(5) == 10
        assert kinds(fresh.events)[-1] == "Hit"

    def test_explain_names_what_changed(self, fresh, modules):
        """One would have to guess why a step of an hour runs again."""
        source = """
            from nbflow import task
            def clean(x):
                return x + 1
            @task
            def work(x):
                return clean(x)
        """
        modules.write("explained", source).work(1)
        edited = modules.write("explained", source.replace("x + 1", "x + 2"))
        explanation = edited.work.explain(1)
        assert not explanation.hit and "clean() changed" in explanation.why
        assert [str(each) for each in explanation.differences] == ["clean() changed"]
        assert "input x 1 → 2" in modules.write("explained", source).work.explain(2).why

    def test_another_working_directory_hits(self, fresh, modules, tmp_path, monkeypatch):
        """After os.chdir() everything would run again."""
        work = modules.write("elsewhere", "from nbflow import task\n@task\ndef work(x):\n    return [x]\n").work
        work(1)
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        work(1)
        assert kinds(fresh.events)[-1] == "Hit"

    def test_a_fresh_process_with_another_hash_seed_hits(self, tmp_path):
        """After a restart of the kernel nothing would be found."""
        (tmp_path / "fresh_work.py").write_text(
            textwrap.dedent("""
                import sys
                from nbflow import task
                NAMES = {"b", "a", "c"}
                def clean(x):
                    return sorted(x | NAMES)
                @task
                def work(x):
                    print("ran")
                    return clean(x)
                for i in range(2):
                    print(work({"x", "y", "z"}))
            """)
        )
        root = str(tmp_path)
        out = []
        for seed, folder in (("1", "a"), ("2", "b")):
            (tmp_path / folder).mkdir()
            environ = os.environ | {
                "PYTHONHASHSEED": seed,
                "NBFLOW_STORE": str(tmp_path / "store"),
                "PYTHONPATH": os.pathsep.join([root, os.getcwd(), os.environ.get("PYTHONPATH", "")]),
                "HOME": root,
            }
            ran = subprocess.run(
                [sys.executable, str(tmp_path / "fresh_work.py")],
                cwd=tmp_path / folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
            out.append(ran.stdout.splitlines())
        value = str(sorted({"x", "y", "z", "a", "b", "c"}))
        assert out == [["ran", value, value], [value, value]]


class TestRetries:
    def flaky(self, failures, **options):
        """A task that fails so many times first, and the list of its calls."""
        calls = []

        @task(ignore=["calls"], **options)
        def flaky(x, calls):
            calls.append(x)
            if len(calls) <= failures:
                raise OSError(f"503 on call {len(calls)}")
            return 10 * x

        return lambda x: flaky(x, calls), calls

    def test_retries_until_it_works(self, fresh):
        """A flaky service would fail the notebook, or be called after it answered."""
        flaky, calls = self.flaky(2, retries=5, retry_delay_seconds=[1, 2])
        assert flaky(4) == 40 and len(calls) == 3 and fresh.clock.slept == [1, 2]
        assert kinds(fresh.events) == [
            *("Began", "Missed", "Started", "Waiting", "Started", "Waiting", "Started", "Completed")
        ]
        assert flaky(4) == 40 and len(calls) == 3

    def test_the_original_error_with_note_and_short_traceback(self, fresh):
        """`except OSError` would not catch, or the user's line be buried under frames of ours."""
        flaky, calls = self.flaky(9, retries=3, retry_delay_seconds=2)
        with pytest.raises(OSError, match="503 on call 4") as info:
            flaky(1)
        assert len(calls) == 4 and fresh.clock.slept == [2, 2, 2]
        assert info.value.__notes__ == ["nbflow: 4 attempts in 6.0 s"]
        frames = traceback.extract_tb(info.value.__traceback__)
        assert frames[-1].name == "flaky"
        assert len([frame for frame in frames if f"{os.sep}nbflow{os.sep}" in frame.filename]) <= 2

    def test_a_deep_traceback_is_told_from_its_head(self, fresh):
        """The panel would show it from the middle of a line on, and steps within steps format it for seconds."""

        @task(persist_result=False)
        def descend():
            return down(200)

        def down(left):
            return down(left - 1) if left else 1 / 0

        with pytest.raises(ZeroDivisionError):
            descend()
        trace = fresh.events[-1].trace
        assert trace.startswith("Traceback (most recent call last)") and trace.endswith("division by zero\n")

    def test_the_error_object_itself(self, fresh):
        """An error that carries data, or is compared by identity, would be another one."""
        error = OSError("x")

        @task(retries=1)
        def fails():
            raise error

        with pytest.raises(OSError) as info:
            fails()
        assert info.value is error

    def test_each_attempt_runs_the_code_again_with_the_same_arguments(self, fresh):
        """An attempt would see what the one before it was given."""
        flaky, calls = self.flaky(1, retries=1)
        flaky(7)
        assert calls == [7, 7]

    @pytest.mark.parametrize(("error", "event"), [(KeyboardInterrupt, "Cancelled"), (SystemExit, "Crashed")])
    def test_interrupts_are_never_retried(self, fresh, error, event):
        """Ctrl-C would start the next attempt."""

        @task(retries=5)
        def stopped():
            calls.append(1)
            raise error

        calls = []
        with pytest.raises(error):
            stopped()
        assert len(calls) == 1 and kinds(fresh.events)[-1] == event
        with pytest.raises(error):
            stopped()
        assert len(calls) == 2, "the key was let go"

    def test_conditions(self, fresh):
        """A wrong password would be tried five times."""
        flaky, calls = self.flaky(9, retries=3, retry_on="ConnectionError")
        with pytest.raises(OSError):
            flaky(1)
        assert len(calls) == 1
        flaky, calls = self.flaky(9, retries=3, give_up_on=OSError)
        with pytest.raises(OSError):
            flaky(1)
        assert len(calls) == 1

    def test_nested_retries_multiply(self, fresh):
        """The number of calls of an inner step would not be what its options say."""

        @task(retries=1)
        def inner():
            calls.append(1)
            raise OSError

        @task(retries=1)
        def outer():
            inner()

        calls = []
        with pytest.raises(OSError):
            outer()
        assert len(calls) == 4

    def test_recursion_and_threads_count_their_own_attempts(self, fresh):
        """Calls at the same time would share one counter of attempts."""
        lock, counts = threading.Lock(), {}

        @task(retries=3, ignore=["x"], persist_result=False)
        def flaky(x):
            with lock:
                counts[x] = counts.get(x, 0) + 1
                count = counts[x]
            if count < 3:
                raise OSError
            return x

        assert [future.result(PATIENCE) for future in [flaky.submit(i) for i in range(20)]] == list(range(20))
        assert set(counts.values()) == {3}

    def test_users_random_stream_is_untouched(self, fresh):
        """A seeded simulation would give other numbers when a download was retried."""
        import random

        flaky, _ = self.flaky(2, retries=3, retry_delay_seconds=1, retry_jitter_factor=1.0)
        random.seed(3)
        before = random.getstate()
        flaky(1)
        assert random.getstate() == before

    def test_failed_attempts_free_their_locals(self, fresh):
        """The 8 GB of a failed step would stay in memory until the collector runs."""

        class Big:
            pass

        @task(retries=1, persist_result=False)
        def fails(x):
            big = Big()
            refs.append(weakref.ref(big))
            raise OSError

        refs = []
        gc.collect()
        gc.disable()
        try:
            try:
                fails(1)
            except OSError:
                pass
            assert [ref() for ref in refs] == [None, None]
        finally:
            gc.enable()


class TestTimeouts:
    def test_main_thread(self, fresh):
        """A hung request would block the notebook for ever."""

        @task(timeout_seconds=0.05, retries=1)
        def hung():
            calls.append(1)
            threading.Event().wait(30)

        calls = []
        with pytest.raises(StepTimeout, match="more than 50 ms") as info:
            hung()
        assert isinstance(info.value, TimeoutError) and len(calls) == 2
        assert kinds(fresh.events)[-1] == "TimedOut"
        frames = traceback.extract_tb(info.value.__traceback__)
        assert len([frame for frame in frames if f"{os.sep}nbflow{os.sep}" in frame.filename]) <= 2

    def test_worker(self, fresh):
        """A hung item would keep a map from ending, and nobody would know that it still runs."""
        release, ended = threading.Event(), threading.Event()

        @task(timeout_seconds=0.05)
        def hung(x):
            release.wait(PATIENCE)
            ended.set()
            return "late"

        try:
            error = hung.submit(1).exception(PATIENCE)
            assert isinstance(error, StepTimeout) and "nbflow-timed" in str(error)
        finally:
            release.set()
        assert ended.wait(PATIENCE)
        assert not hung.is_cached(1), "the late result was dropped"

    def test_async(self, fresh):
        """An `async def` task would never time out."""

        @task(timeout_seconds=0.05)
        async def hung():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        seen = []
        with pytest.raises(StepTimeout):
            asyncio.run(hung())
        assert seen == ["cancelled"] and kinds(fresh.events)[-1] == "TimedOut"

    def test_a_timeout_of_the_users_own_is_not_ours(self, fresh):
        """requests.Timeout would be told as if nbflow had ended the step."""

        @task(timeout_seconds=30)
        async def own():
            raise TimeoutError("read timed out")

        with pytest.raises(TimeoutError, match="read timed out"):
            asyncio.run(own())
        assert kinds(fresh.events)[-1] == "Failed"

    def test_in_time(self, fresh):
        """A step that is fast enough would time out."""

        @task(timeout_seconds=30)
        def quick(x):
            return x

        assert quick(1) == 1 and quick.submit(2).result(PATIENCE) == 2

    def test_cancellation_is_no_timeout(self, fresh):
        """A cancelled task would look as if it had been too slow, and be retried."""

        @task(timeout_seconds=30, retries=3)
        async def waits():
            calls.append(1)
            await asyncio.Event().wait()

        calls = []

        async def main():
            step = asyncio.ensure_future(waits())
            while not calls:  # noqa: ASYNC110 - an event in reach of the body would be an input
                await asyncio.sleep(0)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step

        asyncio.run(main())
        assert len(calls) == 1 and kinds(fresh.events)[-1] == "Cancelled"


class TestPrints:
    def test_lines_become_events(self, fresh, capsys):
        """What a step prints would be lost to the panel."""

        @task(log_prints=True)
        def talk():
            print("one", 1)
            return 5

        talk()
        print("outside")
        assert [(event.level, event.text) for event in told(fresh, e.Logged)] == [("INFO", "one 1")]
        assert capsys.readouterr().out == "outside\n"

    def test_lines_go_to_the_step_that_printed_them(self, fresh):
        """Two steps on threads would get each other's lines."""
        both = threading.Barrier(2)

        @task(log_prints=True)
        def talk(name):
            both.wait(PATIENCE)
            print(name)
            both.wait(PATIENCE)
            return name

        wait([talk.submit("a"), talk.submit("b")])
        steps = {event.step: event.arguments[0] for event in told(fresh, e.Began)}
        assert sorted((steps[event.step], event.text) for event in told(fresh, e.Logged)) == [
            ("'a'", "a"),
            ("'b'", "b"),
        ]
        import builtins

        assert builtins.print.__module__ == "builtins"


class TestAsync:
    def test_awaited_kept_and_retried(self, fresh):
        """An `async def` task would not be cached, or not be retried."""

        @task(retries=2, retry_delay_seconds=5, ignore=["calls"])
        async def fetch(x, calls):
            calls.append(x)
            await asyncio.sleep(0)
            if len(calls) == 1:
                raise OSError
            return 2 * x

        async def main():
            return await fetch(2, calls), await fetch(2, calls)

        calls = []
        assert asyncio.run(main()) == (4, 4)
        assert calls == [2, 2] and fresh.clock.slept == [5]

    def test_methods_partials_and_callable_objects(self, fresh):
        """The coroutine itself would be taken for the value."""

        class Api:
            def __repr__(self):
                return "Api()"

            @task
            async def get(self, x):
                return x

            async def __call__(self, x):
                return x + 1

        async def add(a, b):
            return a + b

        async def main():
            return await Api().get(1), await task(Api())(1), await task(functools.partial(add, 1))(2)

        assert asyncio.run(main()) == (1, 2, 3)

    def test_submitted(self, fresh):
        """fetch_async.submit(url) would block, or give a coroutine."""

        @task
        async def fetch(x):
            await asyncio.sleep(0)
            return 2 * x

        assert fetch.map([1, 2, 3]).result(PATIENCE) == [2, 4, 6]

        async def main():
            return await fetch.submit(5)

        assert asyncio.run(main()) == 10

    def test_concurrent_calls_of_one_key_run_once(self, fresh):
        """A gather over equal URLs would download each of them."""

        @task
        async def fetch(x):
            calls.append(x)
            await go.wait()
            return x

        async def main():
            nonlocal go
            go = asyncio.Event()
            steps = [asyncio.ensure_future(fetch(1)) for _ in range(10)]
            while not calls:  # noqa: ASYNC110 - an event in reach of the body would be an input
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
            go.set()
            return await asyncio.gather(*steps)

        calls, go = [], None
        fetch = fetch.with_options(persist_result=True)
        assert asyncio.run(main()) == [1] * 10 and calls == [1]
        assert kinds(fresh.events).count("Hit") == 9

    def test_stop_iteration_in_a_coroutine_stays_an_error(self, fresh):
        """A bare next() would end the awaiting code without a word."""

        @task
        async def broken():
            return next(iter([]))

        with pytest.raises((StopIteration, RuntimeError)):
            asyncio.run(broken())


class TestSingleFlight:
    def test_threads(self, fresh):
        """Ten cells that start together would compute the same table ten times."""
        started, go = threading.Event(), threading.Event()

        @task(ignore=["started", "go"])
        def work(x, started, go):
            calls.append(x)
            started.set()
            assert go.wait(PATIENCE)
            return [x]

        calls, values = [], []
        callers = [threading.Thread(target=lambda: values.append(work(1, started, go))) for _ in range(8)]
        for each in callers:
            each.start()
        assert started.wait(PATIENCE)
        go.set()
        for each in callers:
            each.join(PATIENCE)
        assert values == [[1]] * 8 and calls == [1]

    def test_submits(self, fresh):
        """A map over equal items would run each of them."""

        @task
        def work(x):
            calls.append(x)
            return [x]

        calls = []
        assert work.map([1, 2] * 20).result(PATIENCE) == [[1], [2]] * 20
        assert sorted(calls) == [1, 2]

    def test_processes(self, tmp_path):
        """Two kernels that start together would both compute."""
        (tmp_path / "flight_work.py").write_text(
            textwrap.dedent("""
                import os, sys, time
                from nbflow import task
                @task
                def work(x):
                    print("ran", flush=True)
                    time.sleep(0.3)
                    return x
                print("ready", flush=True)
                sys.stdin.readline()
                print(work(5), flush=True)
            """)
        )
        environ = os.environ | {
            "NBFLOW_STORE": str(tmp_path / "store"),
            "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]),
            "HOME": str(tmp_path),
        }
        children = [
            subprocess.Popen(
                [sys.executable, str(tmp_path / "flight_work.py")],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for each in children:
            assert each.stdout.readline() == "ready\n"
        for each in children:
            each.stdin.write("\n")
            each.stdin.flush()
        out = [each.communicate(timeout=60) for each in children]
        assert "".join(stdout for stdout, _ in out).split().count("ran") == 1, out
        assert [stdout.split()[-1] for stdout, _ in out] == ["5"] * 3

    def test_a_failing_holder_lets_exactly_one_waiter_try(self, fresh):
        """All ten waiters would try at once, or fail with the holder's error without trying."""
        started, go = threading.Event(), threading.Event()

        @task(ignore=["started", "go", "calls"])
        def work(x, started, go, calls):
            calls.append(x)
            first = len(calls) == 1
            started.set()
            assert go.wait(PATIENCE)
            if first:
                raise OSError
            return x

        calls, ends = [], []

        def call():
            try:
                ends.append(work(1, started, go, calls))
            except OSError:
                ends.append("failed")

        callers = [threading.Thread(target=call) for _ in range(6)]
        for each in callers:
            each.start()
        assert started.wait(PATIENCE)
        go.set()
        for each in callers:
            each.join(PATIENCE)
        assert sorted(map(str, ends)) == ["1"] * 5 + ["failed"] and len(calls) == 2

    def test_a_submitted_step_that_calls_itself_with_the_same_inputs(self, fresh):
        """The panel would show it running for ever: its future alone would hear of the circle."""

        @task(persist_result=True)
        def loop(n):
            return loop.submit(n).result(timeout=PATIENCE)

        with pytest.raises(Exception, match="itself"):
            loop(1)
        began = {event.step for event in told(fresh, e.Began)}
        assert len(began) == 2
        assert {event.step for event in told(fresh, e.Failed)} == began

    def test_a_step_that_calls_itself_with_the_same_inputs(self, fresh):
        """An endless recursion would hang instead of raising."""

        @task
        def loop(x):
            return loop(x)

        with pytest.raises(Exception, match="itself"):
            loop(1)

    def test_a_blocked_call_in_a_worker_lends_its_place(self, fresh):
        """With one worker, a step that needs a key held by a waiting retry would hang for ever."""
        from nbflow.futures import Future
        from nbflow.task_runners import ThreadPoolTaskRunner
        from nbflow.tasks.jobs import start_job

        pool = ThreadPoolTaskRunner(1)
        calls = []

        @task(retries=1, retry_delay_seconds=60, ignore=["calls"])
        def flaky(x, calls):
            calls.append(x)
            if len(calls) == 1:
                raise OSError
            return x

        @task(persist_result=False)
        def needs(x, calls):
            asked.set()
            return flaky(x, calls) + 1

        def start(which, number):
            future = Future(which.name)
            start_job(pool, number, future, lambda: which.enter((1, calls), {}, number))
            return future

        fresh.clock.auto, asked = False, threading.Event()
        one = start(flaky, 1001)
        fresh.clock.wait_parked(1)
        other = start(needs, 1002)
        assert asked.wait(PATIENCE)
        fresh.clock.advance(60)
        assert one.result(10) == 1 and other.result(10) == 2


class TestSubmit:
    def test_returns_at_once_and_gives_the_value(self, fresh):
        """submit() would block, or need a flow around it."""
        go = threading.Event()

        @task
        def work(x):
            assert go.wait(PATIENCE)
            return 2 * x

        future = work.submit(4)
        assert not future.done() and repr(future).startswith("<Future work(4)")
        go.set()
        assert future.result(PATIENCE) == 8
        assert kinds(fresh.events) == ["Queued", "Began", "Missed", "Started", "Completed"]
        assert len({event.step for event in fresh.events}) == 1

    def test_no_password_is_shown(self, fresh):
        """It would stand in a panel, and so in a notebook that is committed."""

        @task
        def connect(url, password):
            return 1

        future = connect.submit("postgres://me:hunter2@host", "correct")
        assert future.result(PATIENCE) == 1
        queued = next(event for event in fresh.events if type(event).__name__ == "Queued")
        name = line_of(Row(queued), queued.at).name
        assert (name, repr(future)) == ("connect(str, str[7])", "<Future connect(str, str[7]) finished>")

    def test_wrong_arguments_reach_the_future(self, fresh):
        """A typo in one item would hang the map."""

        @task
        def work(x):
            return x

        assert isinstance(work.submit(y=1).exception(PATIENCE), TypeError)

    def test_map_keeps_order_and_isolates_failures(self, fresh):
        """One bad item would take the others down, or results come in another order."""

        @task
        def work(x):
            if x == 2:
                raise ValueError(f"bad {x}")
            return 10 * x

        futures = work.map(range(5))
        with pytest.raises(ValueError, match="bad 2") as info:
            futures.result(PATIENCE)
        assert info.value.__notes__ == ["nbflow: item 2 of 5, work(2), failed"]
        assert futures.result(errors="skip") == [0, 10, 30, 40]
        assert all(future.done() for future in futures)
        assert sorted(f.result() for f in as_completed(futures) if not f.exception()) == [0, 10, 30, 40]

    def test_map_with_fixed_arguments(self, fresh):
        """A list that every item needs would be split up."""

        @task
        def work(x, table, scale=1):
            return scale * table[x]

        assert work.map([0, 1], unmapped([5, 6]), scale=2).result(PATIENCE) == [10, 12]
        with pytest.raises(ValueError, match="nothing to go through"):
            work.map(1, 2)

    def test_chains_of_maps(self, fresh):
        """Futures in arguments would reach the function as futures."""

        @task
        def double(x):
            return 2 * x

        @task
        def total(xs, more):
            return sum(xs) + more["k"]

        doubled = double.map(double.map([1, 2, 3]))
        assert doubled.result(PATIENCE) == [4, 8, 12]
        assert total.submit(doubled, {"k": double.submit(5)}).result(PATIENCE) == 34
        assert total(doubled, {"k": double.submit(5)}) == 34

    def test_a_generator_or_a_future_of_a_list_can_be_mapped(self, fresh):
        """The list that a step returns would have to be fetched first."""

        @task
        def urls():
            return [1, 2]

        @task
        def fetch(x):
            return x

        assert fetch.map(urls.submit()).result(PATIENCE) == [1, 2]
        assert fetch.map(i for i in (3, 4)).result(PATIENCE) == [3, 4]

    def test_downstream_of_a_failure_is_not_ready(self, fresh):
        """A step would run with an exception as its argument, or wait for ever."""

        @task
        def bad():
            raise ValueError("x")

        @task
        def after(x):
            calls.append(x)

        calls = []
        future = after.submit([bad.submit()])
        error = future.exception(PATIENCE)
        assert isinstance(error, NotReadyError) and isinstance(error.__cause__, ValueError)
        assert "bad() failed: ValueError: x" in str(error)
        assert calls == [] and kinds(fresh.events)[-1] == "NotReady"
        with pytest.raises(NotReadyError):
            after(bad.submit())
        assert isinstance(after.submit(future).exception(PATIENCE), NotReadyError)

    def test_allowed_failures(self, fresh):
        """A clean-up step would not run when something went wrong."""

        @task
        def work(x):
            if x:
                raise ValueError("x")
            return 1

        @task
        def clean(x):
            return "failed" if isinstance(x, ValueError) else x

        assert clean.submit(allow_failure(work.submit(1))).result(PATIENCE) == "failed"
        assert clean(allow_failure(work.submit(1))) == "failed"
        assert clean.map(allow_failure(work.map([0, 1]))).result(PATIENCE) == [1, "failed"]

    def test_recursive_submits(self, fresh):
        """A step that submits itself 33 deep would use up all workers and hang."""

        @task(persist_result=False)
        def down(n):
            return 0 if n == 0 else 1 + down.submit(n - 1).result()

        assert down.submit(40).result(PATIENCE) == 40

    def test_nested_maps(self, fresh):
        """A map in a mapped step would hang."""

        @task(persist_result=False)
        def leaf(x):
            return x

        @task(persist_result=False)
        def branch(n):
            return sum(leaf.map(range(n)).result())

        assert sum(branch.map([10] * 60).result(PATIENCE)) == 60 * 45

    def test_a_submitted_hit(self, fresh):
        """Submitting what is kept would run it again."""

        @task
        def work(x):
            calls.append(x)
            return x

        calls = []
        work(1)
        assert work.submit(1).result(PATIENCE) == 1 and calls == [1]
        assert kinds(fresh.events)[-1] == "Hit"

    def test_one_hundred_flaky_items(self, fresh):
        """Items that wait for their retry would block all workers."""
        clock, lock = fresh.clock, threading.Lock()
        clock.auto = False

        @task(retries=1, retry_delay_seconds=0.2, ignore=["seen"])
        def flaky(x, seen):
            with lock:
                first = x not in seen
                seen.add(x)
            if first:
                raise OSError
            return x

        futures = flaky.map(range(100), unmapped(set()))
        clock.wait_parked(100)
        clock.advance(0.2)
        assert futures.result(PATIENCE) == list(range(100)) and clock.now == pytest.approx(0.2)

    def test_a_failure_before_the_call_is_told(self, fresh):
        """A submitted call with wrong arguments would stay `queued` in the panel for ever."""

        @task
        def work(x):
            return x

        work.submit(y=1).exception(PATIENCE)
        assert kinds(fresh.events) == ["Queued", "Failed"]

    def test_cancelled_while_it_waits_for_another(self, fresh, caplog):
        """Cancelling a step whose upstream then fails would print an InvalidStateError."""
        go = threading.Event()

        @task(persist_result=False)
        def bad():
            assert go.wait(PATIENCE)
            raise ValueError

        @task
        def after(x):
            return x

        upstream = bad.submit()
        future = after.submit(upstream)
        assert future.cancel()
        go.set()
        upstream.exception(PATIENCE)
        settled = threading.Event()
        upstream.add_done_callback(lambda _: settled.set())
        assert settled.wait(PATIENCE) and future.cancelled()
        assert kinds(fresh.events)[-1] in ("Cancelled", "Failed") and not caplog.records

    def test_the_context_is_the_callers(self, fresh):
        """A step submitted within a step would not know its parent."""

        @task(persist_result=False)
        def inner():
            return 1

        @task(persist_result=False)
        def outer():
            return inner.submit().result()

        outer()
        queued = told(fresh, e.Queued)[0]
        assert queued.parent == told(fresh, e.Began)[0].step


class TestBrokenStore:
    def test_no_folder_at_all(self, fresh, tmp_path):
        """A read-only home would fail every step."""
        (tmp_path / "file").write_text("")
        configure(store=tmp_path / "file" / "store")

        @task
        def work(x):
            calls.append(x)
            return x

        calls = []
        assert [work(1), work(1), work(1)] == [1, 1, 1] and len(calls) == 3
        assert len(fresh.warned) <= 2 and fresh.warned
        assert kinds(fresh.events)[-1] == "Completed"

    def test_a_wrecked_index_costs_a_rerun(self, fresh):
        """A torn database would raise at every call."""

        @task
        def work(x):
            calls.append(x)
            return x

        calls = []
        work(1)
        fresh.session.store.close()
        fresh.session._store = None
        for each in fresh.store.rglob("*.db*"):
            each.write_bytes(b"not a database" * 1000)
        assert work(1) == 1 and work(2) == 2
        assert len(fresh.warned) <= 2

    def test_the_folder_is_deleted_meanwhile(self, fresh):
        """`rm -rf .nbflow` in a terminal would break the running kernel."""
        import shutil

        @task
        def work(x):
            calls.append(x)
            return x

        calls = []
        work(1)
        shutil.rmtree(fresh.store)
        assert work(2) == 2 and work(1) == 1

    def test_a_flipped_bit_costs_a_rerun(self, fresh):
        """A damaged entry would be unpickled, or fail the step."""

        @task
        def work(x):
            calls.append(x)
            return bytes(300_000)

        calls = []
        work(1)
        big = max((each for each in fresh.store.rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
        data = bytearray(big.read_bytes())
        data[len(data) // 2] ^= 1
        big.write_bytes(data)
        assert work(1) == bytes(300_000) and len(calls) == 2
        assert work(1) == bytes(300_000) and len(calls) == 2


@dataclass
class Config:
    rate: float
    tags: list = field(default_factory=list)


def test_dataclasses_as_arguments(fresh):
    """A configuration object would make every call a miss, or hide a change."""

    @task
    def work(config):
        calls.append(1)
        return config.rate

    calls = []
    work(Config(0.1)), work(Config(0.1))
    assert len(calls) == 1
    work(Config(0.1, ["x"])), work(Config(0.2))
    assert len(calls) == 3


def test_tasks_as_arguments_and_globals(fresh):
    """A step that is given another task would be unkeyable, or not notice its edit."""

    @task
    def one(x):
        return x + 1

    @task
    def other(x):
        return x + 2

    @task
    def apply(f, x):
        return f(x)

    assert apply(one, 1) == 2 and apply(other, 1) == 3 and apply(one, 1) == 2
    assert kinds(fresh.events)[-1] == "Hit"


def test_the_first_warning_reaches_the_log(fresh, caplog):
    """What nbflow has to say would go nowhere."""

    @task
    def use(x):
        return x

    with caplog.at_level(logging.WARNING, "nbflow"):
        use(threading.Lock())
    assert len(caplog.records) == 1 and caplog.records[0].message.startswith("nbflow: use() runs uncached")
