"""One suite for all runners: sequential, threads, processes, a local Dask cluster of two workers."""

import asyncio
import importlib
import linecache
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from nbflow import (
    DaskTaskRunner,
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    ThreadPoolTaskRunner,
    allow_failure,
    as_completed,
    task,
    unmapped,
)
from nbflow.context import tags
from nbflow.errors import ConfigurationError, InterfaceError, NotReadyError, StepTimeout, WorkerDied
from nbflow.events import Began, Completed, Hit, Logged, Started, Unsaved
from nbflow.session import configure

PATIENCE = 100
AWAY = ("processes", "dask")

pytestmark = [
    # a worker that is killed on purpose leaves what Dask would have closed
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def made(kind):
    if kind == "dask":
        pytest.importorskip("distributed")
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        return DaskTaskRunner(cluster_kwargs={"n_workers": 2, "silence_logs": logging.CRITICAL})
    return {
        "sequential": SequentialTaskRunner,
        "threads": lambda: ThreadPoolTaskRunner(2),
        "processes": lambda: ProcessPoolTaskRunner(2),
    }[kind]()


@pytest.fixture(scope="module")
def runners():
    """One runner of each kind for the whole module: workers are expensive."""
    found = {}
    yield found
    for each in found.values():
        each.__exit__(None, None, None)


def get(runners, kind):
    if kind not in runners:
        runners[kind] = made(kind).__enter__()
    return runners[kind]


@pytest.fixture(params=["sequential", "threads", *AWAY])
def runner(request, runners, fresh):
    runner = get(runners, request.param)
    configure(task_runner=runner)
    return runner


@pytest.fixture(params=AWAY)
def away(request, runners, fresh):
    runner = get(runners, request.param)
    configure(task_runner=runner)
    return runner


@pytest.fixture
def processes(runners, fresh):
    runner = get(runners, "processes")
    configure(task_runner=runner)
    return runner


def of(events, kind):
    return [event for event in events if type(event) is kind]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


# Values


def test_results_in_order_of_closures_lambdas_and_tasks(runner):
    """A map would mix its results up, or refuse what a notebook defines."""
    factor = 3
    double = lambda x: x * 2  # noqa: E731

    @task
    def scaled(x):
        import math

        return math.floor(double(x) * factor)

    assert scaled.map(range(30)).result(PATIENCE) == [x * 6 for x in range(30)]
    assert task(lambda x: x + 1).submit(1).result(PATIENCE) == 2
    assert scaled.is_cached(29) and scaled.map(range(30)).result(PATIENCE)[29] == 174


def test_the_second_map_runs_nothing(runner, fresh, tmp_path):
    """Workers would compute again what is in the store."""
    log = tmp_path / "log"

    @task(persist_result=True)
    def noted(x):
        with log.open("a") as file:
            file.write(f"{x}\n")
        return x

    for _ in range(2):
        assert noted.map(range(5)).result(PATIENCE) == [0, 1, 2, 3, 4]
    assert sorted(log.read_text().split()) == list("01234")
    assert len(of(fresh.events, Hit)) == 5


def test_large_values_of_kept_steps_come_from_the_store(runner, fresh):
    """A large result would be sent through a pipe and written twice, or could not be changed by the caller."""
    import numpy as np

    @task
    def ones(n):
        return np.ones(n)

    first, second = ones.map([300_000, 300_001]).result(PATIENCE)
    first += 1
    assert first.sum() == 600_000 and second.sum() == 300_001
    assert all(event.size > 2_000_000 for event in of(fresh.events, Completed))
    assert ones(300_000).sum() == 300_000 and len(of(fresh.events, Hit)) == 1


def test_large_shared_arguments_stay_the_callers(runner):
    """A worker would change what all other items and the caller see, or the key would follow a copy."""
    import numpy as np

    data = np.zeros(200_000)

    @task
    def total(x, data):
        return float(data.sum()) + x

    @task
    def spoil(data):
        data[0] = 1
        return 1

    assert total.map([1, 2, 3], unmapped(data)).result(PATIENCE) == [1, 2, 3]
    assert spoil.submit(data).result(PATIENCE) == 1
    assert not spoil.is_cached(np.zeros(200_000))


def test_coroutines(runner):
    """`async def` tasks would run on threads alone."""

    @task
    async def later(x):
        await asyncio.sleep(0)
        return x + 1

    assert later.map([1, 2]).result(PATIENCE) == [2, 3]


def test_nested_steps_do_not_wait_for_themselves(runner):
    """A step that maps over steps would fill all workers and wait for ever."""

    @task(persist_result=False)
    def inner(x):
        return x * 10

    @task(persist_result=False)
    def outer(x):
        return sum(inner.map([x, x + 1]).result())

    assert outer.map(range(6)).result(PATIENCE) == [x * 20 + 10 for x in range(6)]


def test_deep_recursion(runner):
    """A recursive step would hang below as many levels as there are workers."""
    depth = 33

    @task(persist_result=False)
    def descend(n, again):
        return n if n == 0 else again.submit(n - 1, again).result() + 1

    assert descend.submit(depth, descend).result(PATIENCE) == depth


def test_futures_as_arguments(runner):
    """A step that takes another's result would get the future, or never begin."""

    @task
    def add(x, y):
        return x + y

    assert add.submit(add.submit(1, 2), [add.submit(3, 4)][0]).result(PATIENCE) == 10


def test_what_the_run_depended_on_comes_home(runner, fresh, tmp_path, monkeypatch):
    """An edited file would give yesterday's rows because a worker read it, and an upsert would be skipped."""
    file = tmp_path / "rows.csv"
    if "Dask" not in repr(runner):  # its workers stay in the folder where they were started
        monkeypatch.chdir(tmp_path)
        file = Path("rows.csv")
    file.write_text("a")

    @task
    def rows(path):
        return Path(path).read_text()

    @task
    def writes(path):
        with open(path, "a") as file:
            return file.write("x")

    assert rows.submit(str(file)).result(PATIENCE) == "a" and rows.is_cached(str(file))
    file.write_text("bb")
    assert "rows.csv changed" in rows.explain(str(file)).why
    assert rows.submit(str(file)).result(PATIENCE) == "bb"
    assert writes.submit(str(tmp_path / "log")).result(PATIENCE) == 1
    assert "files" in of(fresh.events, Unsaved)[-1].why


def test_an_argument_changed_in_place_is_not_kept(runner, fresh):
    """The next run would skip what it does to its argument; in a worker only the copy can tell."""

    @task
    def grow(items):
        items.append(1)
        return len(items)

    assert grow.submit([1]).result(PATIENCE) == 2
    assert not grow.is_cached([1]) and any("in place" in line for line in fresh.warned)


def test_a_global_that_is_read_and_changed_is_not_kept(runner, fresh):
    """A counter would stand still."""
    space = {"task": task, "seen": []}
    source = "@task\ndef count(x):\n    seen.append(x)\n    return len(seen)\n"
    exec(compile(source, "<cell>", "exec"), space)
    space["count"].submit(1).result(PATIENCE)
    assert not space["count"].is_cached(1)


def test_seeded_generators(runner):
    """A seeded simulation would give other numbers each time, or the same for each item."""

    @task(persist_result=False)
    def draw(x):
        return random.random()

    if "Pool" in repr(runner) or "Seq" in repr(runner):  # threads draw from one stream, in the order they come to it
        pass
    try:
        random.seed(7)
        first = draw.map(range(3)).result(PATIENCE)
        random.seed(7)
        again = draw.map(range(3)).result(PATIENCE)
    finally:
        random.seed()
    assert len(set(first)) == 3
    if "Thread" not in repr(runner):
        assert first == again


# What is said


def test_prints_logs_and_warnings_are_heard_here(runner, fresh, capsys, caplog):
    """What a worker prints, logs and warns of would be lost."""

    @task(log_prints=True, persist_result=False)
    def logs(x):
        print(f"line {x}")
        return x

    @task(persist_result=False)
    def prints():
        print("plain")
        logging.getLogger("mine").warning("careful %s", 1)
        warnings.warn("old", UserWarning, stacklevel=1)

    assert logs.map([1, 2]).result(PATIENCE) == [1, 2]
    lines = {event.text: event.step for event in of(fresh.events, Logged) if event.text.startswith("line")}
    steps = {event.step for event in of(fresh.events, Began)}
    assert set(lines) == {"line 1", "line 2"} and set(lines.values()) <= steps and len(set(lines.values())) == 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prints.submit().result(PATIENCE)
    assert "plain" in capsys.readouterr().out
    assert "careful 1" in caplog.text
    assert [str(each.message) for each in caught] == ["old"]


def test_tags_and_nested_steps_are_known_here(runner, fresh):
    """The panel would not show what steps inside a worker do, nor under which tags."""

    @task(persist_result=False)
    def inner(x):
        from nbflow.context import current_tags

        return sorted(current_tags.get())

    @task(persist_result=False)
    def outer(x):
        return inner(x)

    with tags("nightly"):
        assert outer.submit(1).result(PATIENCE) == ["nightly"]
    begun = of(fresh.events, Began)
    assert [event.task for event in begun] == ["outer", "inner"] and begun[1].parent == begun[0].step
    assert len({event.step for event in begun}) == 2


# Failures


class Odd(ValueError):
    """An error that plain pickle cannot make again: it wants two arguments, and holds what does not pickle."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.one, self.lock = one, threading.Lock()


def test_errors_come_home_as_they_are(runner):
    """`except ValueError` would not catch, or the traceback would end at our own code."""

    @task(persist_result=False)
    def fails(x):
        raise Odd(x, 2)

    error = fails.submit(1).exception(PATIENCE)
    assert type(error).__name__ == "Odd" and isinstance(error, ValueError)
    assert error.args == ("1 and 2",) and error.one == 1
    if "Pool" in repr(runner) and "Process" in repr(runner):
        assert "raise Odd(x, 2)" in "\n".join(error.__notes__)


class Unreachable(OSError):
    """As those of HTTP libraries: it holds its request."""

    def __init__(self, *args):
        super().__init__(*args)
        self.request = threading.Lock()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unreachable(111, "refused"),
        lambda: ExceptionGroup("two", [ValueError(1), Unreachable(2, "x")]),
    ],
    ids=["os", "group"],
)
def test_errors_that_hold_what_cannot_travel(away, make):
    """A failed download in a worker would show as an error of ours about `BaseException.__new__`."""

    @task(persist_result=False)
    def fails():
        raise make()

    error = fails.submit().exception(PATIENCE)
    assert type(error).__name__ == type(make()).__name__ and str(error) == str(make())
    assert getattr(error, "errno", None) == getattr(make(), "errno", None)
    assert [type(each).__name__ for each in getattr(error, "exceptions", ())] in ([], ["ValueError", "Unreachable"])


@pytest.mark.parametrize("options", [{"persist_result": False}, {"persist_result": True}], ids=["not kept", "kept"])
def test_what_generators_yield_comes_home(runner, options):
    """A generator whose items are not kept could not be submitted to workers."""

    @task(**options)
    def rows(count):
        yield from range(count)
        yield lambda: count

    *numbers, last = rows.submit(3).result(PATIENCE)
    assert numbers == [0, 1, 2] and last() == 3


def test_generators_that_await_fail_and_are_tried_again(runner, tmp_path):
    """What a submitted generator comes to would depend on where it runs."""

    @task
    async def awaiting(count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @task(retries=1)
    def failing(name, until):
        with (tmp_path / name).open("a+") as file:
            file.write("x")
            file.seek(0)
            tries = len(file.read())
        yield tries
        if tries < until:
            raise ValueError(f"at try {tries}")

    assert awaiting.submit(3).result(PATIENCE) == [0, 1, 2]
    assert awaiting.map([1, 2]).result(PATIENCE) == [[0], [0, 1]]
    assert failing.submit("once", 2).result(PATIENCE) == [2]
    with pytest.raises(ValueError, match="at try 2"):
        failing.submit("always", 9).result(PATIENCE)


def test_hooks_run_here(runner):
    """A hook would change a copy in a worker, or look for the notebook's names there, and nobody would see it."""
    seen = []

    def hook(_task, _run, state):
        seen.append((os.getpid(), state.name))

    hooks = dict.fromkeys(("on_running", "on_completion", "on_failure"), [hook])

    @task(retries=1, **hooks)
    def inverse(x):
        return 1 / x

    @task(**hooks)
    def inverses(x):
        yield 1 / x

    def told(*names):
        found = [name for _, name in seen]
        assert {pid for pid, _ in seen} == {os.getpid()}
        seen.clear()
        return found == [*names]

    assert inverse.submit(1).result(PATIENCE) == 1
    assert told("Running", "Completed")
    with pytest.raises(ZeroDivisionError):
        inverse.submit(0).result(PATIENCE)
    assert told("Running", "Retrying", "Failed")
    assert inverses.submit(1).result(PATIENCE) == [1]
    assert told("Running", "Completed")
    with pytest.raises(ZeroDivisionError):
        inverses.submit(0).result(PATIENCE)
    assert told("Running", "Failed")


def test_methods_of_classes(runner):
    """A method would be called without its class in a worker, and fail with a word about missing arguments."""

    class Model:
        @task
        @classmethod
        def above(cls, x):
            return cls.__name__, x

        @classmethod
        @task
        def below(cls, x):
            return cls.__name__, x

    assert Model.above.submit(1).result(PATIENCE) == ("Model", 1)
    assert Model.below(1) == ("Model", 1)
    for begin in (Model.below.submit, lambda x: Model.below.map([x])[0]):
        if sys.version_info < (3, 13):
            assert begin(1).result(PATIENCE) == ("Model", 1)
        else:
            with pytest.raises(ConfigurationError) as refused:
                begin(1).result(PATIENCE)
            assert str(refused.value).endswith("@task has to stand above @classmethod")
            assert "\n" not in str(refused.value) and len(str(refused.value)) < 120


def test_one_bad_item_takes_no_other_down(runner, fresh):
    """One error, exit or unpicklable result would lose what the other items computed."""

    @task(persist_result=True)
    def item(x):
        if x == 1:
            raise KeyError(x)
        if x == 2:
            sys.exit(3)
        return x

    futures = item.map(range(5))
    found = futures.result(PATIENCE, errors="return")
    assert [found[0], found[3], found[4]] == [0, 3, 4]
    assert isinstance(found[1], KeyError) and isinstance(found[2], SystemExit)
    assert not item.is_cached(1) and item.is_cached(3)
    assert {future.result() for future in as_completed(futures, PATIENCE) if not future.exception()} == {0, 3, 4}


def test_downstream_of_a_failure(runner):
    """A step would be called with what is missing, or never end."""

    @task(persist_result=False)
    def fails():
        raise KeyError("x")

    @task(persist_result=False)
    def after(x):
        return repr(x)

    failed = fails.submit()
    with pytest.raises(NotReadyError):
        after.submit(failed).result(PATIENCE)
    assert "KeyError" in after.submit(allow_failure(failed)).result(PATIENCE)


def test_retries_are_told_here_and_wait_here(runner, fresh, tmp_path):
    """A backoff would hold a worker, and the panel would not show the attempts; a failure would stick."""
    folder = tmp_path

    @task(retries=2, retry_delay_seconds=30, persist_result=False)
    def flaky(x):
        mark = folder / str(x)
        if not mark.exists():
            mark.touch()
            raise OSError("503")
        return x

    assert flaky.map(range(4)).result(PATIENCE) == [0, 1, 2, 3]
    assert sorted(event.attempt for event in of(fresh.events, Started)) == [1] * 4 + [2] * 4
    assert fresh.clock.now >= 30


@pytest.mark.parametrize("kind", ["returns", "raises"])
def test_what_cannot_travel_is_an_error_and_no_hang(away, kind):
    """A result that does not unpickle would leave a future that never ends."""

    class Bomb:
        def __reduce__(self):
            return eval, ("1/0",)

    @task(persist_result=False)
    def item():
        return threading.Lock() if kind == "raises" else Bomb()

    assert isinstance(item.submit().exception(PATIENCE), TypeError if kind == "raises" else ZeroDivisionError)


def test_an_argument_that_cannot_travel_is_an_error(away):
    """A lock among the arguments would hang the map."""

    @task(persist_result=False)
    def take(x):
        return 1

    error = take.submit(threading.Lock()).exception(PATIENCE)
    assert isinstance(error, TypeError) and "as a pickle" in "".join(error.__notes__)
    assert take.submit(1).result(PATIENCE) == 1


def test_a_killed_worker_costs_its_item_alone(away, fresh, tmp_path):
    """An out-of-memory kill would lose the map, or run finished items again."""
    log = tmp_path / "log"

    @task(retries=1, persist_result=True)
    def item(x):
        with log.open("a") as file:
            file.write(f"{x}\n")
        if x == 2 and log.read_text().split().count("2") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    @task(persist_result=False)
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    assert item.map(range(8)).result(PATIENCE) == list(range(8))
    assert sorted(log.read_text().split()) == sorted("012234567")
    error = dies.submit().exception(PATIENCE)
    assert isinstance(error, WorkerDied), error


def test_a_poison_item_is_given_up(away, tmp_path):
    """An item that kills its worker would kill workers for as long as it may be retried."""
    log = tmp_path / "log"

    @task(retries=50, persist_result=False)
    def item(x):
        if x == 0:
            with log.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    found = item.map(range(4)).result(PATIENCE, errors="return")
    assert isinstance(found[0], WorkerDied) and found[1:] == [1, 2, 3]
    assert log.read_text() == "xxx"


def test_a_timeout_ends_its_own_worker_alone(processes, tmp_path):
    """A call that hangs in native code would hold its worker for ever, or take the others with it."""
    pids = tmp_path / "pids"

    @task(timeout_seconds=1.0, persist_result=False)
    def item(x):
        if x == 1:
            child = subprocess.Popen(["sleep", "600"])
            pids.write_text(f"{os.getpid()} {child.pid}")
            sum(range(10**11))
        return x

    found = item.map(range(4)).result(PATIENCE, errors="return")
    assert isinstance(found[1], StepTimeout) and [found[0], *found[2:]] == [0, 2, 3]
    until(lambda: not any(map(alive, map(int, pids.read_text().split()))))


def test_a_failed_step_does_not_stick(runner, tmp_path):
    """Dask would give the old error for the same call."""
    mark = tmp_path / "mark"

    @task(persist_result=False)
    def item(x):
        if not mark.exists():
            raise OSError("away")
        return x

    assert isinstance(item.submit(1).exception(PATIENCE), OSError)
    mark.touch()
    assert item.submit(1).result(PATIENCE) == 1


def test_cancel_says_what_is_true(runners, fresh, tmp_path):
    """A queued step would run anyway, or a running one would be called cancelled."""
    gate = tmp_path / "gate"
    with ThreadPoolTaskRunner(1) as runner:

        @task(persist_result=False)
        def item(x):
            until(gate.exists)
            return x

        running = runner.submit(item, {"x": 1})
        until(running.running)
        queued = runner.submit(item, {"x": 2})
        assert not running.cancel() and queued.cancel()
        gate.touch()
        assert running.result(PATIENCE) == 1
        with pytest.raises(CancelledError):
            queued.result(PATIENCE)


# Runners as values


@pytest.mark.parametrize("kind", ["sequential", "threads", *AWAY])
def test_runners_are_entered_duplicated_and_left(kind, runners, fresh):
    """A flow could not have a runner of its own, or an unstarted one would lose what it is given."""

    @task(persist_result=False)
    def item(x):
        return x

    runner = made(kind)
    with pytest.raises(InterfaceError, match="not started"):
        runner.submit(item, {"x": 1})
    copy = runner.duplicate()
    assert copy == runner and copy is not runner and not copy.started
    if kind == "dask":  # one cluster is enough
        return
    with runner as entered:
        assert entered is runner and runner.submit(item, parameters={"x": 1}).result(PATIENCE) == 1
        assert runner.map(item, {"x": [1, 2]}).result(PATIENCE) == [1, 2]
    with pytest.raises(InterfaceError):
        runner.map(item, {"x": [1]})
    runner.__exit__(None, None, None)


def test_leaving_a_runner_cancels_what_is_queued(fresh, tmp_path):
    """Leaving a block would go on for hours, or leave threads at work."""
    gate = tmp_path / "gate"

    @task(persist_result=False)
    def item(x):
        until(gate.exists)
        return x

    with ThreadPoolTaskRunner(1) as runner:
        futures = runner.map(item, {"x": [1, 2, 3]})
        until(futures[0].running)
        threading.Timer(0.1, gate.touch).start()
    assert futures[0].result() == 1 and all(each.cancelled() for each in futures[1:])


def test_an_initializer_runs_once_in_each_worker(fresh, tmp_path):
    """A worker would lack what it was to be prepared with; an initializer that fails would hang."""
    log = tmp_path / "log"

    def prepare(text):
        os.environ["PREPARED"] = text
        with log.open("a") as file:
            file.write("x")

    @task(persist_result=False)
    def item(x):
        return os.environ["PREPARED"]

    with ProcessPoolTaskRunner(1, initializer=prepare, initargs=("yes",)) as runner:
        assert runner.map(item, {"x": range(3)}).result(PATIENCE) == ["yes"] * 3
    assert log.read_text() == "x"

    def fails():
        raise RuntimeError("no licence")

    with ProcessPoolTaskRunner(1, initializer=fails) as runner:
        error = runner.submit(item, {"x": 1}).exception(PATIENCE)
    assert isinstance(error, WorkerDied) and "no licence" in str(error)


@pytest.mark.parametrize("options", [{"max_workers": 0}, {"max_workers": True}, {"initializer": 3}])
def test_wrong_options(options):
    """A pool of no workers would wait for ever."""
    with pytest.raises(ConfigurationError):
        ProcessPoolTaskRunner(**options)


@pytest.mark.parametrize(
    "options", [{"address": "tcp://x:1", "cluster": object()}, {"address": "x", "cluster_kwargs": {"a": 1}}]
)
def test_wrong_options_of_dask(options):
    """A cluster would be started beside the one that was named."""
    pytest.importorskip("distributed")
    with pytest.raises(ConfigurationError):
        DaskTaskRunner(**options)


def test_dask_by_address_and_by_cluster(runners, fresh):
    """A cluster that there is already could not be used, or would be ended with the runner."""
    mine = get(runners, "dask")
    address = mine.client.scheduler.address

    @task(persist_result=False)
    def item(x):
        return x

    for options in ({"address": address}, {"cluster": mine.client.cluster}):
        with DaskTaskRunner(**options) as runner:
            assert runner.map(item, {"x": range(3)}).result(PATIENCE) == [0, 1, 2]
    assert mine.submit(item, {"x": 4}).result(PATIENCE) == 4


def test_another_version_in_the_worker_is_refused():
    """Two versions would quietly write entries that the other one misreads."""
    import pickle

    from nbflow.remote.parcels import Home, Order, put_together
    from nbflow.remote.performing import perform

    home = pickle.dumps(Home("", (), {}, {}, 30, "0.0.1"))
    order = Order(
        home, b"", pickle.dumps((b"", {})), None, None, None, frozenset(), None, False, (), (), (), {}, "", None
    )
    error = put_together(pickle.loads(perform(pickle.dumps(order))).error)
    assert isinstance(error, ConfigurationError) and "0.0.1" in str(error)


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)"])
def test_no_process_outlives_the_program(ending, tmp_path):
    """Workers would stay behind and fill the machine, after an exit or a kill."""
    program = f"""
        import os
        from nbflow import ProcessPoolTaskRunner, configure, task
        configure(store={str(tmp_path / "store")!r})

        @task(persist_result=False)
        def pid(x):
            return os.getpid()

        @task(persist_result=False, isolate="process")
        def other():
            return os.getpid()

        with ProcessPoolTaskRunner(2) as runner:
            found = set(runner.map(pid, {{"x": range(8)}}).result()) | {{other()}}
        print(*found, flush=True)
        {ending}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path
    )
    pids = list(map(int, done.stdout.split()))
    assert pids, done.stderr
    until(lambda: not any(map(alive, pids)))


# Limits by tag


def test_no_more_steps_of_a_tag_than_it_allows(runner, fresh, tmp_path):
    """A service that allows one connection would get as many as there are workers."""
    configure(tag_limits={"api": 1})
    folder, log = tmp_path, tmp_path / "log"

    @task(tags=["api"], retries=1, persist_result=False)
    def item(x):
        try:
            (folder / "lock").mkdir()
        except FileExistsError:
            with log.open("a") as file:
                file.write("two at a time ")
        time.sleep(0.01)
        (folder / "lock").rmdir()
        if not (folder / str(x)).exists():
            (folder / str(x)).touch()
            raise OSError("again")
        return x

    assert item.map(range(6)).result(PATIENCE) == list(range(6))
    assert not log.exists()


# Code


LOADED = """
import os
import threading
memory = {{}}
lock = threading.Lock()
table = {{"more": {more}}}
class Scale:
    def __call__(self, x):
        return x * {more}
