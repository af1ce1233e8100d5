"""What every store must do, whatever it lies on and whatever serializes its values."""

import asyncio
import gc
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from nbflow.errors import ConfigurationError, InterfaceError, StoreError, UnstorableError
from nbflow.store import Draft, Store, serializer_of
from nbflow.trace import Fact, Trait
from tests.fakes import FakeClock

SECRET = b"s" * 32
KEY = "ab" * 16
OTHER = "cd" * 16


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["local", "network"])
def where(request):
    return {"network": request.param == "network"}


@pytest.fixture
def said():
    return []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, said, clock, where):
    """Makes stores on one folder, as processes and kernels would."""
    made = []

    def new(secret=SECRET, folder=tmp_path / "store", **options):
        options = {"clock": clock, **where, **options}
        made.append(Store(folder, secret, warn=said.append, **options))
        return made[-1]

    yield new
    for store in made:
        store.close()


@pytest.fixture
def store(make):
    return make()


def draft(value, key=KEY, tag="f", cost=1.0, facts=(), traits=None, created=1_700_000_000.0, serializer=None):
    return Draft(key, tag, value, cost, facts, traits or {}, created, serializer)


def back(store, key=KEY, serializer=None):
    [found] = store.find(key)
    return store.load(found, serializer)


VALUES = {
    "none": None,
    "number": 1.5,
    "text": "käse\ud800",
    "nested": {"a": [1, (2, {3})], "b": b"x" * 100},
    "medium bytes": b"x" * 20_000,
    "big bytes": bytes(range(256)) * 4000,
    "big text": "ab" * 200_000,
    "empty array": np.zeros(0),
    "small array": np.arange(10),
    "medium array": np.arange(1000.0),
    "array": np.arange(200_000.0),
    "fortran": np.asfortranarray(np.arange(100_000.0).reshape(100, 1000)),
    "strided": np.arange(400_000.0)[::2],
    "reversed": np.arange(100_000.0).reshape(100, 1000)[::-1, ::3],
    "broadcast": np.broadcast_to(np.arange(1000.0), (30, 1000)),
    "structured": np.zeros(9000, [("a", "i4"), ("b", "f8")]),
    "many arrays": [np.full(1500, i) for i in range(60)],
    "objects": np.array([{"a": 1}, None, "x"] * 5000, dtype=object),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_equal(store, value):
    """A cached result would differ from a computed one."""
    assert store.save(draft(value)) > 0
    again = back(store)
    assert type(again) is type(value)
    np.testing.assert_equal(again, value)
    if isinstance(value, np.ndarray):
        assert (again.dtype, again.flags.writeable) == (value.dtype, True)
        assert again.flags.f_contiguous == value.flags.f_contiguous or not value.flags.contiguous


def test_frames_and_tables_come_back_equal(store):
    """The most common results of notebooks would come back changed."""
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    sparse = pytest.importorskip("scipy.sparse")
    n = 30_000
    frame = pd.DataFrame({
        "f": np.arange(n, dtype=float), "i": range(n), "s": [f"n{i}" for i in range(n)],
        "t": pd.date_range("2026-01-01", periods=n, freq="s", tz="Europe/Berlin"), "c": pd.Categorical(["a", "b"] * (n // 2)),
    })  # fmt: skip
    store.save(draft(frame))
    again = back(store)
    pd.testing.assert_frame_equal(again, frame)
    again.loc[0, "f"] = 7.0
    pd.testing.assert_frame_equal(back(store), frame)
    table = pa.table({"a": np.arange(n), "s": [str(i) for i in range(n)]})
    store.save(draft(table))
    assert back(store).equals(table)
    polars = pl.DataFrame({"a": np.arange(n), "s": [str(i) for i in range(n)]})
    store.save(draft(polars))
    assert back(store).equals(polars)
    odd = pl.DataFrame({"c": pl.Series(["a", None], dtype=pl.Categorical), "l": [[1], [2, 3]], "o": [1.5, None]})
    for value in (odd, pl.DataFrame(), polars.head(0), polars["a"], pl.DataFrame({"t": pl.Series([0], dtype=pl.Time)})):
        store.save(draft(value))
        again = back(store)
        assert again.equals(value)
        assert getattr(again, "schema", 0) == getattr(value, "schema", 0)
    matrix = sparse.random(500, 500, 0.1, "csr", random_state=0)
    store.save(draft(matrix))
    assert (back(store) != matrix).nnz == 0


def test_sharing_within_a_value_survives(store):
    """Two names for one array would become two arrays, and a write to one would miss the other."""
    array = np.arange(100_000.0)
    store.save(draft({"a": array, "b": array}))
    again = back(store)
    assert again["a"] is again["b"]


@pytest.mark.parametrize("size", [3, 1000, 10_000, 1_000_000])
def test_changing_a_loaded_value_does_not_change_the_next_hit(store, size):
    """Sorting a cached array in place would corrupt every later hit."""
    store.save(draft(np.arange(size)))
    first = back(store)
    first[:] = -1
    assert back(store)[2] == 2


@pytest.mark.parametrize(
    "drop",
    [
        lambda store: store.clear(),
        lambda store: store.prune(older=0),
        lambda store: store.prune(max_size=1),
        lambda store: store.save(draft(1)),
    ],
    ids=["cleared", "swept", "evicted", "replaced"],
)
def test_a_loaded_value_outlives_its_entry(store, clock, drop):
    """Clearing the cache while a restored array is in use would crash the kernel."""
    store.save(draft(np.arange(1_000_000)))
    value = back(store)
    clock.now += 10
    drop(store)
    store.prune()
    store.close()
    assert int(value.sum()) == 499_999_500_000


def test_what_was_depended_on_comes_back(store):
    """`explain` could not say why a step ran, and changed files would be served from the cache."""
    facts = (Fact("file", "d\udcffta.csv", "00ff", [10, 1.5]), Fact("environment", "HOME", "", None))
    traits = {"the code": Trait("aa", ""), "input lr": Trait("bb", "0.1")}
    store.save(draft(1, facts=facts, traits=traits, cost=2.5, tag="tüf"))
    [found] = store.find(KEY)
    assert (found.facts, found.traits, found.tag, found.cost) == (facts, traits, "tüf", 2.5)
    assert found.created == 1_700_000_000.0
    assert store.traits("tüf", 5) == [traits]


def test_entries_with_other_facts_live_side_by_side_newest_first(store):
    """Editing a file and undoing the edit would compute everything again."""
    for at in (2, 1, 3):
        store.save(draft(at, facts=(Fact("file", "x", f"{at:02}"),), created=float(at)))
    store.save(draft(33, facts=(Fact("file", "x", "03", [5]),), created=3.5))  # hints do not count
    assert [store.load(found) for found in store.find(KEY)] == [33, 2, 1]
    assert store.find(OTHER) == []


def test_only_the_newest_entries_of_a_key_stay(store):
    """A step that reads a file which changes every minute would fill the disk."""
    for at in range(20):
        store.save(draft(np.full(9000, at), facts=(Fact("file", "x", f"{at:02}"),), created=float(at)))
    found = store.find(KEY)
    assert [int(store.load(each)[0]) for each in found] == list(range(19, 11, -1))
    assert len(list(store.folder.glob("blobs/*/*"))) == 8


def test_saving_again_replaces(store):
    """Refreshed results would be shadowed by old ones, or old files fill the disk."""
    for value in (np.zeros(9000), np.ones(9000)):
        store.save(draft(value))
    assert back(store)[0] == 1
    assert store.stats().entries == 1
    assert len(list(store.folder.glob("blobs/*/*"))) == 1


def test_newest_traits_come_first_also_after_a_refresh(store):
    """`explain` would compare with an old entry instead of the last run."""
    for key, short in ((KEY, "1"), (OTHER, "2"), (KEY, "3")):
        store.save(draft(0, key=key, traits={"input n": Trait("00", short)}))
    assert [traits["input n"].short for traits in store.traits("f", 5)] == ["3", "2"]
    assert len(store.traits("f", 1)) == 1


def test_a_lookup_makes_no_store(store):
    """Asking what is cached would litter folders with empty stores."""
    assert store.find(KEY) == []
    assert list(store.entries()) == []
    assert (store.traits("f", 3), store.clear(), store.forget(KEY), store.stats().entries) == ([], 0, 0, 0)
    assert store.verify() == (0, 0, 0)
    assert store.prune() == 0
    assert not store.folder.exists()


def test_forget_and_clear_take_rows_and_files(store):
    """Cleared results would come back, or their gigabytes stay on disk."""
    for key, tag in ((KEY, "f"), (OTHER, "g")):
        store.save(draft(np.zeros(9000), key=key, tag=tag))
        store.save(draft(1, key=key, tag=tag, facts=(Fact("file", "x", "00"),)))
    assert store.forget(KEY) == 2
    assert store.forget(KEY) == 0
    assert store.find(KEY) == []
    assert store.clear("f") == 0
    assert store.clear("g") == 2
    store.save(draft(1))
    [found] = store.find(KEY)
    assert store.forget(found.row) == 1
    assert store.clear() == 0
    assert list(store.folder.glob("blobs/*/*")) == []
    assert store.stats()[:2] == (0, 0)


def test_entries_lists_what_is_there(store, clock):
    """`%nbflow ls` would show nothing, or wrong sizes."""
    store.save(draft(np.zeros(9000), key=KEY, tag="f", cost=1.5))
    store.save(draft(1, key=OTHER, tag="g"))
    clock.now += 100
    back(store)
    [info] = store.entries("f")
    assert info.row.startswith(KEY)
    assert (info.tag, info.created, info.cost, info.accessed) == ("f", 1_700_000_000.0, 1.5, clock.now)
    assert info.size >= 72_000
    assert len(list(store.entries())) == 2
    assert store.stats().size == sum(each.size for each in store.entries())


def test_a_second_store_object_sees_the_same(make):
    """Another kernel would compute again what this one has stored."""
    make().save(draft({"a": np.arange(9000)}))
    assert back(make())["a"][5] == 5


def test_a_closed_store_can_be_used_again(store):
    """A store closed at the end of a flow would be dead for the next cell."""
    store.save(draft(1))
    store.close()
    assert back(store) == 1


# Serializers


@pytest.mark.parametrize("name", ["pickle", "joblib", "json", "compressed/pickle"])
def test_named_serializers(store, name):
    """`result_serializer=` would be ignored or break the cache."""
    value = {"rows": [1, 2.5, "x", None] * 5000}
    store.save(draft(value, serializer=serializer_of(name)))
    assert back(store) == value


def test_joblib_compresses(store):
    """Users who ask for compression would get none."""
    assert store.save(draft(np.zeros(1_000_000), serializer=serializer_of("joblib"))) < 100_000
    assert back(store).sum() == 0


def test_a_serializer_of_the_users_own(store):
    """Prefect-style serializers, or a plain module such as json, could not be used."""
    own = serializer_of(json)
    store.save(draft({"a": 1}, serializer=own))
    assert back(store, serializer=own) == {"a": 1}
    [found] = store.find(KEY)
    assert found.serializer == "json"
    for other in (None, Parted()):
        with pytest.raises(StoreError, match="json"):
            store.load(found, other)


def test_what_is_no_serializer_is_refused():
    """A typo in an option would show up as a cryptic error after a long run."""
    for wrong in ("zip", 5, object()):
        with pytest.raises(ConfigurationError):
            serializer_of(wrong)


class Parted:
    """Like a cell's: streams refer to objects that live elsewhere, with buffers of any size."""

    name = "parted"

    def dumps(self, value):
        return b"head", [b"", b"ab", bytearray(b"x" * value), memoryview(np.arange(10.0))[::2]]

    def loads(self, data, buffers):
        return bytes(data), [bytes(each) for each in buffers]


@pytest.mark.parametrize("size", [5, 100_000, 3_000_000])
def test_a_serializer_with_buffers_of_its_own(store, size):
    """Cells could not store their namespaces."""
    store.save(draft(size, serializer=Parted()))
    stream, buffers = back(store, serializer=Parted())
    assert (stream, buffers[:3]) == (b"head", [b"", b"ab", b"x" * size])
    assert buffers[3] == np.arange(10.0)[::2].tobytes()


class Odd:
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (lambda: 1, ""),
        ({"model": [1, {"lock": threading.Lock()}]}, "['model'][1]['lock']"),
        ([np.zeros(3), (1, Odd({"f": (x for x in ())}))], "[1][1].inner['f']"),
    ],
)
def test_what_cannot_be_stored_is_named(store, value, path):
    """A user would have to guess which of a hundred attributes holds the lock."""
    with pytest.raises(UnstorableError) as caught:
        store.save(draft(value))
    assert caught.value.path == path
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.find(KEY) == []
    assert list(store.folder.glob("blobs/*/*")) == []


def test_a_value_too_deep_to_pickle_is_refused(store):
    """A linked list of 100,000 would crash the kernel."""
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(UnstorableError, match="too deep"):
        store.save(draft(value))
    while value:
        value = value.pop()


def test_a_value_that_cannot_be_made_here_is_a_store_error(store, monkeypatch):
    """A class that was renamed since would raise a pickle error into the user's cell."""
    store.save(draft(Odd(1)))
    [found] = store.find(KEY)
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="cannot be made here"):
        patch.delitem(globals(), "Odd")
        store.load(found)
    assert back(store).inner == 1


