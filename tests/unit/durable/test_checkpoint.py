"""Loops that go on where they stopped."""

import asyncio
import contextlib
import gc
import sqlite3
import threading

import pytest

from nbflow import (
    ConfigurationError,
    DamagedError,
    InterfaceError,
    LedgerError,
    NbflowError,
    UnkeyableError,
    UnstorableError,
    checkpoint,
    task,
)
from nbflow.context import Here, here
from nbflow.durable.ledger import ledger_of
from nbflow.events import Cancelled, Completed, Failed, Progressed
from tests.fakes import kinds

pytestmark = pytest.mark.usefixtures("fresh")


def again(fresh):
    """As a new kernel would find it: nothing in memory, all on disk."""
    fresh.session._store.close()
    fresh.session._store = None


def loop(name, items, until=None, **options):
    """What a loop gets; it is left at an item."""
    seen = []
    for item in checkpoint(name, items, **options):
        if item == until:
            break
        seen.append(item)
    return seen


def test_each_item_is_marked_after_its_body(fresh):
    """A send that was under way when the loop ended would be taken for done, or all of them be sent again."""
    assert loop("send", range(6), until=3) == [0, 1, 2]
    again(fresh)
    job = checkpoint("send", range(6))
    assert (job.done, job.remaining, str(job.progress), float(job.progress)) == (3, 3, "3/6", 0.5)
    assert list(job) == [3, 4, 5]
    assert (job.done, job.remaining, job.progress) == (6, 0, (6, 6))
    assert list(checkpoint("send", range(6))) == []
    assert list(checkpoint("another", range(6))) == list(range(6))


@pytest.mark.parametrize("how", ["break", "return", "error", "interrupt", "caught"])
def test_a_loop_that_is_left_leaves_its_item_undone(how):
    """An item whose body failed would never be tried again, or could not be, since it still seemed to be under way."""
    seen = []

    def body():
        for item in checkpoint("job", "abc"):
            seen.append(item)
            if item == "b":
                if how == "break":
                    break
                if how == "return":
                    return
                raise {"error": ValueError, "caught": ValueError, "interrupt": KeyboardInterrupt}[how]

    kept = None
    try:
        body()
    except (ValueError, KeyboardInterrupt) as error:
        kept = error  # with its traceback, as a notebook keeps it
        if how == "caught":
            assert loop("job", "abc") == ["b", "c"]
            return
    assert loop("job", "abc") == ["b", "c"]
    assert (kept is None) == (how in ("break", "return"))


def test_for_else_and_continue():
    """`else` would not run at the end, or an item that was skipped would come again."""
    for item in checkpoint("job", range(3)):
        if item == 1:
            continue
    else:
        assert loop("job", range(3)) == []
        return
    raise AssertionError


@pytest.mark.parametrize(
    ("first", "then", "new"),
    [
        ([1, 2, 3], [1, 2, 3, 4], [4]),
        ([1, 2, 3], [3, 4, 1, 2], [4]),
        ([1], [True, 1.0, "1"], [True, 1.0, "1"]),
        ([{"a": [1, 2]}], [{"a": [1, 2]}, {"a": (1, 2)}], [{"a": (1, 2)}]),
        ([float("nan"), b"x" * 100_000], [b"x" * 100_000, float("nan")], []),
        ([], [1, 1, 1], [1]),
    ],
)
def test_items_are_known_by_their_content(fresh, first, then, new):
    """A list that has grown or is sorted in another way would be done all over, or an item be taken for another."""
    assert loop("job", first) == first or first != first
    again(fresh)
    assert loop("job", then) == new


def test_items_are_known_by_their_key(fresh):
    """A record that was updated since would be sent again."""
    loop("job", [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}], key=lambda item: item["id"])
    again(fresh)
    assert loop("job", [{"id": 1, "text": "changed"}, {"id": 3}], key=lambda item: item["id"]) == [{"id": 3}]
    with pytest.raises(UnkeyableError, match=r"item 1.*give key="):
        list(checkpoint("locks", [1, threading.Lock()]))
    with pytest.raises(UnkeyableError, match="item 1: its key= is None"):  # all without one would be one, and dropped
        list(checkpoint("missing", [{"id": 1}, {}, {}], key=lambda item: item.get("id")))


