"""Entries in one file: out of one store, into another."""

import os
import tarfile
import tracemalloc

import numpy as np
import pytest

from nbflow.errors import ConfigurationError, StoreError
from nbflow.store import Draft, Store
from nbflow.store.trusted import Trusted

VALUES = {f"{n:032x}": [n, np.arange(n * 4000)] for n in range(6)}


def fill(store, values=VALUES, created=1.0):
    for key, value in values.items():
        store.save(Draft(key, "even" if int(key, 16) % 2 == 0 else "odd", value, 2.0, (), {}, created))
    return store


@pytest.fixture
def make(tmp_path):
    """Makes stores, each in a folder of its own."""
    made = []

    def new(name, secret=b"s" * 32, **options):
        made.append(Store(tmp_path / name, secret, warn=lambda text: None, **options))
        return made[-1]

    yield new
    for store in made:
        store.close()


def same(store, keys=VALUES):
    for key in keys:
        np.testing.assert_equal(store.load(store.find(key)[0]), VALUES[key])
    return True


def test_there_and_back(make, tmp_path):
    """Results could not be taken to another machine."""
    path = tmp_path / "all.nbflow"
    out = fill(make("a")).export(path)
    assert (out.entries, out.damaged, out.foreign) == (6, 0, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    store = make("b")
    assert store.import_(path) == (6, 0, 0, 0, True)
    assert same(store) and store.verify() == (6, 0, 0)
    assert store.import_(path) == (0, 6, 0, 0, True)
    assert store.leftovers() == ((), ())
    assert tarfile.is_tarfile(path), "other tools can look into it"
    assert sorted(os.listdir(tmp_path)) == ["a", "all.nbflow", "b"]


def test_chosen_tasks_only(make, tmp_path):
    """Sharing one result would give away all of them."""
    assert fill(make("a")).export(tmp_path / "x", ["odd", "odd"]).entries == 3
    store = make("b")
    store.import_(tmp_path / "x")
    assert {each.tag for each in store.entries()} == {"odd"}
    assert same(store, [key for key in VALUES if int(key, 16) % 2])


def test_the_newer_entry_stays(make, tmp_path):
    """An old bundle would undo a refresh."""
    fill(make("a")).export(tmp_path / "old")
    key = "0" * 31 + "3"
    store = fill(make("b"), {key: "new"}, created=5.0)
    assert store.import_(tmp_path / "old")[:2] == (5, 1)
    assert store.load(store.find(key)[0]) == "new"
    store.export(tmp_path / "new")
    older = make("a")
    assert older.import_(tmp_path / "new")[:2] == (1, 5)
    assert older.load(older.find(key)[0]) == "new"
    assert older.verify() == (6, 0, 0) and older.prune() == 0


def test_what_no_key_here_sealed_is_refused(make, tmp_path):
    """A bundle from anywhere could run code."""
    fill(make("a", b"theirs" * 8)).export(tmp_path / "x")
    store = make("b", trusted=Trusted(tmp_path / "trusted"))
    assert store.import_(tmp_path / "x") == (0, 0, 0, 6, True)
    assert store.stats().entries == 0 and store.leftovers() == ((), ())
    (tmp_path / "key").write_bytes(b"theirs" * 8)
    (tmp_path / "key").chmod(0o600)
    store._vault.trusted.add(tmp_path / "key")
    assert store.import_(tmp_path / "x").entries == 6
    assert same(store)
    store._vault.trusted.remove(store._vault.trusted.ids()[0])
    assert store.export(tmp_path / "y") == (0, 0, 0, 6)


def test_damage_is_left_out_on_both_sides(make, tmp_path):
    """One bad sector would spoil a bundle, or come in as a result."""
    store = fill(make("a"))
    path = max(store.folder.glob("blobs/*/*"), key=lambda each: each.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(data[:20_000] + b"\xff" + data[20_001:])
    assert store.export(tmp_path / "x")[0::2] == (5, 1)
    path.write_bytes(data)
    store.export(tmp_path / "y")
    whole = (tmp_path / "y").read_bytes()
    for at in (whole.index(data) + 20_000, whole.index(data) + 70):
        (tmp_path / "z").write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        other = make(f"b{at}")
        assert other.import_(tmp_path / "z") == (5, 0, 1, 0, True)
        assert other.verify() == (5, 0, 0)


def test_the_beginning_of_a_bundle_is_told_and_used(make, tmp_path):
    """A download that broke off would be lost, or pass for a whole one."""
    store = fill(make("a"))
    store.export(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    target = make("b")
    entries = 0
    for part in range(1, 10):
        (tmp_path / "cut").write_bytes(whole[: part * len(whole) // 10])
        found = target.import_(tmp_path / "cut")
        assert not found.whole or part == 9, "what tar pads at the end may be missing"
        entries += found.entries
        assert target.stats().entries == entries
        assert target.verify()[1:] == (0, 0)
    assert target.import_(tmp_path / "x").whole and same(target)
    assert target.leftovers() == ((), ())


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 20_000, "folder", "none", "other tar"])
def test_what_is_no_bundle_is_refused(make, tmp_path, content):
    """A wrong file name would end in a traceback, or make an empty store."""
    path = tmp_path / "x"
    if content == "other tar":
        with tarfile.open(path, "w") as tar:
            tar.add(__file__, "blobs/ab/../../../mine")
    elif content == "folder":
        path.mkdir()
    elif content != "none":
        path.write_bytes(content)
    store = make("a")
    with pytest.raises(ConfigurationError) as caught:
        store.import_(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert not store.folder.exists()


def test_names_in_a_bundle_are_not_trusted(make, tmp_path):
    """A forged bundle could write any file of the user's."""
    fill(make("a")).export(tmp_path / "x")
    with tarfile.open(tmp_path / "x") as tar, tarfile.open(tmp_path / "y", "w") as evil:
        for member in tar:
            data = tar.extractfile(member)
            if member.name.startswith("blobs/"):
                member.name = f"blobs/../../stray/{member.name[9:]}"
            evil.addfile(member, data)
        link = tarfile.TarInfo("blobs/00/0000000000000000-0123456789abcdef.nbf")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        evil.addfile(link)
    store = make("b")
    assert store.import_(tmp_path / "y").damaged > 0
    assert not (tmp_path / "stray").exists() and store.verify()[1:] == (0, 0)


@pytest.mark.parametrize(
    ("where", "error"), [(".", ConfigurationError), ("none/x", ConfigurationError), ("x" * 300, StoreError)]
)
def test_a_bundle_that_cannot_be_written_leaves_nothing(make, tmp_path, where, error):
    """A failed export would leave half a file, or a traceback."""
    store = fill(make("a"))
    with pytest.raises(error) as caught:
        store.export(tmp_path / where)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["a"]


def test_many_entries_take_little_memory(make, tmp_path):
    """A store with 100,000 entries would need gigabytes to be listed, checked or exported."""
    store = make("a")
    store.save(Draft(f"{0:032x}", "f", "x" * 2000, 1.0, (), {}, 1.0))
    store._index.run(
        lambda execute: execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
            "INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value) "
            "SELECT printf('%032x.0000000000000000', i), 1, 1, 1, 1, tag, size, 1, value FROM Cache, n"
        )
    )
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.entries()) == 20_001
        assert store.verify()[:2] == (1, 20_000)
        assert store.export(tmp_path / "x")[0::2] == (1, 20_000)
        assert len(store.stats().tasks) == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000, peak  # the rows take 40 MB
