"""`isolate="process"`: a hard stop, and otherwise as if the call were made here."""

import _thread
import asyncio
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from nbflow import StepTimeout, WorkerDied, task
from nbflow.errors import ConfigurationError
from nbflow.events import Began, Failed, Started
from tests.integration.kernels import Kernel

PATIENCE = 60


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids):
    end = time.monotonic() + PATIENCE
    while any(map(alive, pids)):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.02)
    return True


def endless(pids):
    """Native code that hears no signal, with a child; notes both. It goes to a worker by value: imports take time."""

    def run():
        child = subprocess.Popen(["sleep", "600"])
        pids.write_text(f"{os.getpid()} {child.pid}")
        return sum(range(10**15))

    return run


def noted(pids):
    return [int(each) for each in pids.read_text().split()]


def test_native_code_ends_with_its_children(fresh, tmp_path):
    """A call that hangs in native code would hold the kernel until it is restarted, and its children for ever."""
    pids = tmp_path / "pids"
    hangs = task(isolate="process", timeout_seconds=3.0, persist_result=False)(endless(pids))
    with pytest.raises(StepTimeout) as info:
        hangs()
    ours = [each for each in info.traceback if "/nbflow/" in str(each.path)]
    assert len(ours) <= 2, ours  # one would look for one's own line among those of a library
    assert gone(noted(pids))
    assert isinstance(hangs.submit().exception(PATIENCE), StepTimeout) and gone(noted(pids))
    ran = task(isolate="process", persist_result=False)(os.getpid)
    assert ran() not in {os.getpid(), *noted(pids)} and ran() == ran()  # a new worker, which stays warm


def test_in_a_loop_others_go_on(fresh, tmp_path):
    """An async cell would stand still, or a cancelled one leave a process at work."""
    pids, ticks = tmp_path / "pids", []
    run = endless(pids)

    @task(isolate="process", timeout_seconds=3.0, persist_result=False)
    async def hangs():
        return run()

    @task(isolate="process", persist_result=False)
    async def forever():
        return run()

    async def main():
        async def tick():
            while True:
                ticks.append(1)
                await asyncio.sleep(0.05)

        ticking = asyncio.create_task(tick())
        with pytest.raises(StepTimeout):
            await hangs()
        assert len(ticks) > 5 and gone(noted(pids))
        pids.unlink()
        step = asyncio.create_task(forever())
        while not pids.exists() or len(noted(pids)) < 2:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        ticking.cancel()

    asyncio.run(main())
    assert gone(noted(pids))


@pytest.mark.parametrize("interrupts", [lambda: os.kill(os.getpid(), signal.SIGINT), _thread.interrupt_main])
def test_an_interrupt_ends_the_call_at_once(fresh, tmp_path, interrupts):
    """Ctrl-C would wait for the call, or leave its processes behind; also one that came before the wait and woke nobody."""
    pids = tmp_path / "pids"
    hangs = task(isolate="process", persist_result=False, retries=3)(endless(pids))

    def interrupt():
        end = time.monotonic() + PATIENCE
        while (not pids.exists() or len(noted(pids)) < 2) and time.monotonic() < end:
            time.sleep(0.02)
        interrupts()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        hangs()
    assert gone(noted(pids)) and len([e for e in fresh.events if type(e) is Started]) == 1


def test_a_death_is_an_error_that_can_be_retried(fresh, tmp_path):
    """An out-of-memory kill would hang the caller, or end the kernel."""
    mark = tmp_path / "mark"

    @task(isolate="process", persist_result=False, retries=1)
    def dies_once():
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "alive"

    @task(isolate="process", persist_result=False)
    def leaves():
        os._exit(3)

    assert dies_once() == "alive"
    with pytest.raises(WorkerDied, match="exit code 3"):
        leaves()