def test_values_are_kept_with_their_items(fresh):
    """The results of a night would be gone with the kernel."""
    with checkpoint("embed", range(5)) as job:
        for item in job:
            if item == 3:
                break
            job.save([item] * 10)
    with pytest.raises(InterfaceError, match="3/5"):
        job.results()
    assert job.results(partial=True) == [[n] * 10 for n in range(3)]
    again(fresh)
    with checkpoint("embed", [4, 3, 2, 1, 0, 2]) as job:
        assert str(job.progress) == "3/5"
        got = []
        for item in job:
            got.append(item)
            job.save([item] * 10)
        assert got == [4, 3]
        results = job.results()
    assert results == [[n] * 10 for n in (4, 3, 2, 1, 0, 2)]
    results[0].append("changed")
    assert checkpoint("embed", range(5)).results()[4] == [4] * 10


def test_chunks(fresh):
    """Calls that take 50 texts at once could not be resumed, or a list that has grown would fall into other chunks."""
    numpy = pytest.importorskip("numpy")
    with checkpoint("embed", range(10), chunk_size=4) as job:
        sizes = []
        for chunk in job:
            sizes.append(len(chunk))
            job.save(numpy.array([[n, n * n] for n in chunk]))
            if len(sizes) == 2:
                break
    assert sizes == [4, 4]
    again(fresh)
    with checkpoint("embed", range(13), chunk_size=4) as job:
        chunks = []
        for chunk in job:
            chunks.append(chunk)
            with pytest.raises(InterfaceError, match="as many values"):
                job.save([1] * 9)
            with pytest.raises(InterfaceError, match="as many values"):
                job.save(7)
            job.save([[n, n * n] for n in chunk])
        assert chunks == [[8, 9, 10, 11], [12]]
        assert [list(value) for value in job.results()] == [[n, n * n] for n in range(13)]


def test_an_iterator_is_taken_from_as_the_loop_goes_on(fresh):
    """A reader of a file of millions of lines would be read to its end before anything is done."""
    taken = []

    def source():
        for n in range(100):
            taken.append(n)
            yield n

    job = checkpoint("lines", source())
    for n in job:
        if n == 2:
            break
    assert taken == [0, 1, 2]
    assert (job.done, job.remaining, str(job.progress)) == (2, None, "2 done")
    again(fresh)
    with checkpoint("lines", source()) as job:
        for n in job:
            job.save(-n)
            if n == 4:
                break
        assert list(job) == list(range(5, 100))  # without values
        assert job.results() == [None, None, -2, -3, -4] + [None] * 95
        assert job.progress == (100, 100)


def test_map_follows_the_code(fresh):
    """Values of an older version of a function would be mixed with new ones, or an edit that is taken back cost all."""
    calls = []

    def scaled(factor):
        def fn(n):
            calls.append(n)
            return n * factor

        return fn

    once, twice = scaled(1), scaled(2)
    assert checkpoint("job", range(4)).map(once) == [0, 1, 2, 3]
    again(fresh)
    assert checkpoint("job", range(5)).map(once) == [0, 1, 2, 3, 4]
    assert sorted(calls) == [0, 1, 2, 3, 4]
    assert checkpoint("job", range(5)).map(twice) == [0, 2, 4, 6, 8]
    assert checkpoint("job", range(5)).map(once) == [0, 1, 2, 3, 4]
    assert len(calls) == 10
    assert checkpoint("job", range(5)).map(once, version="1") == [0, 1, 2, 3, 4]
    assert checkpoint("job", range(5)).map(twice, version="1") == [0, 1, 2, 3, 4]
    assert str(checkpoint("job", range(5)).progress) == "5/5"


def test_a_failure_keeps_the_others(fresh):
    """One bad document of a hundred would cost the other ninety-nine, or be hard to find."""
    bad, calls = {5, 7}, []

    @task(persist_result=False)
    def fn(n):
        calls.append(n)
        if n in bad:
            raise ValueError(f"no {n}")
        return -n

    with pytest.raises(ValueError, match="no 5") as failed:
        checkpoint("job", range(10)).map(fn)
    assert "item 5 of 10" in failed.value.__notes__[-1]
    assert "item 7, fn(7): ValueError: no 7" in failed.value.__notes__[-1]
    again(fresh)
    calls.clear()
    assert checkpoint("job", range(10)).map(fn, errors="skip") == [-n for n in range(10) if n not in bad]
    assert sorted(calls) == [5, 7]
    bad.clear()
    assert checkpoint("job", range(10)).map(fn, version="new")[7] == -7


def test_stop_on_an_error():
    """A service that is down would be called for each of the items that are left."""
    calls = []

    def fn(n):
        calls.append(n)
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        checkpoint("job", range(1000)).map(fn, on_error="stop")
    assert len(calls) < 200


