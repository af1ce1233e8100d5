"""Effects that happen once."""

import asyncio
import functools
import os
import sqlite3
import threading
import time

import pytest

from nbflow import (
    ConfigurationError,
    InDoubt,
    InProgress,
    InterfaceError,
    KeyConflict,
    LedgerError,
    StoreError,
    UnkeyableError,
    UnstorableError,
    checkpoint,
    once,
    task,
)
from nbflow.durable.ledger import ledger_of

pytestmark = pytest.mark.usefixtures("fresh")


def again(fresh):
    """As a new kernel would find it."""
    fresh.session._store.close()
    fresh.session._store = None


@pytest.fixture
def calls():
    return []


@pytest.fixture
def send(calls):
    """An effect; what it is to do may be put into `send.fails`."""

    def send(what, amount=1):
        calls.append((what, once.key()))
        if send.fails:
            raise send.fails
        return {"sent": what, "amount": amount}

    send.fails = None
    return send


def test_a_second_call_gives_the_stored_result(fresh, calls, send):
    """An invoice would be sent twice after a restart."""
    assert once("invoice:1", send, "a", amount=2) == {"sent": "a", "amount": 2}
    again(fresh)
    found = once("invoice:1", send, "a", amount=2)
    assert found == {"sent": "a", "amount": 2}
    found["sent"] = "changed"
    assert once("invoice:1", send, "a", amount=2)["sent"] == "a"
    assert once.status("invoice:1")[:3] == ("invoice:1", "done", 1)
    assert once.status("invoice:2").state == "unknown"
    assert len(calls) == 1
    assert once("none", lambda: None) is None
    assert once("none", lambda: None) is None


def test_a_key_stands_for_one_effect(send):
    """A copied line with a forgotten key would skip another customer's invoice in silence."""
    once("k", send, "a")
    with pytest.raises(KeyConflict, match=r"with other arguments \(fingerprint \w{12}, now \w{12}\)") as conflict:
        once("k", send, "secret-token")
    assert "secret-token" not in str(conflict.value)
    with pytest.raises(KeyConflict, match="with other arguments"):
        once("k", send, "a", amount=1)
    with pytest.raises(KeyConflict, match=r"for .*send\(\), now for len\(\)"):
        once("k", len, "a")
    assert once.with_options(namespace="mails")("k", len, "abc") == 3


@pytest.mark.parametrize("error", [ValueError("no answer"), KeyboardInterrupt()])
def test_an_error_is_in_doubt(fresh, calls, send, error):
    """A payment whose answer was lost would be made again without anybody having looked."""
    send.fails = error
    with pytest.raises(type(error)) as raised:
        once("pay:1", send, "a")
    assert raised.value is error
    assert "'pay:1' is in doubt" in error.__notes__[-1]
    again(fresh)
    send.fails = None
    with pytest.raises(InDoubt, match=r"raised \w+.*once\.resolve\('pay:1', 'done'\)"):
        once("pay:1", send, "a")
    assert once.status("pay:1").state == "in doubt"
    assert len(calls) == 1
    once.resolve("pay:1", "retry")
    assert once("pay:1", send, "a") == {"sent": "a", "amount": 1}
    assert len(calls) == 2
    assert len({key for _, key in calls}) == 1
    with pytest.raises(InterfaceError, match="it is done"):
        once.resolve("pay:1", "retry")


def test_what_is_known_to_have_happened(calls, send):
    """Whoever looked could not say so, or had to call again for a result."""
    send.fails = OSError()
    with pytest.raises(OSError):
        once("k", send, 1)
    once.resolve("k", "done", {"receipt": 7})
    assert once("k", send, 1) == {"receipt": 7}
    assert len(calls) == 1
    with pytest.raises(ConfigurationError):
        once.resolve("k", "perhaps")


def test_errors_that_are_safe(calls, send):
    """A connection that was refused, so that nothing can have happened, would stop the work all the same."""
    safe = once.with_options(safe_errors=(ConnectionRefusedError, KeyError))
    send.fails = ConnectionRefusedError()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            safe("k", send, 1)
    assert once.status("k").state == "unknown"
    send.fails = OSError()
    with pytest.raises(OSError):
        safe("k", send, 1)
    with pytest.raises(InDoubt):
        safe("k", send, 1)


