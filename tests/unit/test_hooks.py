"""Functions of the user's that hear what happens to a run."""

import asyncio
import functools
import threading

import pytest

from nbflow import ConfigurationError, StepTimeout, get_run_logger, task
from nbflow import events as e
from nbflow.context import here
from nbflow.runs import TaskRun
from nbflow.states import Failed, State

PATIENCE = 30
HOOKS = ["on_running", "on_completion", "on_failure", "on_commit", "on_rollback"]


class Notes(list):
    """Hooks that write down what they are called with."""

    def hook(self, name):
        def note(task, run, state):
            self.append((name, task, run, state.name))

        return note

    def ahook(self, name):
        async def note(task, run, state):
            await asyncio.sleep(0)
            self.append((name, task, run, state.name))

        return note

    @property
    def names(self):
        return [(name, state) for name, _, _, state in self]

    def all(self, make=None):
        make = make or self.hook
        return {name: [make(name)] for name in HOOKS[:3]}


@pytest.mark.parametrize("name", HOOKS)
def test_what_is_no_list_of_functions_is_refused(name):
    """The hook that was to send the alarm would fail on the night when it is needed."""
    for wrong in (print, 5, "text", [1], [print, None]):
        with pytest.raises(TypeError, match=name):
            task(**{name: wrong})
    with pytest.raises(TypeError, match=name):
        getattr(task(lambda: 1), name)(5)


def test_completion_follows_the_attempts(fresh):
    """A message would be sent for each attempt that failed, or none at the end."""
    notes, calls = Notes(), []

    @task(retries=2, persist_result=False, **notes.all())
    def flaky(x):
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("no")
        return x

    flaky(5)
    assert notes.names == [
        ("on_running", "Running"),
        ("on_running", "Retrying"),
        ("on_running", "Retrying"),
        ("on_completion", "Completed"),
    ]
    (_, told, run, _) = notes[-1]
    assert told is flaky and isinstance(run, TaskRun) and len({id(each[2]) for each in notes}) == 1
    assert (run.task_name, run.name, run.parameters, run.run_count) == ("flaky", "flaky", {"x": 5}, 3)
    assert run.state.result() == 5 and run.state_name == "Completed" and len(run.id) == 32


def test_failure_comes_once_with_the_error_itself(fresh):
    """An alarm would ring three times, or without the reason."""
    notes, states = Notes(), []
    error = ValueError("no rows")

    @task(retries=2, on_failure=[notes.hook("on_failure"), lambda t, r, state: states.append(state)])
    def broken():
        raise error

    broken.on_completion(notes.hook("on_completion"))
    with pytest.raises(ValueError, match="no rows"):
        broken()
    assert notes.names == [("on_failure", "Failed")]
    assert states[0].result(raise_on_failure=False) is error and "no rows" in states[0].message


def test_timeouts_and_returned_failures_are_failures(fresh):
    """The alarm would stay silent for a step that hung, or that said itself that it failed."""
    notes = Notes()

    @task(timeout_seconds=0.05, on_failure=[notes.hook("late")])
    def late():
        threading.Event().wait(5)

    @task(on_failure=[notes.hook("said")])
    def said():
        return Failed(message="no rows", name="Empty")

    with pytest.raises(StepTimeout):
        late()
    said()
    assert notes.names == [("late", "TimedOut"), ("said", "Empty")]


def test_a_hook_that_fails_stops_nothing(fresh, caplog):
    """A chat server that is down would take the night's results with it."""
    notes = Notes()

    def rude(task, run, state):
        raise RuntimeError("chat is down")

    @task(on_running=[rude, notes.hook("running")], on_completion=[rude, rude, notes.hook("done")])
    def work():
        return 1

    assert work() == 1 and notes.names == [("running", "Running"), ("done", "Completed")]
    told = [record for record in caplog.records if "hook" in record.message and "rude" in record.message]
    assert len(told) == 3 and "chat is down" in str(told[0].exc_info[1])


def test_an_interrupt_in_a_hook_comes_through(fresh):
    """Ctrl-C would be swallowed by a hook that waits for a server."""

    def stuck(task, run, state):
        raise KeyboardInterrupt

    @task(on_running=[stuck])
    def work():
        return 1

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [type(event) for event in fresh.events][-1] is e.Cancelled


