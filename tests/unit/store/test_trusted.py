"""Keys of others: what is trusted loads, what is not is left alone."""

import numpy as np
import pytest

from nbflow.errors import ConfigurationError, StoreError
from nbflow.store import Draft, Store
from nbflow.store.seal import Seal
from nbflow.store.trusted import Trusted, trusted_keys

MINE, THEIRS = b"mine" * 8, b"theirs" * 8
KEY = "ab" * 16


def draft(value, key=KEY, created=1.0):
    return Draft(key, "f", value, 1.0, (), {}, created)


@pytest.fixture
def keys(tmp_path):
    """Trusted keys, none yet."""
    return Trusted(tmp_path / "settings" / "trusted")


@pytest.fixture
def make(tmp_path, keys):
    made = []

    def new(secret=MINE):
        made.append(Store(tmp_path / "store", secret, warn=lambda text: None, trusted=keys))
        return made[-1]

    yield new
    for store in made:
        store.close()


@pytest.fixture
def their_file(tmp_path):
    path = tmp_path / "their.key"
    path.write_bytes(THEIRS + b"\n")
    path.chmod(0o600)
    return path


def test_what_a_trusted_key_sealed_loads_and_new_entries_are_ones_own(make, keys, their_file):
    """A colleague's results would have to be computed again, or one's own be sealed in their name."""
    for key, value in ((KEY, "small"), ("cd" * 16, np.arange(20_000))):
        make(THEIRS).save(draft(value, key))
    store = make()
    assert store.find(KEY) == []
    assert store.verify() == (0, 0, 2)
    number = keys.add(their_file)  # while the store is open, as from another terminal
    assert number == Seal(THEIRS).id
    assert store.load(store.find(KEY)[0]) == "small"
    assert store.load(store.find("cd" * 16)[0]).sum() == sum(range(20_000))
    assert store.verify() == (2, 0, 0)
    store.save(draft("mine", created=2.0))
    assert [store.load(each) for each in store.find(KEY)] == ["mine", "small"]
    assert {each.standing: each.entries for each in store.owners()} == {"yours": 1, "trusted": 2}
    assert keys.remove(number) and not keys.remove(number)
    assert [store.load(each) for each in store.find(KEY)] == ["mine"]
    assert {each.standing: each.entries for each in store.owners()} == {"yours": 1, "not trusted": 2}


def test_a_forged_entry_is_damage_although_its_key_is_trusted(make, keys, their_file):
    """Naming a trusted key's id would be enough to run code."""
    keys.add(their_file)
    forged = Seal(b"x" * 32)
    forged.id = Seal(THEIRS).id
    store = make(THEIRS)
    store._vault.seal = forged
    store.save(draft("forged"))
    assert make().find(KEY) == []
    assert make().verify() == (0, 0, 0), "it was not removed"


def test_others_entries_survive_a_lost_index(make, keys, their_file):
    """A damaged index of a few KB would delete what a colleague computed."""
    make(THEIRS).save(draft(np.arange(20_000)))
    store = make()
    store.close()
    (store.folder / "index" / "cache.db").unlink()
    make().save(draft("mine"))
    keys.add(their_file)
    assert {type(store.load(each)) for each in make().find(KEY)} == {np.ndarray, str}


def test_nothing_but_the_head_of_a_strangers_row_is_read(make):
    """A forged container could run code, or keep the store from being mended for ever."""
    store = make(THEIRS)
    store.save(draft(np.arange(20_000), created=float("nan")))
    store.save(draft(np.arange(30_000), "cd" * 16, created=1e300))
    store.close()
    (store.folder / "index" / "cache.db").unlink()
    mine = make()
    mine.save(draft("mine"))
    assert sorted((each.tag, each.created) for each in mine.entries()) == [("", 0.0), ("", 0.0), ("f", 1.0)]
    assert mine.verify() == (1, 0, 2)


def test_trusted_keys_are_kept_private_and_listed(keys, their_file, tmp_path):
    """A key that others can read lets them forge what this user loads."""
    assert keys.ids() == [] and keys.seal(b"x" * 8) is None
    number = keys.add(their_file)
    assert keys.add(their_file) == number
    assert Trusted(keys.folder).ids() == [number]
    [path] = keys.folder.iterdir()
    assert (path.stat().st_mode & 0o777, keys.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    path.rename(path.with_name("00" * 8 + ".key"))  # a name is no proof
    (keys.folder / "notes.txt").write_text("x")
    (keys.folder / "zz.key").write_text("x")
    assert Trusted(keys.folder).ids() == []


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        (lambda path: path.unlink(), ConfigurationError, "No such file"),
        (lambda path: path.chmod(0o644), StoreError, "others can read.*chmod 600"),
        (lambda path: path.chmod(0o660), StoreError, "others can write.*chmod 600"),
        (lambda path: path.write_text(""), StoreError, "too short"),
        (lambda path: (path.unlink(), path.mkdir()), ConfigurationError, "Is a directory"),
    ],
)
def test_what_is_no_key_to_trust_is_refused(keys, their_file, harm, error, says):
    """A file that anybody could have read or written would be trusted to run code."""
    harm(their_file)
    with pytest.raises(error, match=says) as caught:
        keys.add(their_file)
    assert "\n" not in str(caught.value)
    assert keys.ids() == []


def test_where_trusted_keys_lie(tmp_path, their_file):
    """They would lie in the store, where whoever can write it could add their own."""
    assert trusted_keys({"XDG_CONFIG_HOME": str(tmp_path)}).folder == tmp_path / "nbflow" / "trusted"
    with pytest.raises(StoreError, match="HOME"):
        Trusted(None).add(their_file)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be kept"):
        Trusted(tmp_path / "file" / "trusted").add(their_file)
