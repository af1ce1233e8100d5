"""Fixtures: a fresh session with a clock of its own and a store in a temporary folder, and checks for leaks."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

from nbflow.world.watch import _hook
from tests.fakes import FakeClock

if "COVERAGE_PROCESS_CONFIG" in os.environ:
    _hook.__cantrace__ = True  # else nothing in an audit hook is measured

settings.register_profile("thorough", max_examples=10_000, deadline=None)

OURS = "nbflow-"  # daemon threads that the process keeps: idle workers, the timer, the loop


@pytest.fixture(autouse=True)
def interruptible() -> None:
    """Ctrl-C raises: shells start what runs in the background with SIGINT ignored, and event loops leave handlers behind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_leaked_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test leaves no thread of its own behind."""
    if "unit" not in request.path.parts and "property" not in request.path.parts:
        yield
        return
    before = set(threading.enumerate())
    yield
    left = [each for each in threading.enumerate() if each not in before and not each.name.startswith(OURS)]
    for each in left:
        each.join(2)
    assert not [each for each in left if each.is_alive()], f"threads left behind: {left}"


@pytest.fixture
def clock() -> FakeClock:
    """Time that only moves when somebody sleeps; waits without a worker are over at once, unless `auto` is unset."""
    return FakeClock(auto=True)


@pytest.fixture
def fresh(tmp_path: Path, clock: FakeClock) -> Iterator[SimpleNamespace]:
    """The session with a FakeClock, an empty store and no events yet; all is put back, no file stays open.

    `events` lists what was told, `warned` what nbflow said, `store` is the folder.
    """
    from nbflow import logs
    from nbflow.session import Settings, session

    folder = tmp_path / "store"
    environ = session._environ
    kept = session.clock, session.settings, session.bus.sinks
    placed, session._placed = session._placed, {}
    said = set(logs._said)
    logs._said.clear()
    session._environ = {name: value for name, value in os.environ.items() if not name.startswith("NBFLOW_")}
    session.clock, session.settings, session._store = clock, Settings(store=folder), None
    events: list[Any] = []
    session.recent.clear()
    session.recorder.forget()  # what ran before would be written beside this test's store, some time later
    session.bus.sinks = (session.recent.append, events.append)
    try:
        yield SimpleNamespace(session=session, clock=clock, events=events, store=folder, warned=logs._said)
    finally:
        for store in (*filter(None, [session._store]), *session._placed.values()):
            store.close()
        session._environ, session._placed = environ, placed
        session.clock, session.settings, session.bus.sinks = kept
        session._store = None
        logs._said.clear()
        logs._said.update(said)
    assert not open_files(tmp_path), "files of a closed store are still open"


def open_files(folder: Path) -> list[str]:
    """Files under a folder that this process holds open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            target = str(each.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found
