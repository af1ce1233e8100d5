"""The ledger beside those who write to it at the same moment."""

import sqlite3
import threading
from contextlib import closing

import pytest

from nbflow import checkpoint, once
from nbflow.durable.ledger import ledger_of

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def ledger(fresh):
    """The ledger of the session's store, with a job, an effect that is done and one that is in doubt in it."""
    assert list(checkpoint("job", range(3))) == [0, 1, 2]
    once("done", len, "abc")
    with pytest.raises(ZeroDivisionError):
        once("doubt", divmod, 1, 0)
    return ledger_of(fresh.session.store)


def stranger(ledger):
    """A connection of another process, which waits for nobody."""
    return closing(sqlite3.connect(ledger.path, timeout=0, isolation_level=None, check_same_thread=False))


def test_what_is_read_before_a_write_is_still_so_when_it_is_written(ledger):
    """Two kernels would both read that an effect was never begun, and both begin it; or one would fail at random."""
    calls = []

    def work(execute):
        calls.append(execute("SELECT state FROM Effects WHERE key = 'doubt'").fetchall())
        with stranger(ledger) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE Effects SET state = 'done' WHERE key = 'doubt'")
        return execute("UPDATE Effects SET calls = 7 WHERE key = 'doubt' AND state = 'doubt'").rowcount

    assert ledger.write(work) == 1
    assert calls == [[("doubt",)]]
    assert once.status("doubt").calls == 7


OPERATIONS = {
    "mark": lambda: list(checkpoint("job", range(5))) == [3, 4],
    "chunk": lambda: [*map(len, checkpoint("job", range(500), chunk_size=250))] == [250, 247],
    "clear": lambda: checkpoint("job", range(3)).clear() == 3,
    "effect": lambda: once("new", len, "abc") == 3,
    "safe error": lambda: gives_up() == "unknown",
    "resolve": lambda: once.resolve("doubt", "retry") is None,
    "forget": lambda: once.forget("done"),
}


def gives_up():
    with pytest.raises(ZeroDivisionError):
        once.with_options(safe_errors=ZeroDivisionError)("safe", divmod, 1, 0)
    return once.status("safe").state


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whoever_writes_is_waited_for(fresh, ledger, operation):
    """A cell would fail with `database is locked` because another kernel wrote at the same moment."""
    ended, answer = threading.Event(), []

    def work():
        answer.append(OPERATIONS[operation]())
        ended.set()

    with stranger(ledger) as other:
        other.execute("BEGIN IMMEDIATE")
        thread = threading.Thread(target=work)
        thread.start()
        assert once.status("done").state == "done"  # who reads waits for nobody
        assert checkpoint("job", range(4)).progress == (3, 4)
        assert not ended.wait(0.3)
        other.execute("COMMIT")
        thread.join(30)
    assert answer == [True]
    assert not fresh.warned


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_transaction_that_an_interrupt_left_open_takes_nothing_with_it(ledger, operation):
    """What is done from then on would be undone when the kernel ends, and until then no other kernel could write."""
    ledger.link.execute("BEGIN IMMEDIATE")
    ledger.link.execute("UPDATE Effects SET calls = 99")
    assert OPERATIONS[operation]()
    with stranger(ledger) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (99,) not in other.execute("SELECT calls FROM Effects").fetchall()