def test_a_task_in_a_map_keeps_its_options(fresh):
    """Retries of a task, its runner and its own results would not hold inside of a job."""
    failing = set(range(6))

    @task(retries=2, cache_expiration="1s")
    def flaky(n):
        if n in failing:
            failing.discard(n)
            raise OSError
        return n

    assert checkpoint("job", range(6)).map(flaky) == list(range(6))
    fresh.clock.now += 1e6  # what is done in a job does not expire
    again(fresh)
    failing.update(range(6))
    assert checkpoint("job", range(6)).map(flaky) == list(range(6))
    assert failing == set(range(6))


def test_map_in_chunks_and_coroutines():
    """A function for a batch, or one that awaits, could not be mapped."""

    async def double(n):
        await asyncio.sleep(0)
        return 2 * n

    assert checkpoint("chunks", range(7), chunk_size=3).map(lambda chunk: [2 * n for n in chunk]) == [
        2 * n for n in range(7)
    ]
    assert checkpoint("awaits", range(3)).map(double) == [0, 2, 4]


def test_async_loops(fresh):
    """Loops that await could not be resumed."""

    async def body(until):
        seen = []
        async with checkpoint("job", range(5)) as job:
            async for n in job:
                await asyncio.sleep(0)
                if n == until:
                    break
                seen.append(n)
                job.save(-n)
        return seen, job.results(partial=True)

    assert asyncio.run(body(2)) == ([0, 1], [0, -1])
    again(fresh)
    assert asyncio.run(body(None)) == ([2, 3, 4], [0, -1, -2, -3, -4])


