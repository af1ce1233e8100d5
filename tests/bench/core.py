"""Hit, miss, fan-out, import, first call: what every small step pays."""

import importlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import Work

__all__ = ["WORKS"]

SCALE = 1.5
SMALL = ("joblib", "diskcache", "cachier", "cash-lib", "marimo", "Prefect")
ITEMS = 1000
ARGUMENTS = {
    "a flat dict": {"page": 3, "size": 50, "q": "abc"},
    "a nested config": {"u": "https://example.org", "p": {"page": 3, "tags": ["a", "b"]}, "r": (1, 2.0)},
    "100 small dicts": [{"id": i, "name": f"n{i}", "s": i / 7} for i in range(100)],
    "1,000 ints": list(range(1000)),
}


def norm(x: int, k: int = 2) -> float:
    return x * k * SCALE


def small(a: int, b: int = 2) -> dict[str, float]:
    return {"x": norm(a) + 3, "y": b}


def take(x: object) -> int:
    return 1


def nothing(x: int) -> int:
    return x


def hit(side: Side) -> Callable[[], Any]:
    f = side.mark(small)
    return lambda: f(1)


def miss(side: Side) -> Callable[[], Any]:
    f, numbers = side.mark(small), itertools.count(1000)
    return lambda: f(next(numbers))


def taking(value: object) -> Callable[[Side], Callable[[], Any]]:
    def ready(side: Side) -> Callable[[], Any]:
        f = side.mark(take)
        return lambda: f(value)

    return ready


def fan_out(side: Side) -> Callable[[], Any]:
    """A thousand items that do nothing."""
    from nbflow import task

    side.mark(nothing)  # the store
    each = task(persist_result=False)(nothing)
    return lambda: each.map(range(ITEMS)).result()


def pool(_: Side) -> Callable[[], Any]:
    def run() -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(nothing, range(ITEMS)))

    return run


def imports(side: Side) -> Callable[[], Any]:
    """A notebook has imported IPython, and nearly always numpy."""
    prelude()
    return side.load


def first(side: Side) -> Callable[[], Any]:
    """Opening the store, decorating and the first call of a process, whose result is kept from round 0 on, if it is."""
    prelude()
    side.load()
    return lambda: side.mark(small)(1)


def first_miss(side: Side) -> Callable[[], Any]:
    prelude()
    side.load()
    return lambda: side.mark(small)(1000 + side.turn)


def prelude() -> None:
    for name in ("IPython", "numpy"):
        importlib.import_module(name)


WORKS = [
    Work("import, after IPython and numpy", imports, SMALL, "", 0.10, fresh="kept", rounds=10, quoted=True),
    Work("first call, hit", first, SMALL, "", 0.020, expect="hit", fresh="kept", rounds=10, quoted=True),
    Work("first call, miss", first_miss, SMALL[:-1], "", 0.020, expect="miss", fresh="kept", rounds=10),
    Work("first call, miss, new store", first, SMALL[:-1], "", 0.020, expect="miss", fresh="new", rounds=10),
    Work("hit, small", hit, SMALL, "diskcache", 0.8, expect="hit", rounds=200, quoted=True),
    Work("miss, small", miss, SMALL, "diskcache", 0.8, expect="miss", rounds=200, quoted=True),
    *(
        Work(f"hit, {name}", taking(value), ("joblib", "diskcache"), "diskcache", 0.8, expect="hit", rounds=100)
        for name, value in ARGUMENTS.items()
    ),
    Work(
        "fan-out of 1,000 no-ops on threads",
        fan_out,
        (),
        "",
        ITEMS * 100e-6,
        "bare: ThreadPoolExecutor",
        pool,
    ),
]
