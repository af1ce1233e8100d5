"""Whatever happens to the store's files: a miss at worst, never a wrong value, never code that was not sealed."""

import pickle
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from nbflow.errors import StoreError
from nbflow.store import Draft, Store
from nbflow.store.row import unpack
from nbflow.trace import Fact, Trait

SECRET = b"s" * 32
VALUES = {
    "0" * 32: {"small": 1, "text": "x" * 50},
    "1" * 32: [np.arange(800.0), "buffers in the row"],
    "2" * 32: np.arange(20_000.0),
    "3" * 32: [f"in the stream of a container {n}" * 300 for n in range(12)],
    "4" * 32: (np.arange(30_000), np.arange(9_000.0), "both"),
    "5" * 32: "with facts",
}


def fill(folder, values=VALUES):
    store = Store(folder, SECRET, warn=print)
    for key, value in values.items():
        facts = (Fact("file", "x.csv", "00"),) if key[0] == "5" else ()
        store.save(Draft(key, "f", value, 1.0, facts, {"the code": Trait("00", "")}, 1.0))
    store.close()
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("sound") / "store")


def visit(folder, again=VALUES):
    """How many values are still there; all must be right, and what is saved again is found."""
    said = []
    store = Store(folder, SECRET, warn=said.append)
    hits = 0
    for key, value in VALUES.items():
        try:
            for found in store.find(key):
                np.testing.assert_equal(store.load(found), value)
                assert found.traits == {"the code": Trait("00", "")}
                hits += 1
        except StoreError as error:
            assert "\n" not in str(error)
    assert len(said) <= len(VALUES) + 1
    for key, value in again.items():
        store.save(Draft(key, "f", value, 1.0, (), {"the code": Trait("00", "")}, 2.0))
        np.testing.assert_equal(store.load(store.find(key)[0]), value)
    store.close()
    return hits, said


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_forged_pickle_is_never_read(sound, tmp_path):
    """Whoever can write to the store could run code as the user (CVE-2025-69872)."""
    mark = tmp_path / "mark"
    bomb = pickle.dumps(Bomb(mark))
    pickle.loads(bomb)
    mark.unlink()  # the bomb works
    folder = tmp_path / "store"
    shutil.copytree(sound, folder)
    with sqlite3.connect(folder / "index" / "cache.db") as table:
        for number, key, body in table.execute("SELECT rowid, key, value FROM Cache").fetchall():
            found = unpack(key, body)
            start = found.end - len(found.payload)
            forged = body[:start] + bomb.ljust(len(found.payload), b".") + body[found.end :]
            mode = number % 4 + 1  # 4 is what diskcache would unpickle
            table.execute("UPDATE Cache SET value = ?, mode = ? WHERE rowid = ?", (forged, mode, number))
        table.execute("UPDATE Cache SET value = ? WHERE key LIKE '4%'", (bomb,))
        table.execute(
            "INSERT INTO Cache (key, raw, value, mode, store_time, access_time) VALUES (?, 0, ?, 4, 0, 0)", (bomb, bomb)
        )
    table.close()
    visit(folder)
    folder = tmp_path / "streams"
    shutil.copytree(sound, folder)
    for path in folder.glob("blobs/*/*.nbf"):
        data = bytearray(path.read_bytes())
        data[64 : 64 + len(bomb)] = bomb
        path.write_bytes(data)
    visit(folder)
    assert not mark.exists()


def test_names_of_files_from_the_index_are_not_trusted(sound, tmp_path):
    """A forged index could make `clear` delete any file of the user's."""
    folder = tmp_path / "store"
    shutil.copytree(sound, folder)
    mine = tmp_path / "mine.nbf"
    mine.write_text("precious")
    with sqlite3.connect(folder / "index" / "cache.db") as table:
        for number, name in enumerate(("../../mine.nbf", str(mine), "ab/../../../mine.nbf", None, 5, b"x")):
            table.execute("UPDATE Cache SET filename = ? WHERE rowid = ?", (name, number + 1))
    table.close()
    store = Store(folder, SECRET, warn=print)
    store.clear()
    store.prune()
    store.close()
    assert mine.read_text() == "precious"


