"""Digests of large and of small values."""

import json
import pickle
from collections.abc import Iterator
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
    yield Row(
        "key of a tiny tuple",
        race({"nbflow": lambda: canonical(tiny), "other": lambda: pickle.dumps(tiny)}, 200, 200),
        "",
        None,
        "other: pickle.dumps",
    )
    records = json.loads(
        json.dumps([{"id": i, "name": f"name {i}", "score": i / 7, "tags": ["a", "b"]} for i in range(50_000)])
    )
    yield Row("key of 50,000 JSON rows", race(digests(records, content), 5), "joblib", None, "other: pickle.dumps")
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
    frame = table(np, pd)
    yield Row("key of a 1 M × 9 frame", race(digests(frame, content), 5), "joblib", 0.2, "other: pickle.dumps")
    made = cached(take, folder / "frame")
    yield Row("hit, 1 M × 9 frame in", race({n: lambda f=f: f(frame) for n, f in made.items()}, 5), "joblib", 0.2)


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
    """1 GiB: ours beside reading it once; BLAS does it on all processors, at the speed of memory."""
    array = np.random.default_rng(0).random(1 << 27)
    times = race({"nbflow": lambda: content(array), "other": lambda: np.dot(array, array)}, 5)
    return Row("key of a 1 GiB array", times, "other", 1.5, f"other: reading it, {1.07 / times['other']:.1f} GB/s")


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