# Seals and damage


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("padding", [0, 100_000])
def test_nothing_is_unpickled_that_another_key_sealed(make, said, tmp_path, padding):
    """Whoever can write to the store could run code as the user."""
    mark = tmp_path / "mark"
    stranger = make(secret=b"other" * 8)
    stranger.save(draft([Bomb(mark), np.zeros(padding)]))
    store = make()
    assert store.find(KEY) == store.find(KEY) == []
    assert len(said) == 1
    assert "NBFLOW_STORE_KEY_FILE" in said[0]
    store.save(draft("mine"))
    assert back(store) == "mine"
    assert not mark.exists()
    assert back(stranger)  # kept, and still theirs
    assert mark.exists()
    assert store.verify() == (1, 0, 1)


def test_a_missing_file_is_a_miss_and_said_once(store, said):
    """Deleting files by hand would break the notebook."""
    store.save(draft(np.zeros(9000)))
    [found] = store.find(KEY)
    next(store.folder.glob("blobs/*/*")).unlink()
    for _ in range(2):
        with pytest.raises(StoreError):
            store.load(found)
    assert len(said) == 1
    assert store.find(KEY) == []


def test_an_entry_evicted_between_look_and_load_is_no_damage(store, said):
    """A normal eviction by another kernel would alarm the user."""
    store.save(draft(np.zeros(9000)))
    [found] = store.find(KEY)
    store.clear()
    with pytest.raises(StoreError):
        store.load(found)
    assert said == []