def put_in(index, old, new):
    path = index / "cache.db"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("harm", "left"),
    [
        (lambda index: index.joinpath("cache.db").write_bytes(b"not a database at all" * 1000), 3),
        (lambda index: index.joinpath("cache.db").write_bytes(b""), 3),
        (lambda index: index.joinpath("cache.db").unlink(), 3),
        (shutil.rmtree, 3),
        (lambda index: put_in(index, b"value BLOB", b"valua BLOB"), 3),
        (lambda index: put_in(index, b"CREATE VIEW Settings", b"CREA\xc5E VIEW Settings"), 3),
        (lambda index: put_in(index, b"SELECT key FROM Settings", b"SELECT key FROM Xettings"), 6),
    ],
    ids=["garbage", "empty", "gone", "folder gone", "a column renamed", "not even text", "a trigger broken"],
)
def test_a_lost_index_is_rebuilt_from_the_containers(sound, tmp_path, harm, left):
    """A damaged file of a few KB would cost hours of results."""
    folder = tmp_path / "store"
    shutil.copytree(sound, folder)
    harm(folder / "index")
    store = Store(folder, SECRET, warn=print)
    store.save(Draft("f" * 32, "g", 1, 1.0, (), {}, 3.0))
    for key in ("2" * 32, "3" * 32, "4" * 32):
        np.testing.assert_equal(store.load(store.find(key)[0]), VALUES[key])
    assert {info.tag for info in store.entries()} == {"f", "g"}
    assert store.verify() == (left + 1, 0, 0)
    store.close()


def test_the_log_of_a_lost_index_is_not_taken_for_the_new_ones(tmp_path):
    """A sync tool that leaves a log without its index would damage the index that is made next."""
    first = Store(tmp_path / "first", SECRET, warn=print)
    for number in range(50):
        first.save(Draft(f"{number:032x}", "f", "x" * 500, 1.0, (), {}, 1.0))
    folder = tmp_path / "second"
    shutil.copytree(first.folder, folder)
    first.close()
    (folder / "index" / "cache.db").unlink()
    assert (folder / "index" / "cache.db-wal").stat().st_size > 100_000
    said = []
    store = Store(folder, SECRET, warn=said.append)
    store.save(Draft("f" * 32, "g", 1, 1.0, (), {}, 3.0))
    assert store._index.run(lambda execute: execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
    assert (store.verify(), said) == ((1, 0, 0), [])
    store.close()


def test_a_damaged_index_is_kept_and_what_it_still_tells_is_used(sound, tmp_path):
    """One bad page would cost every small result, and whoever wants to know what happened finds nothing."""
    folder = tmp_path / "store"
    values = {f"{n:032x}": f"value {n}" * 100 for n in range(400)}
    fill(folder, values)
    path = folder / "index" / "cache.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 8192 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    said = []
    store = Store(folder, SECRET, warn=said.append)
    got = sum(store.load(store.find(key)[0]) == value for key, value in values.items() if store.find(key))
    store.close()
    assert got > 50
    assert len(said) >= 1
    assert list(folder.glob("quarantine/index-*"))


def test_an_index_that_breaks_under_way_is_mended(sound, tmp_path):
    """A sync tool that touches the store would break a running notebook."""
    folder = tmp_path / "store"
    shutil.copytree(sound, folder)
    said = []
    store = Store(folder, SECRET, warn=said.append)
    assert store.find("2" * 32)
    (folder / "index" / "cache.db").write_bytes(b"garbage" * 10_000)
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / "index" / name).unlink(missing_ok=True)
    store._recheck = 0.0
    for key, value in VALUES.items():
        for found in store.find(key):
            np.testing.assert_equal(store.load(found), value)
        store.save(Draft(key, "f", value, 1.0, (), {}, 2.0))
    assert store.verify() == (len(VALUES), 0, 0)
    store.close()