def test_threads_share_the_items():
    """Two threads on one job would do everything twice."""
    seen, starts = [], threading.Barrier(4)

    def work(job):
        starts.wait()
        for n in job:
            seen.append(n)
        assert job.progress == (200, 200)

    one = checkpoint("job", range(200))
    threads = [
        threading.Thread(target=work, args=(job,)) for job in (one, one, *(checkpoint("job", range(200)) for _ in "12"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == list(range(200))


@pytest.mark.parametrize("size", [3, 450])
def test_what_others_did_meanwhile_is_left_out_of_chunks(size):
    """A chunk would hold items that somebody else has done since the loop began, or come short of its size."""
    chunks = iter(checkpoint("job", range(1000), chunk_size=size))
    assert next(chunks) == list(range(size))
    assert list(checkpoint("job", range(size, 1000, 2))) == list(range(size, 1000, 2))
    rest = list(range(size + 1, 1000, 2))
    assert list(chunks) == [rest[at : at + size] for at in range(0, len(rest), size)]


@pytest.mark.parametrize("others", [0, 1, 9])
def test_a_job_among_others(fresh, others):
    """What is done would be forgotten where other jobs went on at the same time, or later."""
    for n in range(20):
        assert loop("job", [n]) == [n]
        for other in range(others):
            loop(f"job {other}", [n])
    again(fresh)
    assert loop("job", range(22)) == [20, 21]
    assert checkpoint("job", range(22)).progress == (22, 22)


def test_tasks_of_one_loop_share_the_items():
    """Two tasks of an event loop on one job would do everything twice, or wait for each other for ever."""
    seen = []

    async def work(job):
        async for n in job:
            await asyncio.sleep(0.001)
            seen.append(n)

    async def both():
        await asyncio.gather(work(checkpoint("job", range(20))), work(checkpoint("job", range(20))))

    asyncio.run(both())
    assert sorted(seen) == list(range(20))


def test_an_item_that_failed_elsewhere_is_done_here():
    """An item would be left out because somebody else tried it in vain."""
    began, may_fail, seen = threading.Event(), threading.Event(), []

    def fails():
        with contextlib.suppress(ValueError):
            for _ in checkpoint("job", [1]):
                began.set()
                assert may_fail.wait(10)
                raise ValueError

    other = threading.Thread(target=fails)
    other.start()
    assert began.wait(10)
    job = iter(checkpoint("job", [1, 2]))
    seen.append(next(job))
    may_fail.set()
    seen += job
    other.join()
    assert seen == [2, 1]


def test_jobs_within_jobs(fresh):
    """A job for each folder and one for its files could not be written down; a job within itself would wait for ever."""
    seen = []
    for outer in checkpoint("outer", "ab"):
        for inner in checkpoint(f"inner {outer}", range(2)):
            seen.append((outer, inner))
            if (outer, inner) == ("b", 1):
                break
    assert len(seen) == 4
    again(fresh)
    assert list(checkpoint("inner b", range(2))) == [1]
    with pytest.raises(InterfaceError, match="waits for its own"):
        for _ in checkpoint("job", [1]):
            for _ in checkpoint("job", [1]):
                pass


def test_two_loops_that_go_on_by_turns(fresh):
    """After a `zip` of two jobs all that follows would be shown as steps of a job that has ended, at a growing cost."""
    pairs = list(zip(checkpoint("left", range(40)), checkpoint("right", range(40)), strict=False))
    assert len(pairs) == 40
    assert here.get() == Here()


def test_save_belongs_into_the_loop():
    """A value would be kept for whichever item came last."""
    job = checkpoint("job", [1, 2])
    with pytest.raises(InterfaceError, match="belongs into the body"):
        job.save(1)
    with job:
        for outer in job:
            inner = checkpoint(f"inner {outer}", [7])
            for n in inner:
                job.save("outer")
                inner.save(n)
        assert (job.results(), inner.results()) == (["outer", "outer"], [7])


@pytest.mark.parametrize("damage", ["deleted", "flipped", "cleared"])
def test_an_item_whose_value_is_gone_is_not_done(fresh, damage):
    """A job would end without a result, or with a wrong one, because of a bad disk or an eviction."""
    with checkpoint("big", range(3)) as job:
        for n in job:
            job.save(bytes([n]) * 100_000)
    again(fresh)
    path = sorted((fresh.store / "blobs").glob("*/*.nbf"))[1]
    if damage == "deleted":
        path.unlink()
    elif damage == "flipped":
        data = bytearray(path.read_bytes())
        data[5000] ^= 1
        path.write_bytes(data)
    else:
        assert fresh.session.store.clear("big") == 3
        assert list(checkpoint("big", range(3))) == [0, 1, 2]
        return
    job = checkpoint("big", range(3))
    with pytest.raises(DamagedError, match="1 values"):
        job.results()
    assert any("the job 'big' is damaged" in text for text in fresh.warned)
    assert job.progress == (2, 3)
    made = []
    with job:
        for n in job:
            made.append(n)
            job.save(bytes([n]) * 100_000)
    assert job.results() == [bytes([n]) * 100_000 for n in range(3)]
    assert len(made) == 1


def test_map_makes_damaged_values_again(fresh):
    """One damaged file would make a finished job fail."""
    calls = []

    def fn(n):
        calls.append(n)
        return bytes([n]) * 100_000

    checkpoint("big", range(3)).map(fn)
    again(fresh)
    next((fresh.store / "blobs").glob("*/*.nbf")).unlink()
    assert checkpoint("big", range(3)).map(fn) == [bytes([n]) * 100_000 for n in range(3)]
    assert len(calls) == 4


def test_what_cannot_be_kept_is_named():
    """A value that does not pickle would be lost in silence, or cost the others."""
    with checkpoint("job", "abc") as job, pytest.raises(UnstorableError, match=r"item 1 of the job 'job'.*lock"):
        for item in job:
            job.save(threading.Lock() if item == "b" else item)
    assert str(job.progress) == "1/3"
    with pytest.raises(UnstorableError, match="item 2 of"):
        checkpoint("map", range(4)).map(lambda n: threading.Lock() if n == 2 else n)
    assert checkpoint("map", range(4)).done == 3


def test_a_disk_that_takes_nothing_costs_a_rerun_only(fresh, tmp_path):
    """A full disk would end a loop in which everything else went well, or mark what is not kept."""
    (tmp_path / "store").write_text("a file in the way")
    with checkpoint("job", range(3)) as job:
        for n in job:
            job.save(n)
        assert job.results() == [0, 1, 2]
        assert job.done == 0
    assert checkpoint("map", range(3)).map(lambda n: -n) == [0, -1, -2]
    assert list(checkpoint("job", range(3))) == [0, 1, 2]
    assert len(fresh.warned) < 5


def test_a_damaged_ledger_stops_jobs_and_not_the_cache(fresh):
    """Mails would be sent again because a file was damaged; or nothing would work at all."""
    calls = []

    @task(persist_result=True)
    def fn():
        calls.append(1)
        return 1

    assert loop("job", [1]) == [1]
    fn()
    again(fresh)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (fresh.store / name).unlink(missing_ok=True)
    (fresh.store / "ledger.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(LedgerError, match="damaged, so nobody knows what was done"):
        list(checkpoint("job", [1]))
    assert fn() == 1
    assert len(calls) == 1
    (fresh.store / "ledger.db").unlink()
    assert loop("job", [1]) == [1]


def test_a_ledger_of_another_version_is_left_alone(fresh):
    """A newer nbflow's ledger would be misread, or written over."""
    loop("job", [1])
    again(fresh)
    with sqlite3.connect(fresh.store / "ledger.db") as table:
        table.execute("PRAGMA user_version = 99")
    table.close()
    with pytest.raises(LedgerError, match="another version"):
        list(checkpoint("job", [1]))


def test_a_store_that_is_deleted_under_way_is_made_again(fresh):
    """What was done after somebody had cleaned up would be written into a file that is gone."""
    import shutil

    seen = []
    for n in checkpoint("job", range(4)):
        seen.append(n)
        if n == 1:
            shutil.rmtree(fresh.store)
    assert seen == [0, 1, 2, 3]
    again(fresh)
    assert checkpoint("job", range(4)).done >= 2


def test_the_panel_hears_of_it(fresh):
    """A job of an hour would look as if nothing happened."""
    with checkpoint("job", range(100)) as job:
        for n in job:
            job.save(n)
    job = [event for event in fresh.events if event.step == fresh.events[0].step]
    assert kinds(job)[:2] == ["Began", "Started"]
    assert type(job[-1]) is Completed
    told = [(event.done, event.total) for event in job if type(event) is Progressed]
    assert (told[0], told[-1]) == ((0, 100), (100, 100))
    fresh.events.clear()
    loop("left", range(5), until=2)
    assert type(fresh.events[-1]) is Cancelled
    with contextlib.suppress(ValueError), checkpoint("failed", [1]) as job:
        for _ in job:
            raise ValueError("no")
    assert (type(fresh.events[-1]), fresh.events[-1].error) == (Failed, "ValueError: no")


def test_the_progress_shows_in_static_outputs(fresh):
    """A saved notebook would not say how far a job had come."""
    from nbflow.widget import static, text
    from nbflow.widget.view import Board

    for n in checkpoint("send", range(100)):
        if n == 37:
            break
    board = Board(clock=fresh.clock.time)
    for event in fresh.events:
        board.hear(event)
    assert "37/100" in static.html(board.view())
    assert "37/100" in text.text(board.view())


def test_clocks_do_not_matter(fresh):
    """A machine whose clock was set back would do everything again."""
    loop("job", range(5), until=3)
    again(fresh)
    fresh.clock.epoch -= 86_400
    assert loop("job", range(5)) == [3, 4]


def test_power_syncs_every_write(fresh, monkeypatch):
    """Somebody who asked for it would lose marks, or values, with the power."""
    import os

    from nbflow import configure

    assert _synchronous(fresh) == 1
    configure(durability="power")
    assert _synchronous(fresh) == 2
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    with checkpoint("values", [1]) as job:
        for _ in job:
            job.save(b"x" * 100_000)
    assert [path for path in synced if path.endswith(".nbf")]
    assert [path for path in synced if path.endswith("cache.db-wal")]
    with pytest.raises(ConfigurationError, match="process or power"):
        configure(durability="perhaps")


def _synchronous(fresh):
    loop("job", [1])
    ledger = ledger_of(fresh.session.store, fresh.session.durability)
    return ledger.read("PRAGMA synchronous")[0][0]


def test_forgetting_a_job(fresh):
    """A job could never be run again under its name."""
    assert loop("job", range(3)) == [0, 1, 2]
    assert checkpoint("job", ()).clear() == 3
    assert loop("job", range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: checkpoint("", [1]),
        lambda: checkpoint("job", [1], chunk_size=0),
        lambda: checkpoint("job", [1], chunk_size=True),
        lambda: checkpoint("job", [1], key="id"),
        lambda: checkpoint("job", [1]).map(len, errors="hide"),
    ],
)
def test_what_cannot_be_meant_is_refused(call):
    """A typing error would show as a loop that does something else."""
    with pytest.raises(ConfigurationError):
        call()


def test_nothing_is_left_behind(fresh):
    """Steps after a loop would be shown as parts of it, or wait for it."""
    from nbflow.context import here

    loop("job", range(3), until=1)
    with contextlib.suppress(ValueError):
        for _ in checkpoint("other", [1]):
            raise ValueError
    assert (here.get().step, here.get().slot) == (None, None)
    gc.collect()
    assert isinstance(NbflowError(), Exception)