def test_verify_finds_damage_and_repairs(store, said):
    """`nbflow verify` would call a broken store sound."""
    store.save(draft(np.zeros(9000)))
    store.save(draft(1, key=OTHER))
    path = next(store.folder.glob("blobs/*/*"))
    data = bytearray(path.read_bytes())
    data[20_000] ^= 1
    path.write_bytes(data)
    assert store.verify() == (1, 1, 0)
    assert said == []
    assert store.verify(repair=True) == (1, 1, 0)
    assert store.verify() == (1, 0, 0)
    assert len(said) == 1


# Bounds


def test_the_least_worth_is_evicted(make, clock):
    """A day's training would be thrown out for a second's download, or the disk run full."""
    store = make(max_size=1_000_000)
    for number in range(12):
        clock.now += 10
        cost = 1000.0 if number == 0 else 1.0
        store.save(draft(np.zeros(12_500), key=f"{number:032}", cost=cost, created=clock.now))
    left = {info.row[:32] for info in store.entries()}
    assert store.stats().size <= 1_000_000
    assert f"{0:032}" in left
    assert f"{11:032}" in left
    assert f"{1:032}" not in left
    assert len(list(store.folder.glob("blobs/*/*"))) == len(left)


def test_what_was_used_lately_stays(make, clock):
    """The results in daily use would be evicted before forgotten ones."""
    store = make(max_size=1_000_000)
    for number in range(9):
        clock.now += 10
        store.save(draft(np.zeros(12_500), key=f"{number:032}", created=clock.now))
    clock.now += 1000
    back(store, f"{0:032}")
    store.save(draft(np.zeros(12_500), key=f"{9:032}", created=clock.now))
    left = {info.row[:32] for info in store.entries()}
    assert f"{0:032}" in left
    assert f"{1:032}" not in left