def test_otherwise_as_if_it_were_here(fresh, tmp_path, monkeypatch, capsys):
    """A step that is isolated would be another step: with other numbers, other files, other words."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a")

    @task(isolate="process")
    def draws(n):
        return [random.random() for _ in range(n)]

    @task(isolate="process")
    def rows():
        print("reading")
        return Path("rows.csv").read_text(), os.environ.get("WHERE")

    @task(isolate="process")
    def nested(x):
        return rows()[0] * x

    try:
        random.seed(1)
        expected = [random.random() for _ in range(3)]
        for _ in range(2):  # run, and hit
            random.seed(1)
            assert [*draws(2), random.random()] == expected
        assert draws.is_cached(2) is False  # the generator stands elsewhere
    finally:
        random.seed()
    monkeypatch.setenv("WHERE", "here")
    assert rows() == ("a", "here") and "reading" in capsys.readouterr().out
    monkeypatch.setenv("WHERE", "there")
    assert rows() == ("a", "there")
    assert nested(2) == "aa" and {e.task for e in fresh.events if type(e) is Began} == {"draws", "rows", "nested"}
    Path("rows.csv").write_text("bb")
    assert "rows.csv changed" in nested.explain(2).why and nested(2) == "bbbb"


def test_what_is_not_kept_counts_for_the_step_around_it(fresh, tmp_path, monkeypatch):
    """A step would hit with what was in a file before, as only a worker read it; and chance would repeat itself."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a")

    @task(isolate="process", persist_result=False)
    def rows(stem):
        return Path(f"{stem}{os.extsep}csv").read_text()

    @task(isolate="process", persist_result=False)
    def draws():
        return random.random()

    @task
    def report():
        return rows("rows")

    assert report() == "a" and report.is_cached()
    Path("rows.csv").write_text("bb")
    assert report() == "bb"
    try:
        random.seed(1)
        expected = [random.random() for _ in range(3)]
        random.seed(1)
        assert [draws(), draws(), random.random()] == expected
    finally:
        random.seed()


def test_the_users_lines_are_in_the_traceback(fresh):
    """An error in an isolated call could not be found."""

    @task(isolate="process", persist_result=False)
    def fails():
        raise ValueError("bad rows")

    with pytest.raises(ValueError, match="bad rows") as caught:
        fails()
    assert 'raise ValueError("bad rows")' in caught.value.__notes__[0]
    assert 'raise ValueError("bad rows")' in next(e for e in fresh.events if type(e) is Failed).trace


def test_a_wrong_kind_of_isolation():
    """A misspelled option would run the call where it can hang."""
    with pytest.raises(ConfigurationError, match="isolate"):
        task(isolate="thread")(int)


@pytest.mark.kernel
def test_in_a_kernel():
    """What cells define could not be isolated or mapped over processes, or a restart would leave workers behind."""
    kernel = Kernel(setup="import os\nfrom nbflow import task, ProcessPoolTaskRunner, StepTimeout")
    try:
        said = kernel.run("class Point:\n    def __init__(self, x): self.x = x\n\ndef double(x): return Point(2 * x)")
        said = kernel.run("@task(isolate='process')\ndef make(x):\n    return double(x)")
        said = kernel.run("p = make(4)\nprint(type(p) is Point, p.x, make.is_cached(4))")
        assert "True 8 True" in str(said)
        kernel.run("@task(isolate='process', timeout_seconds=1.0)\ndef hang():\n    return sum(range(10**15))")
        assert "StepTimeout" in str(
            kernel.run("try:\n    hang()\nexcept StepTimeout as e:\n    print(type(e).__name__)")
        )
        kernel.run("@task(persist_result=False)\ndef pid(x): return os.getpid()")
        said = kernel.run("with ProcessPoolTaskRunner(2) as r:\n    print([r.map(pid, {'x': range(4)}).result()])")
        pids = [int(each) for each in re.search(r"\[\[([\d, ]+)\]\]", str(said))[1].split(",")]
        assert all(map(alive, pids))
    finally:
        kernel.close()
    assert gone(pids)