def helper(x):
    return x + {more}
def plain(x):
    with lock:
        return helper(x)
def remembered(x):
    with lock:
        return memory.setdefault(x, (x, os.getpid(), id(memory)))
def apply(function, x):
    return function(x)
def tabled(x):
    return x + table["more"]
"""

USES = {
    "body": ("plain", (1,)),
    "argument": ("apply", ("helper", 1)),
    "object": ("apply", ("Scale()", 1)),
    "table": ("tabled", (1,)),
    "cell": ("lambda x: module.helper(x)", (1,)),
    "inside": ("inside", (1,)),
}


@pytest.mark.parametrize("where", ["processes", "dask", "isolate"])
def test_what_is_loaded_here_is_what_runs_there(where, runners, fresh, tmp_path, monkeypatch):
    """A warm worker would run a module as it was before a reload, and the old result would be kept as the new one's."""
    monkeypatch.syspath_prepend(tmp_path)
    name, isolate = f"loaded_{where}", None
    file = tmp_path / f"{name}.py"
    if where == "isolate":
        isolate = "process"
    else:
        configure(task_runner=get(runners, where))
    if where == "dask":
        get(runners, where).client.run(lambda path: __import__("sys").path.insert(0, path), str(tmp_path))

    def results(module, *uses):
        """What each use gives now, by name."""
        space = {**vars(module), "module": module, "__name__": "__main__"}
        cell = f"def inside(x):\n    import {name}\n    return {name}.helper(x)\n"
        linecache.cache["<cell>"] = len(cell), None, cell.splitlines(keepends=True), "<cell>"
        exec(compile(cell, "<cell>", "exec"), space)
        found = {}
        for use in uses or USES:
            function, args = USES[use]
            made = eval(function, space)
            given = [eval(each, space) if isinstance(each, str) else each for each in args]
            found[use] = task(made, isolate=isolate).submit(*given).result(PATIENCE)
        return found

    def expected(more):
        return {use: (more if use == "object" else 1 + more) for use in USES}

    def write(more):
        file.write_text(LOADED.format(more=more))
        importlib.invalidate_caches()

    write(1)
    module = importlib.import_module(name)
    assert results(module) == expected(1)
    write(10)
    importlib.reload(module)
    assert results(module) == expected(10), "reloaded"
    module.helper.__code__ = (lambda x: x + 20).__code__
    assert results(module, "argument") == {"argument": 21}, "changed in memory"
    with pytest.raises(ConfigurationError, match="reload what was edited"):
        results(module, "inside")
    with pytest.raises(TypeError) as caught:
        results(module, "body")
    assert "reload what was edited" in caught.value.__notes__[0]
    write(100)
    assert results(module, "argument") == {"argument": 21}, "edited, and not reloaded"
    importlib.reload(module)
    assert results(module) == expected(100), "reloaded again"
    remembered = task(module.remembered, isolate=isolate, refresh_cache=True)
    for _ in range(2):  # at first nothing is in the memory here, then something that goes nowhere with its lock
        first = {remembered.submit(1).result(PATIENCE) for _ in range(6)}
        assert len(first) <= 2, "a worker lost its own memory"
        assert os.getpid() not in {pid for _, pid, _ in first}
        module.remembered(1)