def test_uses_are_written_down_soon(make, clock):
    """A kernel that only loads and is killed in the end would have its results evicted as if nobody used them."""
    store, other = make(), make()
    timer = store._flights._clock = FakeClock()
    for key in (KEY, OTHER):
        store.save(draft(1, key=key))
    for turn in range(2):
        clock.now += 100
        for key in (KEY, OTHER, KEY):
            back(store, key)
        assert max(info.accessed for info in other.entries()) < clock.now
        timer.advance(5)
        assert {info.accessed for info in other.entries()} == {clock.now}


def test_an_entry_larger_than_the_bound_is_refused(make):
    """One huge value would push out everything else, or fill the disk before it fails."""
    store = make(max_size=200_000)
    store.save(draft(1))
    for value in (np.zeros(100_000), ["x" * 1000 + str(n) for n in range(1000)], b"x" * 300_000):
        with pytest.raises(StoreError, match="max_size"):
            store.save(draft(value, key=OTHER))
    assert back(store) == 1
    assert list(store.folder.glob("blobs/*/*")) == []


def test_prune_by_age_and_size(store, clock):
    """`%nbflow prune` would not free what it says."""
    for number in range(10):
        store.save(draft(np.zeros(12_500), key=f"{number:032}", created=clock.now + number))
    clock.now += 10
    assert store.prune(older=5.5) >= 500_000
    assert store.stats().entries == 5
    assert store.prune(max_size=250_000) >= 200_000
    assert store.stats().size <= 250_000


