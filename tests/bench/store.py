"""Large values in and out, the memory that they take, and many entries."""

import gc
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.keys import table
from tests.bench.peers import PEERS, Side
from tests.bench.work import BARE, OURS, Ready, Work

__all__ = ["WORKS"]

FEW, MANY = 10, 100_000
GIGABYTE = 1_000_000_000


def make(seed: int) -> Any:
    import numpy as np

    return np.full(10_000_000, float(seed))


def make_table(seed: int) -> Any:
    import numpy as np
    import pandas as pd

    rows = 1_000_000
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            **{f"x{i}": np.full(rows, float(seed)) for i in range(4)},
            "when": pd.date_range("2020", periods=rows, freq="s"),
            "flag": np.full(rows, seed % 2 == 0),
            "kind": pd.Categorical.from_codes(np.full(rows, seed % 5), list("abcde")),
            "count": np.full(rows, seed, dtype="int32"),
        }
    )


def make_gigabyte(seed: int) -> Any:
    import numpy as np

    return np.full(GIGABYTE // 8, float(seed))


def take(x: Any) -> int:
    return 1


def small(x: int) -> dict[str, int]:
    return {"x": x}


def array() -> Any:
    import numpy as np

    return np.random.default_rng(0).random(10_000_000)


def hit_in(value: Callable[[], Any]) -> Ready:
    def ready(side: Side) -> Callable[[], Any]:
        f, given = side.mark(take), value()
        return lambda: f(given)

    return ready


def miss_in(value: Callable[[], Any], write: Callable[[Any, int], None]) -> Ready:
    """Another number in the value each time, written in place, which takes microseconds."""

    def ready(side: Side) -> Callable[[], Any]:
        f, given, numbers = side.mark(take), value(), itertools.count(1)

        def run() -> None:
            write(given, next(numbers))
            f(given)

        return run

    return ready


def write_array(x: Any, number: int) -> None:
    x[0] = number


def write_table(x: Any, number: int) -> None:
    x.iloc[0, 1] = number


def hit_out(function: Callable[[int], Any]) -> Ready:
    def ready(side: Side) -> Callable[[], Any]:
        f = side.mark(function)
        return lambda: f(1)

    return ready


def miss_out(function: Callable[[int], Any]) -> Ready:
    def ready(side: Side) -> Callable[[], Any]:
        f, numbers = side.mark(function), itertools.count(2)
        return lambda: f(next(numbers))

    return ready


def storing(side: Side) -> Callable[[], float]:
    """Peak of a call that makes and keeps 1 GB, above that GB."""
    import numpy as np  # noqa: F401

    f = side.mark(make_gigabyte)
    side.mark(small)(side.turn)  # all that is imported once is there
    return lambda: above(lambda: f(side.turn))


def loading(side: Side) -> Callable[[], float]:
    """Peak of a call in a fresh process that brings 1 GB back, and of reading it once."""
    import numpy as np  # noqa: F401

    f = side.mark(make_gigabyte)
    side.mark(small)(side.turn)
    return lambda: above(lambda: f(1).sum())


def above(call: Callable[[], Any]) -> float:
    """Peak memory of a call beyond what the process has and one GB, as a share of that GB. Linux."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    kept = call()
    peak = resident("VmHWM")
    del kept
    return (peak - before) / GIGABYTE - 1


def resident(which: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(which))


def among(count: int) -> Ready:
    def ready(side: Side) -> Callable[[], Any]:
        each = (side if side.peer else Side(PEERS[OURS], side.folder, side.turn)).mark(small)
        for i in range(count):
            each(i)
        numbers = itertools.cycle(range(FEW))
        return lambda: each(next(numbers))

    return ready


IN = ("joblib", "diskcache", "cachier", "cash-lib", "marimo")
OUT = ("joblib", "joblib mmap", "diskcache", "cachier", "cash-lib", "cash-lib RAM", "marimo")
WHOLE = ("joblib", "diskcache", "cash-lib")
LESS = "less the bare function"
WORKS = [
    Work("hit, 80 MB array in", hit_in(array), (*IN, "Prefect"), "joblib", 0.15, expect="hit", rounds=9, quoted=True),
    Work("miss, 80 MB array in", miss_in(array, write_array), IN, "joblib", expect="miss", rounds=9),
    Work(
        "hit, 80 MB array out, verified",
        hit_out(make),
        (*OUT, "Prefect"),
        "joblib",
        0.25,
        expect="hit",
        rounds=15,
        quoted=True,
    ),
    Work(
        "hit, 80 MB array out, sealed",
        hit_out(make),
        ("joblib", "joblib mmap"),
        "joblib",
        0.02,
        ours="nbflow-sealed",
        expect="hit",
        rounds=15,
        quoted=True,
    ),
    Work(
        "miss, 80 MB array out",
        miss_out(make),
        (*OUT, "Prefect"),
        "joblib",
        0.7,
        LESS,
        bare=miss_out(make),
        less=True,
        expect="miss",
        rounds=9,
        quoted=True,
    ),
    Work("hit, 1 M × 9 frame in", hit_in(table), IN, "joblib", 0.2, expect="hit", rounds=9, quoted=True),
    Work("miss, 1 M × 9 frame in", miss_in(table, write_table), IN, "joblib", expect="miss", rounds=9),
    Work("hit, 1 M × 9 frame out", hit_out(make_table), OUT, "joblib", expect="hit", rounds=15),
    Work(
        "miss, 1 M × 9 frame out, with the time to make it",
        miss_out(make_table),
        OUT,
        "joblib",
        None,
        "bare: the function alone",
        bare=miss_out(make_table),
        expect="miss",
        rounds=9,
    ),
    Work(
        f"hit among {MANY:,} entries",
        among(MANY),
        ("diskcache",),
        BARE,
        1.3,
        f"bare: nbflow, among {FEW}",
        bare=among(FEW),
        expect="hit",
        rounds=100,
        quoted=True,
    ),
    Work(
        "memory above 1 GB, stored",
        storing,
        WHOLE,
        "",
        0.05,
        expect="miss",
        fresh="new",
        unit="× value",
        rounds=2,
        quoted=True,
    ),
    Work(
        "memory above 1 GB, loaded and read",
        loading,
        WHOLE,
        "",
        0.05,
        expect="hit",
        fresh="kept",
        unit="× value",
        rounds=2,
        quoted=True,
    ),
]