def test_repeat_calls_again_with_the_same_key(fresh, calls, send):
    """A mail that must go out would stay, or the other side could not tell that it is the same one."""
    repeat = once.with_options(on_doubt="repeat")
    send.fails = OSError()
    for _ in range(3):
        with pytest.raises(OSError):
            repeat("mail:9", send, 9)
        again(fresh)
    send.fails = None
    repeat("mail:9", send, 9)
    repeat("mail:9", send, 9)
    assert len(calls) == 4
    (key,) = {key for _, key in calls}
    assert "mail" not in key
    assert once.status("mail:9").calls == 4
    repeat("mail:10", send, 9)
    assert calls[-1][1] != key


def test_key_is_for_inside():
    """A wrong idempotency key would be sent in silence."""
    with pytest.raises(InterfaceError, match="inside a function"):
        once.key()


def test_an_effect_within_itself():
    """A function that calls itself under one key would wait for itself for ever."""

    def effect():
        return once("k", effect)

    with pytest.raises(InProgress):
        once("k", effect)


def test_while_somebody_is_at_it(calls):
    """Two cells, or two kernels, would both send it, or the second one get no answer."""
    began, go, found = threading.Event(), threading.Event(), []

    def effect():
        calls.append(1)
        began.set()
        assert go.wait(10)
        return 7

    threads = [threading.Thread(target=lambda: found.append(once("k", effect))) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    assert once.status("k").state == "running"
    with pytest.raises(InProgress):
        once.with_options(in_progress="raise")("k", effect)
    with pytest.raises(InProgress):
        once.resolve("k", "retry")
    go.set()
    for thread in threads:
        thread.join(10)
    assert found == [7] * 10
    assert len(calls) == 1


def test_a_waiter_after_a_failure(calls):
    """Whoever waits would call again although the first call may have had its effect."""
    began, go, found = threading.Event(), threading.Event(), []

    def effect():
        calls.append(1)
        began.set()
        assert go.wait(10)
        raise OSError

    def call():
        try:
            once("k", effect)
        except (OSError, InDoubt) as error:
            found.append(type(error))

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, found)) == sorted(map(str, [OSError] + [InDoubt] * 4))
    assert len(calls) == 1


def test_coroutines(calls):
    """Effects that await could not be done once."""

    async def effect(n):
        calls.append(once.key())
        await asyncio.sleep(0)
        return n

    async def many():
        return await asyncio.gather(*(once(f"k{n % 3}", effect, n % 3) for n in range(12)))

    assert asyncio.run(many()) == [n % 3 for n in range(12)]
    assert len(calls) == 3

    async def fails():
        raise OSError

    with pytest.raises(OSError):
        asyncio.run(once("fails", fails))
    with pytest.raises(InDoubt):
        asyncio.run(once("fails", fails))


def test_tasks_and_partials(calls):
    """A task, or a function with its client bound in, could not be used."""

    @task(retries=2, persist_result=False)
    def flaky(n):
        calls.append(once.key())
        if len(calls) < 3:
            raise OSError
        return n

    assert once("task", flaky, 1) == 1
    assert (len(calls), len(set(calls))) == (3, 1)
    with pytest.raises(UnkeyableError, match=r"functools\.partial"):
        once("lock", lambda lock: 1, threading.Lock())
    assert once("partial", functools.partial(lambda lock, n: n, threading.Lock()), 2) == 2
    assert once("partial", functools.partial(lambda lock, n: n, threading.Lock()), 2) == 2


