"""Stores and bundles that somebody else has made or changed: they run no code, and touch nothing outside."""

import os
import pickle
import resource
import tarfile
from contextlib import suppress

import pytest

from nbflow.errors import ConfigurationError, DamagedError, StoreError
from nbflow.store import Draft, Store
from nbflow.store.serializers import JSON, PICKLE, Compressed, Joblib, Paired, Pickle
from nbflow.store.trusted import Trusted

KEY = "ab" * 16
LONG_AGO = (1e9, 1e9)


class Marks:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def make(tmp_path):
    """Makes stores, each in a folder of its own."""
    made = []

    def new(name="store", secret=b"s" * 32, **options):
        made.append(Store(tmp_path / name, secret, warn=lambda text: None, **options))
        return made[-1]

    yield new
    for store in made:
        store.close()


def draft(value, serializer=None):
    return Draft(KEY, "f", value, 1.0, (), {}, 1.0, serializer)


@pytest.mark.parametrize("verify", ["full", "sealed"])
def test_what_is_stored_beside_a_value_is_sealed_too(make, tmp_path, verify):
    """Who may write the store could run code: bulk data has no seal of its own, and may be loaded unchecked."""
    store = make(verify=verify)
    beside = {"state": [*range(400)]}
    store.save(draft(bytes(100_000), Paired(PICKLE, beside)))
    [path] = store.folder.glob("blobs/*/*.nbf")
    data, true = path.read_bytes(), pickle.dumps(beside, 5)
    false = pickle.dumps(Marks(tmp_path / "ran"), 5)
    assert data.count(true) == 1 and len(false) <= len(true)
    path.write_bytes(data.replace(true, false.ljust(len(true), b".")))
    with pytest.raises(DamagedError):
        store.load(store.find(KEY)[0], Paired(PICKLE))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("inner", [Pickle(), Joblib(), JSON, Compressed(JSON)], ids=lambda each: each.name)
@pytest.mark.parametrize("count", [3, 20_000])
def test_two_values_come_back(make, inner, count):
    """A result whose random numbers are kept with it would be lost, or come back as something else."""
    store, value = make(), [*range(count)]
    store.save(draft(value, Paired(inner, {"seed": 1})))
    assert store.load(store.find(KEY)[0], Paired(inner)) == (value, {"seed": 1})


def test_nothing_of_another_key_is_unpickled(make, tmp_path):
    """A store from elsewhere could run code by being looked at."""
    mark = tmp_path / "ran"
    make(secret=b"theirs" * 8).save(draft(Marks(mark)))
    store = make(trusted=Trusted(tmp_path / "trusted"))
    assert store.find(KEY) == store.matching(KEY) == store.traits("f", 9) == []
    assert store.verify(repair=True) == (0, 0, 1)
    assert store.export(tmp_path / "x").foreign == 1
    assert [each.standing for each in store.owners()] == ["not trusted"]
    assert len([*store.entries()]) == 1 and not mark.exists()
    (tmp_path / "key").write_bytes(b"theirs" * 8)
    (tmp_path / "key").chmod(0o600)
    store._vault.trusted.add(tmp_path / "key")
    store.load(store.find(KEY)[0])
    assert mark.exists(), "it can run"


@pytest.mark.parametrize("link", ["blobs", "blobs/aa", "quarantine", "locks", ".gitignore", "CACHEDIR.TAG"])
def test_links_in_a_store_lead_nowhere(make, tmp_path, link):
    """A folder from elsewhere, with links in it, would have the user's own files deleted, or written over."""
    home = tmp_path / "home"
    (home / "docs").mkdir(parents=True)
    for name in ("a.txt", "docs/b.txt", "docs/c-0123456789abcdef.nbf"):
        (home / name).write_text("mine")
        os.utime(home / name, LONG_AGO)
    before = sorted(home.rglob("*"))
    store = make(max_size=1 << 20)
    (store.folder / link).parent.mkdir(parents=True)
    store.folder.chmod(0o700)
    (store.folder / link).symlink_to(home if link.isalpha() and link != "locks" or "/" in link else home / "made")
    with suppress(StoreError):
        store.save(draft(bytes(10)))
        assert store.leftovers() == ((), ())
        store.verify(repair=True)
        store.prune()
    assert sorted(home.rglob("*")) == before
    assert {path.read_text() for path in before if path.is_file()} == {"mine"}


def member(name, size=0, kind=tarfile.REGTYPE, harm=lambda header: None):
    """A header with its checksum."""
    found = tarfile.TarInfo(name)
    found.size, found.type = size, kind
    header = bytearray(found.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape"))
    harm(header)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def backwards(header):
    header[124:136] = b"\xff" + (256**11 - 1024).to_bytes(11, "big")


def sparse(header):
    header[386:410] = b"00000000000\0" * 2
    header[483:495] = b"%011o\0" % (1 << 32)


@pytest.fixture
def little_room():
    """No file may grow beyond 16 MB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


BLOB = "blobs/aa/aa-0123456789abcdef.nbf"


@pytest.mark.parametrize(
    "harmful",
    [
        member("rows/\udc80x", 100) + bytes(512),
        member("rows/x", 1 << 40) + bytes(1024),
        member(BLOB, 1 << 40) + bytes(1024),
        member("x", 1 << 50, tarfile.XHDTYPE) + bytes(1024),
        member("x", 1 << 50, tarfile.GNUTYPE_LONGNAME) + bytes(1024),
        member("rows/x", 512, harm=backwards) + bytes(1024),
        member(BLOB, 0, tarfile.GNUTYPE_SPARSE, harm=sparse),
        member(BLOB, 0, tarfile.LNKTYPE),
        member(BLOB, 0, tarfile.FIFOTYPE),
    ],
    ids=["name", "row", "blob", "pax", "long name", "backwards", "sparse", "link", "pipe"],
)
@pytest.mark.usefixtures("little_room")
def test_a_forged_bundle_is_no_more_than_refused(make, tmp_path, harmful):
    """It would fill the disk or the memory, go on for ever, or end in a traceback."""
    path = tmp_path / "x"
    path.write_bytes(member("nbflow-bundle", 2) + b"1\n".ljust(512, b"\0") + harmful + bytes(1024))
    store = make(max_size=1 << 20)
    with suppress(ConfigurationError):
        assert store.import_(path)[:2] == (0, 0)
    assert store.stats().entries == 0 and store.leftovers() == ((), ())
    assert not [*store.folder.glob("blobs/*/*")]


def test_a_place_of_trusted_keys_that_cannot_be_used_trusts_nobody(tmp_path):
    """Every look into a store that others use too would end in a traceback, and a key be trusted against one's will."""
    keys = Trusted(tmp_path / ("x" * 300))
    assert keys.seal(b"x" * 8) is None and keys.ids() == []
    with pytest.raises(StoreError, match="cannot be deleted"):
        keys.remove(b"x" * 8)
