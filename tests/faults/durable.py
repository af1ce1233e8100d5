"""Processes that work at effects and jobs and are killed at random instants, at named points, at every line."""

import os
import random
import select
import shutil
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from copy import copy
from pathlib import Path

import nbflow.durable
import nbflow.store
from nbflow import InDoubt, checkpoint, configure, once
from nbflow.store import Store
from tests.faults.parts import SECRET, ended, fork, kill

WORKERS = 4
WATCHED = tuple(str(Path(package.__file__).parent) for package in (nbflow.durable, nbflow.store))
THREADS = 8
STEPS = 40
"""That all workers come on before the next one is killed, at most."""
KEYS = 12
"""Effects of each kind, and items, that a round adds."""


class Place:
    """A store, a database of the user's, and a file in which every effect is a line, in the order they happened."""

    def __init__(self, folder):
        self.folder, self.lines, self.database = folder, folder / "effects", folder / "user.db"
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.database)) as table:
            table.execute("PRAGMA journal_mode = WAL")
            table.execute("CREATE TABLE IF NOT EXISTS Orders (key TEXT)")

    def open(self):
        """In the process that is to work there; gives what nbflow says."""
        said = []
        configure(store=Store(self.folder / "store", SECRET, warn=said.append))
        self.file = os.open(self.lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.connection = sqlite3.connect(self.database, timeout=60)
        return said

    report = -1
    """Where a worker tells that it is somewhere."""

    def here(self):
        if self.report >= 0:
            os.write(self.report, b".")

    def write(self, *words):
        os.write(self.file, (" ".join(map(str, words)) + "\n").encode())

    def effect(self, kind, key):
        self.here()
        self.write(kind, key, once.key())
        self.here()
        return key

    def order(self, key):
        self.here()
        self.connection.execute("INSERT INTO Orders VALUES (?)", (key,))
        self.here()
        return key

    def item(self, number):
        self.write("began", number)
        self.here()
        return [number, "x" * (number % 3 * 30_000)]  # some values lie in the index, some in files

    def read(self):
        """The effects: counts by kind and key, idempotency keys, and items that began after they were committed."""
        counts, keys, late, committed = defaultdict(Counter), defaultdict(set), [], set()
        for line in self.lines.read_text().splitlines() if self.lines.exists() else ():
            kind, name, *more = line.split()
            counts[kind][name] += 1
            keys[name].update(more)
            if kind == "committed":
                committed.add(name)
            elif kind == "began" and name in committed:
                late.append(name)
        return counts, keys, late

    def orders(self):
        with closing(sqlite3.connect(self.database)) as table:
            return Counter(key for (key,) in table.execute("SELECT key FROM Orders"))


def listen(read, count):
    """Wait until workers have come so many steps on, or have nothing left to do."""
    while count > 0 and select.select([read], [], [], 0.3)[0]:
        count -= len(os.read(read, count))


def numbers_of(turn):
    return range(turn * KEYS, (turn + 1) * KEYS)


def effects(place, numbers):
    """Each effect once, in three ways."""
    inside = once.with_options(connection=place.connection)
    for number in numbers:
        assert inside(f"order:{number}", place.order, f"order:{number}") == f"order:{number}"
        with suppress(InDoubt):
            assert once(f"ask:{number}", place.effect, "ask", f"ask:{number}") == f"ask:{number}"
        repeat = once.with_options(on_doubt="repeat")
        assert repeat(f"repeat:{number}", place.effect, "repeat", f"repeat:{number}") == f"repeat:{number}"


def job(place, numbers, name):
    with checkpoint(name, numbers) as items:
        for number in items:
            items.save(place.item(number))
            place.write("committed", number)
            place.here()
        return items.results()


def work(place, turn, seed, report):
    """All of a round's work, beginning anywhere; what the last round left, too."""
    said = place.open()
    place.report = report
    place.here()
    part_of(place, turn, seed)
    assert not said, said
    while True:
        time.sleep(1)


def part_of(place, turn, seed):
    dice = random.Random(seed)
    mine = [*numbers_of(turn), *numbers_of(max(turn - 1, 0))]
    dice.shuffle(mine)
    for at in range(0, len(mine), 6):
        effects(place, mine[at : at + 6])
        job(place, numbers_of(turn), f"job {turn}")


def crowd(place, turn, seed, report):
    """The same in eight threads of one process at once, each with a connection of its own."""
    said = place.open()
    place.report = report

    def one(n):
        mine = copy(place)
        with closing(sqlite3.connect(place.database, timeout=60)) as mine.connection:
            part_of(mine, turn, THREADS * seed + n)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(THREADS)))
    assert not said, said
    while True:
        time.sleep(1)


def sound(place, keys):
    """What must hold whenever everybody is dead."""
    for path in (place.folder / "store" / "ledger.db", place.folder / "store" / "index" / "cache.db", place.database):
        if path.exists():
            with closing(sqlite3.connect(path)) as table:
                assert table.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
    counts, names, late = place.read()
    assert not late, f"items were computed again: {late}"
    twice = {key: n for key, n in (counts["ask"] + place.orders()).items() if n > 1}
    assert not twice, f"effects happened twice: {twice}"
    assert all(len(names[key]) == 1 for key in counts["repeat"]), "a repeated call had another idempotency key"
    with closing(sqlite3.connect(place.database)) as table, suppress(sqlite3.OperationalError):
        rows = {key for (key,) in table.execute("SELECT key FROM nbflow_once WHERE state = 'done'")}
        assert rows == set(place.orders()), "an effect without its row, or a row without its effect"
    assert set(place.orders()) <= {f"order:{n}" for n in keys}