def test_not_for_hits_unless_asked(fresh):
    """`Run All` after a restart would send every message again; or nobody could be told of hits."""
    notes = Notes()

    @task(**notes.all())
    def work(x):
        return x

    work(1)
    notes.clear()
    work(1)
    assert not notes
    asked = work.with_options(hooks_on_hits=True)
    assert asked(1) == 1 and asked.submit(1).result(PATIENCE) == 1
    assert notes.names == [("on_completion", "Cached")] * 2
    assert notes[0][2].state.result() == 1


def test_sync_and_async_hooks_on_both_kinds(fresh):
    """A hook that is a coroutine would be made and never run."""
    for retries in (0, 1):
        notes = Notes()

        @task(persist_result=False, retries=retries, on_completion=[notes.hook("a"), notes.ahook("b")])
        def plain():
            return 1

        @task(persist_result=False, on_completion=[notes.hook("a"), notes.ahook("b")], on_failure=[notes.ahook("c")])
        async def awaited(x):
            return 1 / x

        @task(persist_result=False, on_completion=[notes.ahook("b")])
        def items():
            yield 1

        async def inside():
            plain()
            await awaited(1)
            with pytest.raises(ZeroDivisionError):
                await awaited(0)

        plain()
        plain.submit().result(PATIENCE)
        asyncio.run(inside())
        awaited.submit(1).result(PATIENCE)
        list(items())
        assert [name for name, _ in notes.names] == [*"abababab", "c", *"ab", "b"]


def test_as_decorators_and_of_any_callable(fresh):
    """`@fetch.on_failure` in a program from Prefect would break; a partial would not be taken."""
    notes = Notes()

    class Hook:
        def __call__(self, task, run, state):
            notes.append(("object", task, run, state.name))

    @task(persist_result=False)
    def work():
        return 1

    @work.on_completion
    def first(task, run, state):
        notes.append(("first", task, run, state.name))

    work.on_running(Hook())
    work.on_completion(
        functools.partial(lambda extra, *rest: notes.append((extra, *rest[:2], rest[2].name)), "partial")
    )
    assert callable(first) and first.__name__ == "first"
    work()
    assert notes.names == [("object", "Running"), ("first", "Completed"), ("partial", "Completed")]
    other = work.with_options(on_completion=None)
    notes.clear()
    other()
    assert notes.names == [("object", "Running")]


def test_no_hooks_for_what_never_ran(fresh):
    """A downstream of a failure would be announced as one more failure."""
    notes = Notes()

    @task
    def broken():
        raise ValueError("no")

    @task(**notes.all())
    def after(x):
        return x

    after.submit(broken.submit()).wait()
    with pytest.raises(SystemExit):
        after.with_options(persist_result=False).fn and task(
            lambda: (_ for _ in ()).throw(SystemExit(1)), **notes.all()
        )()
    assert [name for name, _ in notes.names] == ["on_running"]


def test_the_run_is_at_hand_in_the_task_and_its_hooks(fresh):
    """A hook or a helper could not name the run that it writes of."""
    seen = []

    @task(tags=["nightly"], persist_result=False, on_completion=[lambda task, run, state: seen.append(here.get().run)])
    def work(x, y=2):
        seen.append(here.get().run)
        get_run_logger().info("here")
        return x

    work(1)
    inside, hook = seen
    assert inside is hook and inside.parameters == {"x": 1, "y": 2} and inside.tags == {"nightly"}
    assert inside.start_time <= inside.end_time and inside.total_run_time >= 0 and here.get().run is None
    assert isinstance(inside.state, State)


def test_times_of_attempts(fresh):
    """The report of a flaky step would count its waits as work, or give every attempt one start."""
    starts = []

    @task(retries=2, retry_delay_seconds=100, on_running=[lambda task, run, state: starts.append(run.start_time)])
    def flaky():
        fresh.clock.sleep(3)
        if len(starts) < 3:
            raise ValueError("no")

    state = flaky(return_state=True)
    runs = []
    flaky.with_options(on_completion=[lambda task, run, state: runs.append(run)])()
    assert state.is_completed() and [round((b - a).total_seconds()) for a, b in zip(starts, starts[1:], strict=False)][
        :2
    ] == [103, 103]
    assert runs[0].total_run_time == pytest.approx(3)


def test_one_clear_line_for_a_bad_option():
    """A typo in a decorator would show twenty lines of nbflow."""
    with pytest.raises(ConfigurationError, match="on_complete.*on_completion"):
        task(on_complete=[])