def test_leftovers_are_swept_but_not_a_save_under_way(store, clock):
    """Files of killed kernels would pile up, or a running save lose its file."""
    store.save(draft(np.zeros(9000)))
    folder = next(store.folder.glob("blobs/*"))
    for name, age in ((".old.tmp", 4000), (".new.tmp", 10), (f"ab-{'0' * 16}.nbf", 4000)):
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (clock.now - age, clock.now - age))
    entry = next(path for path in folder.glob("*.nbf") if path.stat().st_size > 1000)
    os.utime(entry, (0, 0))
    assert store.prune() == 2000
    assert {path.name for path in folder.iterdir()} == {".new.tmp", entry.name}


# One flight per key


def test_a_claim_excludes_others_until_it_is_released(make):
    """Two cells that ask for one result would both compute it."""
    first, second = make(), make()
    assert first.claim(KEY, "a")
    assert not second.claim(KEY, "b", wait=False)
    assert second.claim(OTHER, "b", wait=False)
    first.release(KEY)
    assert second.claim(KEY, "b", wait=False)
    second.release(KEY)
    second.release(OTHER)
    second.release(OTHER)


def test_waiting_threads_take_turns(store):
    """Threads that wait for one result would all run at once when it fails."""
    running, most, turns = [], [], []

    def work(name):
        store.claim(KEY, name)
        running.append(name)
        most.append(len(running))
        turns.append(name)
        running.remove(name)
        store.release(KEY)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 16
    assert set(most) == {1}


def test_a_claim_may_be_released_by_another_thread(store):
    """A step that is parked in one thread and resumed in another would lock its key for ever."""
    store.claim(KEY, "step")
    thread = threading.Thread(target=store.release, args=(KEY,))
    thread.start()
    thread.join()
    assert store.claim(KEY, "other", wait=False)
    store.release(KEY)


