"""Effects in a transaction of the user's database: one suite for SQLite and for PostgreSQL.

PostgreSQL is started here, in a temporary folder, where its programs are installed; else its half is skipped.
"""

import os
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from nbflow import ConfigurationError, InDoubt, KeyConflict, UnstorableError, once

pytestmark = [pytest.mark.usefixtures("fresh"), pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


def programs():
    """The folder of PostgreSQL's server programs, or None."""
    found = shutil.which("initdb")
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    return Path(os.path.realpath(found)).parent if found else places[0].parent if places else None


def as_user(*words):
    """A command as somebody else than root, who may not run the server."""
    if os.geteuid():
        return words
    return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Where a server of our own listens: a socket in a folder, no port."""
    pytest.importorskip("psycopg", reason="PostgreSQL is not tried: psycopg is not installed", exc_type=ImportError)
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not tried: its server programs (initdb, pg_ctl) are not installed")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="nbflow-pg-", dir="/tmp") as name:
        folder = Path(name)
        if not os.geteuid():
            if not shutil.which("setpriv"):
                pytest.skip("PostgreSQL is not tried: it does not run as root, and there is no setpriv")
            shutil.chown(folder, "nobody", "nogroup")
        data = folder / "data"
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": folder,
            "check": True,
            "timeout": 120,
        }
        subprocess.run(as_user(where / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync"), **quiet)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        subprocess.run(as_user(where / "pg_ctl", "-D", data, "-w", "-o", options, "start"), **quiet)
        try:
            yield f"host={folder} user=tester dbname=postgres"
        finally:
            subprocess.run(as_user(where / "pg_ctl", "-D", data, "-m", "immediate", "stop"), **quiet)


class Database:
    """One of the two, with an empty table."""

    def __init__(self, kind, place):
        self.kind, self.place = kind, place
        self.mark = "?" if kind == "sqlite" else "%s"
        self.opened = []
        connection = self.connect()
        if kind == "postgres":
            connection.execute("DROP TABLE IF EXISTS nbflow_once")
            connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute("CREATE TABLE orders (key TEXT)")
        connection.commit()

    def connect(self, **options):
        if self.kind == "sqlite":
            connection = sqlite3.connect(self.place, timeout=30, check_same_thread=False, **options)
        else:
            import psycopg

            connection = psycopg.connect(self.place, **options)
        self.opened.append(connection)
        return connection

    def insert(self, connection, key):
        connection.execute(f"INSERT INTO orders VALUES ({self.mark})", (key,))
        return {"order": key}

    def orders(self):
        return sorted(key for (key,) in self.connect().execute("SELECT key FROM orders").fetchall())

    def rows(self):
        return sorted(self.connect().execute("SELECT key, state FROM nbflow_once").fetchall())

    def close(self):
        for each in self.opened:
            each.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    place = tmp_path / "user.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Database(request.param, place)
    yield made
    made.close()


def test_effect_and_row_are_committed_together(database):
    """An order would be entered twice, or be taken for entered."""
    connection = database.connect()
    inside = once.with_options(connection=connection)
    assert inside("order:9", database.insert, connection, "9") == {"order": "9"}
    assert inside("order:9", database.insert, connection, "9") == {"order": "9"}
    assert database.orders() == ["9"]
    assert database.rows() == [("order:9", "done")]
    other = database.connect()
    assert once.with_options(connection=other)("order:9", database.insert, other, "9") == {"order": "9"}
    with pytest.raises(KeyConflict):
        inside("order:9", database.insert, connection, "8")
    assert database.orders() == ["9"]


def test_an_error_leaves_neither(database):
    """A half of an order would stay, or a key be in doubt although nothing happened."""
    connection = database.connect()
    inside = once.with_options(connection=connection)

    def fails(connection, key):
        database.insert(connection, key)
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            inside("order:1", fails, connection, "1")
    assert database.orders() == []
    inside("order:2", database.insert, connection, "2")
    assert database.rows() == [("order:2", "done")]


def test_a_transaction_of_the_users_stays_theirs(database):
    """What the user rolls back would leave a row that says it is done; or be committed behind the user's back."""
    connection = database.connect()
    inside = once.with_options(connection=connection)
    inside("first", database.insert, connection, "first")
    database.insert(connection, "mine")
    inside("order:1", database.insert, connection, "1")
    connection.rollback()
    assert database.orders() == ["first"]
    assert database.rows() == [("first", "done")]
    database.insert(connection, "mine")

    def fails(connection):
        database.insert(connection, "half")
        raise ValueError

    with pytest.raises(ValueError):
        inside("order:2", fails, connection)
    inside("order:1", database.insert, connection, "1")
    connection.commit()
    assert database.orders() == ["1", "first", "mine"]
    assert [key for key, _ in database.rows()] == ["first", "order:1"]


def test_many_at_once(database):
    """Two workers with one order each would both enter it."""
    found, errors = [], []

    def work(seed):
        try:
            connection = database.connect()
            inside = once.with_options(connection=connection)
            for n in range(20):
                key = str((n * 7 + seed) % 20)
                found.append(inside(f"order:{key}", database.insert, connection, key)["order"] == key)
        except BaseException as error:
            errors.append(error)

    database.connect().execute("SELECT 1")
    first = database.connect()
    once.with_options(connection=first)("warm", database.insert, first, "warm")
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert found == [True] * 160
    assert database.orders() == sorted([*map(str, range(20)), "warm"])


def test_killed_between_effect_and_commit(database):
    """A process that died there would have entered the order without anybody knowing."""
    child = os.fork()
    if child == 0:
        connection = database.connect()

        def dies(connection, key):
            database.insert(connection, key)
            os._exit(7)

        dies.__name__ = "insert"
        once.with_options(connection=connection)("order:1", dies, connection, "1")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert database.orders() == []
    connection = database.connect()
    once.with_options(connection=connection)("order:1", database.insert, connection, "1")
    assert database.orders() == ["1"]


def test_a_function_that_commits_itself_is_told(fresh, database):
    """A promise that does not hold would be believed."""
    connection = database.connect()

    def commits(connection, key):
        database.insert(connection, key)
        connection.commit()
        return key

    inside = once.with_options(connection=connection)
    assert inside("order:1", commits, connection, "1") == "1"
    assert inside("order:1", commits, connection, "1") == "1"
    assert database.orders() == ["1"]
    assert any("ended the transaction itself" in text for text in fresh.warned)

    def dies(connection, key):
        connection.commit()
        raise SystemExit

    with pytest.raises(SystemExit):
        inside("order:2", dies, connection, "2")
    with pytest.raises(InDoubt):
        inside("order:2", dies, connection, "2")


def test_results_and_expiry(fresh, database):
    """A result that does not pickle would repeat the effect; an expired one would never be done again."""
    connection = database.connect()
    inside = once.with_options(connection=connection, expires="1d")

    def effect(connection):
        database.insert(connection, once.key())
        return threading.Lock()

    inside("k", effect, connection)
    with pytest.raises(UnstorableError, match="not repeated"):
        inside("k", effect, connection)
    fresh.clock.now += 86_400
    inside("k", effect, connection)
    assert len(set(database.orders())) == 2


def test_autocommit_is_refused(database):
    """There would be no transaction, and nothing exactly once."""
    options = {"isolation_level": None} if database.kind == "sqlite" else {"autocommit": True}
    with pytest.raises(ConfigurationError, match="autocommit"):
        once.with_options(connection=database.connect(**options))

    async def coroutine(connection):
        pass

    connection = database.connect()
    with pytest.raises(ConfigurationError, match="async"):
        once.with_options(connection=connection)("k", coroutine, connection)