def rounds(folder, count, seed, work=work):
    """Kill four workers at random instants, so many times; then let one finish; gives what was seen."""
    place, dice, seen = Place(folder), random.Random(seed), Counter()
    for turn in range(count):
        read, report = os.pipe()
        children = [fork(work, place, turn, turn * WORKERS + n, report) for n in range(WORKERS)]
        os.close(report)
        for child in dice.sample(children, WORKERS):
            listen(read, dice.randrange(STEPS))
            time.sleep(dice.uniform(0, 0.002))
            assert kill(child) == -9, "a worker failed"
            seen["kills"] += 1
        os.close(read)
        sound(place, range((turn + 1) * KEYS))
    assert ended(fork(finish, place, count)) == 0, "what was left could not be finished"
    everything = range(count * KEYS)
    sound(place, everything)
    counts, _, _ = place.read()
    assert place.orders() == Counter(f"order:{n}" for n in everything)
    assert set(counts["repeat"]) == {f"repeat:{n}" for n in everything}, "an effect never happened"
    assert set(counts["began"]) == {str(n) for n in everything}
    seen["effects with their row"] = len(place.orders())
    seen["asked, happened"] = len(counts["ask"])
    seen["repeated, happened"] = sum(counts["repeat"].values())
    seen["items"] = len(counts["committed"])
    seen["items begun"] = sum(counts["began"].values())
    return dict(seen)


def finish(place, count):
    said = place.open()
    for turn in range(count):
        effects(place, numbers_of(turn))
        found = job(place, numbers_of(turn), f"job {turn}")
        assert [number for number, _ in found] == list(numbers_of(turn))
        assert all(len(text) == number % 3 * 30_000 for number, text in found)
    assert not said, said


POINTS = {
    "before the claim": ("call", "claim", "effects.py"),
    "after the claim": ("return", "claim", "effects.py"),
    "before the effect": ("call", "Place.effect", "durable.py"),
    "after the effect": ("return", "Place.effect", "durable.py"),
    "before the claim inside": ("call", "Inside.claim", "inside.py"),
    "after the claim inside": ("return", "Inside.claim", "inside.py"),
    "after the effect inside": ("return", "Place.order", "durable.py"),
    "after the row inside": ("return", "Inside.settle", "inside.py"),
    "after the row": ("return", "settle", "effects.py"),
    "before the value": ("call", "Store.save", "store.py"),
    "after the blob": ("return", "Spool.commit", "container.py"),
    "after the value": ("return", "Store.save", "store.py"),
    "after the mark": ("return", "Marks.put", "marks.py"),
    "after the transaction": ("return", "_Own.commit", "inside.py"),
}
"""When the process ends: as a function begins or has returned."""


def end_at(point):
    """End this process at a point. A profile hook sees it: nothing of this is in the library."""
    kind, name, file = POINTS[point]

    def profile(frame, event, _):
        code = frame.f_code
        if event == kind and code.co_qualname == name and code.co_filename.endswith(f"/{file}"):
            os._exit(99)

    sys.setprofile(profile)


def end_before(line):
    """End this process before the line of that number, of those in the durable package and the store."""
    count = 0

    def local(frame, event, _):
        nonlocal count
        if event == "line":
            if count == line:
                os._exit(99)
            count += 1
        return local

    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename.startswith(WATCHED) else None)
    return lambda: count


def all_of_it(place):
    effects(place, [2])
    job(place, [2, 3], "job")


def until_point(place, point):
    place.open()
    end_at(point)
    all_of_it(place)


def until_line(place, line, report):
    place.open()
    lines = end_before(line)
    all_of_it(place)
    sys.settrace(None)
    os.write(report, b"%d" % lines())


def once_more(place):
    """After a death: all of it can be done, and what was in doubt is known to be."""
    place.open()
    all_of_it(place)
    status = once.status("ask:2")
    if status.state == "in doubt":
        happened = place.read()[0]["ask"]["ask:2"]
        once.resolve("ask:2", "done" if happened else "retry", "ask:2")
        effects(place, [2])
    assert once.status("ask:2").state == "done"


def check(place):
    assert ended(fork(once_more, place)) == 0
    sound(place, [2])
    counts, _, _ = place.read()
    assert place.orders() == {"order:2": 1}
    assert counts["ask"] == {"ask:2": 1}
    assert counts["repeat"]["repeat:2"] in (1, 2)
    return counts


def named_points(folder):
    """End the process at each point in turn; gives how often each effect and item was begun."""
    seen = {}
    for point in POINTS:
        place = Place(folder / point.replace(" ", "-"))
        code = ended(fork(until_point, place, point))
        assert code == 99, f"{point} was never reached"
        sound(place, [2])
        counts = check(place)
        seen[point] = f"repeated {counts['repeat']['repeat:2']}, items {dict(counts['began'])}"
    return seen


def every_line(folder, step):
    """End the process before each line (or each so many-th); gives how many there were."""
    read, report = os.pipe()
    place = Place(folder / "whole")
    assert ended(fork(until_line, place, -1, report)) == 0
    total = int(os.read(read, 20))
    os.close(read)
    os.close(report)
    for line in range(step // 2, total, step):
        place = Place(folder / str(line))
        assert ended(fork(until_line, place, line, os.open(os.devnull, os.O_WRONLY))) in (99, 0)
        sound(place, [2])
        check(place)
        shutil.rmtree(place.folder)
    return {"lines": total, "ends": len(range(step // 2, total, step))}