def test_waiting_for_oneself_is_an_error(store):
    """A task that calls itself with the same inputs would hang for ever."""
    store.claim(KEY)
    with pytest.raises(InterfaceError):
        store.claim(KEY)
    store.release(KEY)


class Step:
    def __init__(self, parent=None):
        self.parent = parent


def test_waiting_for_a_step_one_runs_in_is_an_error(store):
    """A recursive task would hang for ever, at whatever depth it meets its own inputs."""
    outer = Step()
    inner = Step(Step(outer))
    store.claim(KEY, outer)
    for wait in (True, False):
        with pytest.raises(InterfaceError):
            store.claim(KEY, inner, wait=wait)
    assert not store.claim(KEY, Step(), wait=False)
    store.release(KEY, inner)  # not its own
    assert not store.claim(KEY, Step(), wait=False)
    store.release(KEY, outer)
    assert store.claim(KEY, inner, wait=False)
    store.release(KEY, inner)


def test_waiting_in_a_circle_is_an_error(store):
    """Two tasks that need each other's result would hang for ever."""
    store.claim(KEY, "a")
    store.claim(OTHER, "b")
    outcome = []
    waits = threading.Event()

    def second():
        waits.set()
        try:
            store.claim(KEY, "b")
            outcome.append("b waited")
            store.release(KEY)
        except InterfaceError:
            outcome.append("b refused")
        finally:
            store.release(OTHER)

    thread = threading.Thread(target=second)
    thread.start()
    waits.wait()
    try:
        store.claim(OTHER, "a")
        outcome.append("a waited")
        store.release(OTHER)
    except InterfaceError:
        outcome.append("a refused")
    store.release(KEY)
    thread.join()
    assert sorted(outcome) in (["a refused", "b waited"], ["a waited", "b refused"])


def test_a_parked_step_hears_when_the_key_is_free(store):
    """Async tasks that wait for a result would never wake."""
    store.claim(KEY, "a")
    heard = threading.Event()
    store.when_free(KEY, heard.set)
    assert not heard.is_set()
    store.release(KEY)
    assert heard.wait(10)
    again = threading.Event()
    store.when_free(KEY, again.set)  # free already
    assert again.wait(10)


def test_coroutines_take_turns(store):
    """Async tasks on one key would run it together, or block the event loop."""

    async def work(name, turns):
        loop = asyncio.get_running_loop()
        while not store.claim(KEY, name, wait=False):
            free = asyncio.Event()
            store.when_free(KEY, lambda free=free: loop.call_soon_threadsafe(free.set))
            await free.wait()
        turns.append(name)
        await asyncio.sleep(0)
        assert turns[-1] == name
        store.release(KEY)

    async def main():
        turns = []
        await asyncio.gather(*(work(n, turns) for n in range(20)))
        return turns

    assert sorted(asyncio.run(main())) == list(range(20))


def test_a_failing_listener_does_not_break_the_release(store):
    """An event loop that was closed meanwhile would break an unrelated step."""
    store.claim(KEY, "a")
    store.when_free(KEY, lambda: 1 / 0)
    store.release(KEY)
    assert store.claim(KEY, "b", wait=False)
    store.release(KEY)


# Manners


def test_nothing_is_left_open(make, tmp_path):
    """A kernel that opens many stores would run out of file descriptors."""

    def use(number):
        store = make(folder=tmp_path / str(number))
        store.claim(KEY)
        store.save(draft(np.zeros(200_000)))
        back(store)
        store.release(KEY)
        store.close()

    use(0)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 6):
        use(number)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_threads_share_a_store(store):
    """Fan-outs on threads would fail with SQLite's thread errors."""
    wrong = []

    def work(seed):
        for n in range(60):
            key = f"{(n * 7 + seed) % 40:032}"
            found = store.find(key)
            if not found:
                store.save(draft([key, np.zeros(n * 100)], key=key))
            elif store.load(found[0])[0] != key:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.stats().entries == 40
    assert store.verify() == (40, 0, 0)
