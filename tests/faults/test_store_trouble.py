"""Disks that are full, read-only, gone, somebody else's: one clear line, and the caller goes on."""

import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

from nbflow.errors import StoreError
from nbflow.store import Draft, Store

SECRET = b"s" * 32
KEY = "ab" * 16


def draft(value, key=KEY):
    return Draft(key, "f", value, 1.0, (), {}, 1.0)


def refused(store, value=1):
    """What save says; a lookup must not be worse."""
    with pytest.raises(StoreError) as caught:
        store.save(draft(value))
    text = str(caught.value)
    assert "\n" not in text
    assert str(store.folder) in text
    assert store.claim(KEY)  # work goes on
    store.release(KEY)
    return text


def in_child(work, *, user=None):
    """Run a function in a child process, as another user if one is given; raises what it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user is not None and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001
            os.write(write, repr(error).encode()[:4000])
        finally:
            os._exit(code)
    os.close(write)
    said = b""
    while part := os.read(read, 4096):
        said += part
    os.close(read)
    assert os.waitpid(child, 0)[1] == 0, said.decode()


pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def open_folder():
    """A folder that any user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_file_stands_where_the_store_should_be(tmp_path):
    """A stray file would end a notebook with a Python traceback."""
    path = tmp_path / "store"
    path.write_text("mine")
    assert "file" in refused(Store(path, SECRET, warn=print))
    assert path.read_text() == "mine"
    assert "file" in refused(Store(path / "below", SECRET, warn=print))


def test_a_read_only_folder(open_folder):
    """A read-only share would break every step instead of leaving it uncached."""
    folder = open_folder / "store"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534) if os.geteuid() == 0 else None
    folder.chmod(0o555)
    in_child(lambda: refused(Store(folder, SECRET, warn=print)), user=65534)
    in_child(lambda: refused(Store(open_folder / "none" / "store", SECRET, warn=print)), user=65534)


def test_a_store_that_became_read_only(open_folder):
    """A remounted disk would lose results that were just computed."""
    folder = open_folder / "home" / "store"
    folder.parent.mkdir()
    os.chown(folder.parent, 65534, 65534) if os.geteuid() == 0 else None

    def use():
        store = Store(folder, SECRET, warn=print)
        store.save(draft(5))
        store.close()
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o500 if path.is_dir() else 0o400)
        store = Store(folder, SECRET, warn=print)
        with pytest.raises(StoreError):
            store.save(draft(6))
        try:
            assert [store.load(found) for found in store.find(KEY)] == [5]
        except StoreError as error:
            assert "\n" not in str(error)

    in_child(use, user=65534)


def test_somebody_elses_folder_is_refused(tmp_path):
    """Whoever owns the folder could swap files under a running notebook."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    os.chown(folder, 65534, 65534)
    assert "another user" in refused(Store(folder, SECRET, warn=print))
    assert list(folder.iterdir()) == []


def test_a_world_writable_folder_is_refused(tmp_path):
    """Anybody on the machine could plant files in the store."""
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o777)
    assert "chmod" in refused(Store(folder, SECRET, warn=print))


@pytest.mark.parametrize(
    "value",
    [np.zeros(200_000), [str(n) for n in range(200_000)], "small"],
    ids=["buffers", "stream", "row"],
)
def test_a_full_disk(tmp_path, value):
    """A full disk would lose the result, or leave half a file behind that counts as one."""

    def use():
        said = []
        store = Store(tmp_path / "store", SECRET, warn=said.append)
        store.save(draft("before", "cd" * 16))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (store.folder / "index" / "cache.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(size + 100, 100_000), resource.RLIM_INFINITY))
        for n in range(200):  # until the index itself is full
            try:
                store.save(draft([value, n], f"{n:032}"))
            except StoreError as error:
                assert "\n" not in str(error)
                break
        else:
            raise AssertionError("nothing was refused")
        assert store.load(store.find("cd" * 16)[0]) == "before"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert not list(store.folder.glob("blobs/*/.*"))
        store.save(draft(["after"]))
        assert store.load(store.find(KEY)[0]) == ["after"]
        entries = store.stats().entries
        assert store.verify() == (entries, 0, 0)
        assert said == []

    in_child(use)


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_store_deleted_under_way_is_made_anew(tmp_path, size):
    """`rm -rf .nbflow` in a terminal would silently lose everything that is saved until the next restart."""
    store = Store(tmp_path / "store", SECRET, warn=print)
    store.save(draft(np.zeros(size)))
    shutil.rmtree(store.folder)
    store._recheck = 0.0  # a second later
    assert store.find(KEY) == []
    assert store.claim(KEY)
    store.release(KEY)
    store.save(draft(np.ones(size)))
    assert store.load(store.find(KEY)[0])[0] == 1
    assert (store.folder / "index" / "cache.db").exists()
    assert Store(store.folder, SECRET, warn=print).find(KEY)
    shutil.rmtree(store.folder)  # and within that second
    try:
        store.save(draft(np.full(size, 2)))
    except StoreError as error:
        assert "\n" not in str(error)
    store._recheck = 0.0
    store.find(KEY)
    store.save(draft(np.full(size, 3)))
    assert store.load(store.find(KEY)[0])[0] == 3
    store.close()


def test_a_value_mapped_from_a_deleted_store_lives_on(tmp_path):
    """Deleting the cache would crash the kernel that shows a restored frame."""
    store = Store(tmp_path / "store", SECRET, warn=print)
    store.save(draft(np.arange(1_000_000)))
    value = store.load(store.find(KEY)[0])
    shutil.rmtree(store.folder)
    assert int(value.sum()) == 499_999_500_000
    store.close()


def test_a_half_made_index_is_finished(tmp_path):
    """A kernel killed during its very first save would leave a store that never works."""
    import sqlite3

    for statements in range(9):
        store = Store(tmp_path / str(statements), SECRET, warn=print)
        store.save(draft(1))
        store.close()
        with sqlite3.connect(store.folder / "index" / "cache.db") as table:
            made = table.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid DESC")
            for kind, name in made.fetchall()[: statements + 1]:
                table.execute(f"DROP {kind} IF EXISTS {name}")
        table.close()
        again = Store(store.folder, SECRET, warn=print)
        again.save(draft(2))
        assert again.load(again.find(KEY)[0]) == 2
        assert again.stats().entries >= 1
        again.close()
