"""Checkpointed items and effects that happen once: what each costs, and how soon a finished job is known to be."""

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import Ready, Work

__all__ = ["WORKS"]

ITEMS = 200
MANY, CHUNK = 100_000, 1_000


def value(number: int) -> str:
    """1 KB that nobody has seen before."""
    return f"{number:032}" * 32


def item(side: Side) -> Callable[[], float]:
    """Milliseconds of an item, of 200 in a row whose values are kept. DBOS's workflow is begun before the clock is."""
    step, numbers = side.mark(value), itertools.count()
    assert side.peer
    if side.peer.distribution == "dbos":
        return workflow(step, numbers)

    from nbflow import checkpoint

    def run() -> float:
        with checkpoint(f"job {next(numbers)}", range(ITEMS)) as job:
            items = iter(job)
            start = time.perf_counter()
            for number in items:
                job.save(value(number))
            return (time.perf_counter() - start) / ITEMS * 1e3

    return run


def workflow(step: Callable[[int], Any], numbers: Iterator[int]) -> Callable[[], float]:
    from dbos import DBOS

    @DBOS.workflow()
    def steps(first: int) -> float:
        start = time.perf_counter()
        for number in range(ITEMS):
            step(first + number)
        return (time.perf_counter() - start) / ITEMS * 1e3

    DBOS.launch()
    return lambda: float(steps(next(numbers) * ITEMS))


def bare(side: Side) -> Callable[[], float]:
    """A row for each item, committed, in SQLite."""
    side.folder.mkdir(parents=True, exist_ok=True)
    table = sqlite3.connect(side.folder / "bare.db", isolation_level=None)
    table.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE Items (item INTEGER PRIMARY KEY, v)"
    )
    numbers = itertools.count()

    def run() -> float:
        start = time.perf_counter()
        for _ in range(ITEMS):
            number = next(numbers)
            table.execute("BEGIN IMMEDIATE")
            table.execute("INSERT INTO Items VALUES (?, ?)", (number, value(number)))
            table.execute("COMMIT")
        return (time.perf_counter() - start) / ITEMS * 1e3

    return run


def marked(side: Side) -> Callable[[], float]:
    """The same without values: a loop for effects."""
    side.mark(value)
    from nbflow import checkpoint

    numbers = itertools.count()

    def run() -> float:
        items = iter(checkpoint(f"job {next(numbers)}", range(ITEMS)))
        start = time.perf_counter()
        for _ in items:
            pass
        return (time.perf_counter() - start) / ITEMS * 1e3

    return run


def effect(again: bool) -> Ready:  # noqa: FBT001 - which of the two
    def ready(side: Side) -> Callable[[], float]:
        side.mark(value)
        from nbflow import once

        numbers = itertools.count()

        def run() -> float:
            first = 0 if again else next(numbers) * ITEMS
            start = time.perf_counter()
            for number in range(first, first + ITEMS):
                once(f"effect:{number}", value, number)
            return (time.perf_counter() - start) / ITEMS * 1e3

        run()
        return run

    return ready


def finished(side: Side) -> Callable[[], Any]:
    """A job of 100,000 small documents, each with a value, is looked at, and looped over: there is nothing to do.

    The values came in lists of 1,000. How large they are makes no difference: none is read.
    """
    side.mark(value)
    from nbflow import checkpoint

    documents = [{"id": number, "text": f"document {number}", "tags": ["a", "b"]} for number in range(MANY)]
    with checkpoint("many", documents, chunk_size=CHUNK) as job:
        for chunk in job:
            job.save([document["id"] for document in chunk])

    def run() -> None:
        again = checkpoint("many", documents, chunk_size=CHUNK)
        assert again.progress == (MANY, MANY)
        assert list(again) == []

    return run


WORKS = [
    Work("checkpointed item, 1 KB", item, ("DBOS",), "", 0.3, "bare: a row in SQLite", bare, unit="ms", quoted=True),
    Work("checkpointed item beside a DBOS step", item, ("DBOS",), "DBOS", 0.15, fresh="new", unit="ms", rounds=5),
    Work("item of a loop for effects", marked, unit="ms"),
    Work("effect, once", effect(again=False), unit="ms"),
    Work("effect that is done", effect(again=True), unit="ms"),
    Work("start of a finished job, 100,000 items", finished, (), "", 1.0, rounds=7),
]