def test_expiry_makes_it_a_first_call_again(fresh, calls, send):
    """A weekly mail would go out once for ever, or the other side take the second one for the first."""
    weekly = once.with_options(expires="7d")
    weekly("mail", send, 1)
    fresh.clock.now += 6 * 86_400
    weekly("mail", send, 1)
    assert len(calls) == 1
    fresh.clock.now += 86_400
    assert once("mail", send, 1)
    assert weekly.status("mail").state == "unknown"
    weekly("mail", send, 1)
    weekly("mail", send, 1)
    assert len(calls) == len({key for _, key in calls}) == 2
    send.fails = OSError()
    fresh.clock.now += 1e8
    with pytest.raises(OSError):
        weekly("mail", send, 1)
    fresh.clock.now += 1e9
    with pytest.raises(InDoubt):
        weekly("mail", send, 1)
    weekly.resolve("mail", "retry")
    send.fails = None
    weekly("mail", send, 1)
    assert calls[-1] == calls[-2]
    assert once.forget("mail")
    assert not once.forget("mail")


@pytest.mark.parametrize("result", [threading.Lock(), b"x" * (2 << 20)])
def test_a_result_that_is_not_stored_is_not_repeated(fresh, calls, result):
    """A result that does not pickle would make the effect happen twice."""

    def effect():
        calls.append(1)
        return result

    assert once("k", effect) is result
    assert any("its result is not stored" in text for text in fresh.warned)
    for _ in range(2):
        with pytest.raises(UnstorableError, match="done and is not repeated"):
            once("k", effect)
    assert len(calls) == 1


def test_a_forged_result_is_not_unpickled(fresh, send):
    """Whoever can write to the ledger could run code."""
    once("k", send, 1)
    ledger = ledger_of(fresh.session.store)
    for data in (b"", b"\1" + b"k" * 40 + b"cos\nsystem\n(S'touch /tmp/nbflow-forged'\ntR."):
        ledger.write(lambda execute, data=data: execute("UPDATE Effects SET result = ?", (data,)))
        with pytest.raises(StoreError, match="done and is not repeated"):
            once("k", send, 1)
    assert not os.path.exists("/tmp/nbflow-forged")


def test_a_ledger_that_cannot_be_used_stops_the_effect(fresh, calls, send, tmp_path):
    """An effect would happen that nobody could write down."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError):
        once("k", send, 1)
    (tmp_path / "store").unlink()
    once("other", send, 1)
    again(fresh)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (fresh.store / name).unlink(missing_ok=True)
    (fresh.store / "ledger.db").write_bytes(b"nonsense" * 4096)
    for key in ("k", "other"):
        with pytest.raises(LedgerError, match="nothing was run"):
            once(key, send, 1)
    assert len(calls) == 1


def test_reading_waits_for_no_writer(fresh, send):
    """A finished effect would make a notebook wait for another one's transaction."""
    once("k", send, 1)
    with sqlite3.connect(fresh.store / "ledger.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        assert once("k", send, 1)
        assert once.status("k").state == "done"
        assert time.monotonic() - start < 1
        other.execute("ROLLBACK")
    other.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(send, calls):
    """A process pool in a notebook could damage the ledger, or do what its parent has done."""
    once("parent", send, 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            once("parent", send, 1)
            once("child", send, 2)
            code = 0 if len(calls) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert once("child", send, 2) == {"sent": 2, "amount": 1}
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"on_doubt": "guess"}, "on_doubt"),
        ({"in_progress": "hope"}, "in_progress"),
        ({"safe_errors": "OSError"}, "safe_errors"),
        ({"expires": "soon"}, "expires"),
        ({"namespace": "a/b"}, "namespace"),
        ({"connection": object()}, "sqlite3 or psycopg"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, what):
    """A typing error would cost an effect."""
    with pytest.raises(ConfigurationError, match=what):
        once.with_options(**options)


@pytest.mark.parametrize("call", [lambda: once("", len, "a"), lambda: once(7, len, "a"), lambda: once("k", "a")])
def test_keys_and_functions_that_cannot_be_meant(call):
    """An effect would be known by nothing."""
    with pytest.raises(ConfigurationError):
        call()


def test_in_a_job(calls, send):
    """Effects in a loop that is resumed could not be protected for the one item that was under way."""
    for n in checkpoint("job", range(3)):
        once(f"mail:{n}", send, n)
    assert len(calls) == 3
