"""Digests of large and of small values."""

import json
import pickle
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.peers import cached
from tests.bench.race import Row, race

__all__ = ["rows"]


def rows(folder: Path) -> Iterator[Row]:
    """All of it; `folder` is empty and will be deleted."""
    from nbflow.keys.encode import canonical
    from nbflow.keys.encode import digest as content

    tiny = (1, "abc", 2.5, None)
    times = race({"nbflow": lambda: canonical(tiny), "other": lambda: pickle.dumps(tiny)}, 200, 200)
    yield Row("key of a tiny tuple", times, "", 5e-6, "other: pickle.dumps")
    records = json.loads(
        json.dumps([{"id": i, "name": f"name {i}", "score": i / 7, "tags": ["a", "b"]} for i in range(100_000)])
    )
    yield from beside("key of 100,000 JSON rows", records, content, 0.3, 3.0)
    try:
        import numpy as np
    except ImportError:
        print("numpy is not installed: pip install nbflow[bench]")
        return
    yield bandwidth(np, content)
    try:
        import pandas as pd
    except ImportError:
        print("pandas is not installed: pip install nbflow[bench]")
        return
    texts = pd.DataFrame({"text": pd.Series([f"row number {i}" for i in range(1_000_000)], dtype=object)})
    yield from beside("key of a frame of 1 M object strings", texts, content, 0.15)
    yield peak("peak memory above a frame of 1 M object strings", texts, content)
    frame = table(np, pd)
    yield from beside("key of a 1 M × 9 frame", frame, content, 0.2)
    made = cached(take, folder / "frame")
    yield Row("hit, 1 M × 9 frame in", race({n: partial(f, frame) for n, f in made.items()}, 5), "joblib", 0.2)
    tall = pd.DataFrame({f"x{i}": np.random.default_rng(i).random(10_000_000) for i in range(6)})
    yield from beside("key of a 10 M × 6 frame", tall, content, 0.1)
    yield peak("peak memory above a 10 M × 6 frame", tall, content)


def beside(work: str, value: Any, content: Any, goal: float, pickled: float | None = None) -> Iterator[Row]:
    """A key beside joblib's, and, where there is a goal for that, beside pickling the value."""
    times = race(digests(value, content), 5)
    yield Row(work, times, "joblib", goal, "other: pickle.dumps")
    if pickled is not None:
        yield Row(work, times, "other", pickled, "other: pickle.dumps")


def peak(work: str, value: Any, content: Any) -> Row:
    """What a key takes beside the value itself, as the allocator of Python and numpy counts it."""
    tracemalloc.start()
    content(value)
    above = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    size = float(value.memory_usage(deep=True).sum()) / 2**20
    return Row(work, {"nbflow": above, "other": size}, "other", 0.01, "other: the value itself", "MiB")


def take(x: Any) -> int:
    return 1


def digests(value: Any, content: Any) -> dict[str, Any]:
    runners = {"nbflow": lambda: content(value), "other": lambda: pickle.dumps(value, 5)}
    try:
        import joblib

        runners["joblib"] = lambda: joblib.hash(value)
    except ImportError:
        pass
    return runners


def bandwidth(np: Any, content: Any) -> Row:
    """1 GiB: ours beside reading it once on two threads, as fast as this machine can."""
    array = np.random.default_rng(0).random(1 << 27)
    halves = np.split(array.view("u8"), 2)
    with ThreadPoolExecutor(2) as pool:
        times = race({"nbflow": lambda: content(array), "other": lambda: list(pool.map(np.add.reduce, halves))}, 9)
    note = f"other: reading it on two threads, {1.07 / times['other']:.1f} GB/s"
    return Row("key of a 1 GiB array", times, "other", 1.25, note)


def table(np: Any, pd: Any) -> Any:
    """1 M rows: numbers, times, categories, text."""
    rng, rows = np.random.default_rng(0), 1_000_000
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            **{f"x{i}": rng.random(rows) for i in range(4)},
            "when": pd.date_range("2020", periods=rows, freq="s"),
            "flag": rng.random(rows) > 0.5,
            "kind": pd.Categorical.from_codes(rng.integers(0, 5, rows), list("abcde")),
            "count": rng.integers(0, 100, rows).astype("int32"),
        }
    )
