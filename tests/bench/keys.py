"""Digests of large and of small values."""

import json
import pickle
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import BARE, Ready, Work

__all__ = ["WORKS", "table"]


@cache
def tiny() -> Any:
    return (1, "abc", 2.5, None)


@cache
def records() -> Any:
    rows = [{"id": i, "name": f"name {i}", "score": i / 7, "tags": ["a", "b"]} for i in range(100_000)]
    return json.loads(json.dumps(rows))


@cache
def gibibyte() -> Any:
    import numpy as np

    return np.random.default_rng(0).random(1 << 27)


@cache
def texts() -> Any:
    import pandas as pd

    return pd.DataFrame({"text": pd.Series([f"row number {i}" for i in range(1_000_000)], dtype=object)})


@cache
def tall() -> Any:
    import numpy as np
    import pandas as pd

    return pd.DataFrame({f"x{i}": np.random.default_rng(i).random(10_000_000) for i in range(6)})


def table(seed: int = 0) -> Any:
    """1 M rows, 9 columns: numbers, times, truths, categories."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(seed), 1_000_000
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


def digest(make: Callable[[], Any]) -> Ready:
    def ready(side: Side) -> Callable[[], Any]:
        value = make()
        return lambda: side.digest(value)

    return ready


def canonical(_: Side) -> Callable[[], Any]:
    """What a value adds to a key: the digest of the whole comes after."""
    from nbflow.keys.encode import canonical

    value = tiny()
    return lambda: canonical(value)


def pickled(make: Callable[[], Any]) -> Ready:
    def ready(_: Side) -> Callable[[], Any]:
        value = make()
        return lambda: pickle.dumps(value, 5)

    return ready


def reading(_: Side) -> Callable[[], Any]:
    import numpy as np

    halves = np.split(gibibyte().view("u8"), 2)
    pool = ThreadPoolExecutor(2)
    return lambda: list(pool.map(np.add.reduce, halves))


def peak(make: Callable[[], Any]) -> Ready:
    """What a key takes beside the value, as the allocator of Python and numpy counts it."""

    def ready(side: Side) -> Callable[[], Any]:
        value = make()
        size = float(value.memory_usage(deep=True).sum())

        def run() -> float:
            tracemalloc.start()
            side.digest(value)
            above = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return above / size

        return run

    return ready


PICKLE = "bare: pickle.dumps"
JOBLIB = ("joblib",)
WORKS = [
    Work("key of a tiny tuple", canonical, (), "", 5e-6, PICKLE, pickled(tiny), rounds=200),
    Work("key of 100,000 JSON rows", digest(records), JOBLIB, "joblib", 0.3, PICKLE, pickled(records), rounds=7),
    Work("key of 100,000 JSON rows, beside pickle", digest(records), (), BARE, 3.0, PICKLE, pickled(records), rounds=7),
    Work("key of a 1 GiB array", digest(gibibyte), JOBLIB, BARE, 1.25, "bare: read by 2 threads", reading, rounds=9),
    Work("key of 1 M object strings", digest(texts), JOBLIB, "joblib", 0.15, PICKLE, pickled(texts), rounds=5),
    Work("key of a 1 M × 9 frame", digest(table), JOBLIB, "joblib", 0.2, PICKLE, pickled(table), rounds=7),
    Work("key of a 10 M × 6 frame", digest(tall), JOBLIB, "joblib", 0.1, PICKLE, pickled(tall), rounds=5),
    Work("memory above 1 M object strings, key", peak(texts), (), "", 0.01, unit="× value", rounds=1),
    Work("memory above a 10 M × 6 frame, key", peak(tall), (), "", 0.01, unit="× value", rounds=1),
]
