"""What ran, written down beside the work."""

import pytest

from nbflow import checkpoint, configure, history, task
from nbflow.durable.history import Run
from nbflow.durable.ledger import ledger_of


@pytest.fixture
def recorded(fresh):
    """The session hears of its steps as it does outside of tests."""
    fresh.session.bus.join(fresh.session.recorder)
    yield fresh
    fresh.session.recorder.flush()


def test_runs_are_remembered_and_hits_are_not(recorded):
    """Nobody could tell how long a step takes, or what failed last night; or each hit would write to the disk."""
    fail = [OSError("down"), OSError("down")]

    @task(retries=1)
    def fetch(n):
        recorded.clock.now += 2.0 + n
        if fail:
            raise fail.pop()
        return n

    with pytest.raises(OSError):
        fetch(1)
    fetch(2)
    assert [run[2:6:2] for run in history()] == [(4.0, "Completed"), (history()[1].seconds, "Failed")]
    last, first = history("fetch")
    assert type(last) is Run
    assert (first.task, first.attempts, first.outcome, first.error) == ("fetch", 2, "Failed", "OSError: down")
    assert (last.attempts, last.error, len(last.key)) == (1, "", 32)
    assert last.began > first.began > 1.7e9
    changes = _changes(recorded)
    for _ in range(5):
        assert fetch(2) == 2
    assert history(limit=1) == [last]
    assert _changes(recorded) == changes
    assert history("no such task") == []


def _changes(recorded):
    ledger = ledger_of(recorded.session.store)
    return ledger.read("SELECT count(*), max(number) FROM Runs"), ledger.read("PRAGMA data_version")


def test_they_outlive_the_session(recorded):
    """The time that is left could only be told from the second run of a session on."""

    @task(persist_result=True)
    def slow(n):
        recorded.clock.now += n
        return n

    assert history.expected("slow") is None
    for n in (3, 1, 2):
        slow(n)
    recorded.session.recorder.flush()
    recorded.session._store.close()
    recorded.session._store = None
    assert slow(3) == 3
    assert history.expected("slow") == 2.0
    assert len(history("slow")) == 3


def test_they_are_bounded(recorded, monkeypatch):
    """Years of runs would fill the disk."""
    recorder = recorded.session.recorder

    @task(persist_result=True)
    def fn(n):
        return n

    fn(0)
    history()
    ledger = ledger_of(recorded.session.store)
    row = ("old", 0.0, 0.0, 1, "Completed", "", "")
    put = (
        "INSERT INTO Runs (number, task, began, seconds, attempts, outcome, key, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    ledger.write(lambda execute: [execute(put, (200_000 + n, *row)) for n in range(10)])
    recorder._written = 10_000
    fn(1)
    assert len(history(limit=100)) == 11
    assert ledger.read("SELECT min(number) FROM Runs")[0][0] == 200_000


@pytest.mark.parametrize("off", [True, False])
def test_nothing_is_made_for_them(recorded, off):
    """Whoever keeps nothing would find a store in the folder."""

    @task(persist_result=False)
    def fn():
        return 1

    if off:
        configure(cache=False)
    fn()
    recorded.session.recorder.flush()
    assert not recorded.store.exists()
    assert history() == []


def test_jobs_are_among_them(recorded):
    """How long a job takes would be known of its parts only."""
    for _ in checkpoint("send", range(3)):
        recorded.clock.now += 1
    assert history("send")[0].outcome == "Completed"
