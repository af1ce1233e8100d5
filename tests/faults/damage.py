"""Damage to what a store has on disk, seen through tasks: right values, no error, no code that was not sealed."""

import os
import pickle
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nbflow import configure, task
from nbflow.session import session
from nbflow.store import Store
from nbflow.store.container import Blob
from nbflow.store.row import BIG, unpack
from tests.faults.parts import SECRET

VALUES = (
    {"small": 1, "text": "x" * 50},
    [np.arange(800.0), "buffers in the row"],
    np.arange(20_000.0),
    [f"in the stream of a container {n}" * 300 for n in range(12)],
    (np.arange(30_000), np.arange(9_000.0), "both"),
    "a row of some length " * 400,
    np.arange(150_000),
)
ran = []


@task(persist_result=True, ignore=["folder"])
def make(number, folder):
    """A value; that it is computed is counted. Its file is a fact in some of the entries."""
    ran.append(number)
    if number % 3 == 0:
        (Path(folder).parent / "input").read_text()
    return VALUES[number]


@contextmanager
def store_at(folder, said):
    """The session on a store of its own, without the history, which is written some time later."""
    kept = session.settings
    store = Store(folder, SECRET, warn=said.append)
    configure(store=store)
    session.bus.leave(session.recorder)
    session.recorder.forget()
    try:
        yield store
    finally:
        session.bus.join(session.recorder)
        session.settings = kept
        store.close()


def visit(folder):
    """Ask for all values: which of them were hits, and what was said; wrong values and errors end the run."""
    said = []
    with store_at(folder, said):
        ran.clear()
        for number, value in enumerate(VALUES):
            np.testing.assert_equal(make(number, folder), value)
        return [number for number in range(len(VALUES)) if number not in ran], said


class Files(NamedTuple):
    """A store's files that hold anything."""

    containers: list[Path]
    index: Path


def files_of(folder):
    return Files(sorted(folder.glob("blobs/*/*.nbf")), folder / "index" / "cache.db")


def rows_of(path):
    """What SQLite itself gives for the rows; they are all gone if it gives an error."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as table:
            table.text_factory = bytes
            return {key.decode("latin"): bytes(value) for key, value in table.execute("SELECT key, value FROM Cache")}
    except (sqlite3.Error, TypeError, AttributeError):
        return {}


# Each damages one thing and gives whether bytes that a value rests on were among it; None: SQLite must say.


def flip(path, dice):
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    data[at] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    return at, at + 1


def cut(path, dice):
    data = path.read_bytes()
    at = dice.choice((0, 1, dice.randrange(len(data))))
    path.write_bytes(data[:at])
    return at, len(data)


def blank(path, dice):
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    end = min(at + 512, len(data))
    was = bytes(data[at:end])
    data[at:end] = bytes(end - at)
    path.write_bytes(data)
    return (at, end) if was.strip(b"\0") else (0, 0)


def swap_files(folder, dice):
    one, two = dice.sample(files_of(folder).containers, 2)
    kept = folder / "kept"
    one.rename(kept)
    two.rename(one)
    kept.rename(two)


def swap_rows(folder, dice):
    with closing(sqlite3.connect(files_of(folder).index)) as table, table:
        (one, first), (two, second) = dice.sample(table.execute("SELECT rowid, value FROM Cache").fetchall(), 2)
        table.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (second, one))
        table.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (first, two))


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def forge(folder, dice):
    """Put a pickle in the place of one, in the row or in the container."""
    bomb = pickle.dumps(Bomb(folder.parent / "mark"))
    with closing(sqlite3.connect(files_of(folder).index)) as table, table:
        number, key, body = dice.choice(table.execute("SELECT rowid, key, value FROM Cache").fetchall())
        found = unpack(key, body)
        if found.flags & BIG:
            path = folder / "blobs" / Blob.unpack(found.payload).name
            with path.open("r+b") as file:
                file.seek(64)
                file.write(bomb)
        else:
            start = found.end - len(found.payload)
            forged = body[:start] + bomb.ljust(len(found.payload), b".") + body[found.end :]
            table.execute(
                "UPDATE Cache SET value = ?, mode = ? WHERE rowid = ?", (forged, dice.randrange(1, 5), number)
            )


def significant(path):
    """Extents of a container that its value rests on: stream, buffers, directory."""
    from nbflow.store.container import _ENTRY, _PREAMBLE, _START, trailer

    key, _, body = trailer(path).partition(b"\0")
    blob = Blob.unpack(unpack(key.decode(), body).payload)
    data = path.read_bytes()
    buffers = [(at, at + size) for at, size, _ in _ENTRY.iter_unpack(data[blob.directory : blob.end])]
    assert _PREAMBLE.size <= _START
    return [(_START, _START + blob.stream), (blob.directory, blob.end), *buffers]


def harm(folder, dice):
    """Damage one thing; gives what was done, and how many entries it must cost (None: one or more, or none)."""
    kind = dice.choices(("flip", "cut", "blank", "swap files", "swap rows", "forge"), (50, 15, 10, 5, 10, 10))[0]
    if kind == "swap files":
        swap_files(folder, dice)
        return kind, 2
    if kind == "swap rows":
        swap_rows(folder, dice)
        return kind, None
    if kind == "forge":
        forge(folder, dice)
        return kind, 1
    files = files_of(folder)
    act = {"flip": flip, "cut": cut, "blank": blank}[kind]
    if dice.random() < 0.5:
        path = dice.choice(files.containers)
        extents = significant(path)
        start, end = act(path, dice)
        hit = any(start < stop and first < end for first, stop in extents)
        return f"{kind} in a container", int(hit)
    before = rows_of(files.index)
    act(files.index, dice)
    after = rows_of(files.index)
    return f"{kind} in the index", None if after == before else -sum(before[key] != after.get(key) for key in before)


def damage(folder, count, seed):
    """Damage a sound store so many times, each time anew; gives what came of it, by kind."""
    dice = random.Random(seed)
    (folder / "input").write_text("read")
    os.utime(folder / "input", (0, 0))
    sound = folder / "sound"
    assert visit(sound) == ([], [])
    assert visit(sound) == (list(range(len(VALUES))), [])
    seen = Counter()
    for turn in range(count):
        place = folder / str(turn)
        shutil.copytree(sound, place)
        kind, cost = harm(place, dice)
        hits, said = visit(place)
        lost = len(VALUES) - len(hits)
        if cost is not None and cost >= 0:
            assert lost == cost, f"{kind}: {lost} entries lost, not {cost}: {said}"
        assert len(said) <= lost + 1, said
        assert not any("\n" in line for line in said)
        seen[f"{kind}: {'a miss' if lost else 'no byte that a value rests on' if not cost else 'mended'}"] += 1
        if any("the index" in line for line in said):  # what it still gave may have been lost when it was replaced
            visit(place)
        again, said = visit(place)
        assert again == list(range(len(VALUES))), f"{kind}: not whole again: {again}"
        assert said == []
        shutil.rmtree(place)
    assert not (folder / "mark").exists(), "a forged pickle was read"
    return {"damaged": count, **dict(sorted(seen.items())), "wrong values, errors, pickles read unsealed": 0}
