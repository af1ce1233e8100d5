"""How times grow: nbflow beside joblib.Memory and diskcache, for the notebook on benchmarks.

    curves.measure("entries", 10, 100, 1000)   # [{"size": 10, "way": "nbflow", "call": "hit", "seconds": ...}, ...]

It runs in a process of its own, on stores in a temporary folder that is gone afterwards. The ways take turns, at least
three times, so that a slow moment of the machine hits all of them; `seconds` are medians.
"""

import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

THREADS = 4
LEAST, MOST = 3, 25  # turns
PATIENCE = 0.6  # seconds, for the turns from the fourth on


class Way(NamedTuple):
    """One way to keep what a function returns.

    Attributes:
        keep: The function, kept.
        forget: Drops all that was kept of such a function.
        fan_out: Calls it for each item, on four threads.
    """

    keep: Callable[..., Any]
    forget: Callable[[Any], Any]
    fan_out: Callable[[Any, range], Any]


def ways(folder: Path) -> dict[str, Way]:
    import diskcache
    import joblib
    import nbflow

    nbflow.configure(store=folder / "nbflow", max_size="100GB", task_runner=nbflow.ThreadPoolTaskRunner(THREADS))
    cache = diskcache.Cache(folder / "diskcache", size_limit=1 << 40, cull_limit=0)
    pool, jobs = ThreadPoolExecutor(THREADS), joblib.Parallel(THREADS, prefer="threads")
    return {
        "nbflow": Way(
            nbflow.task(persist_result=True),
            lambda f: f.clear(),
            lambda f, items: f.map(items).result(),
        ),
        "joblib": Way(
            joblib.Memory(folder / "joblib", verbose=0).cache,
            lambda f: f.clear(warn=False),
            lambda f, items: jobs(joblib.delayed(f)(item) for item in items),
        ),
        "diskcache": Way(cache.memoize(), lambda _: cache.clear(), lambda f, items: list(pool.map(f, items))),
    }


def small(number: int) -> dict[str, int]:
    return {"number": number}


def array(size: int, number: int) -> Any:
    import numpy as np

    return np.full(size // 8, float(number))


def hit_by_entries(ways: dict[str, Way], sizes: Iterable[int]) -> Iterator[dict[str, Any]]:
    """A hit, while more and more entries are kept."""
    kept, functions = 0, {name: way.keep(small) for name, way in ways.items()}
    for size in sizes:
        for function in functions.values():
            for number in range(kept, size):
                function(number)
        kept, some = size, range(0, size, size // 10)

        def hits(function: Callable[..., Any], _: int, some: range = some) -> dict[str, float]:
            return {"hit": timed(lambda: [function(number) for number in some]) / len(some)}

        yield from points(size, {name: functools.partial(hits, function) for name, function in functions.items()})


def item_by_items(ways: dict[str, Way], sizes: Iterable[int]) -> Iterator[dict[str, Any]]:
    """One item of a fan-out, the first time and again."""
    functions, begun = {name: way.keep(small) for name, way in ways.items()}, 0
    for size in sizes:

        def fan_out(name: str, turn: int, size: int = size, begun: int = begun) -> dict[str, float]:
            items = range(begun + turn * size, begun + (turn + 1) * size)
            call = functools.partial(ways[name].fan_out, functions[name], items)
            return {"miss": timed(call) / size, "hit": timed(call) / size}

        yield from points(size, {name: functools.partial(fan_out, name) for name in ways})
        begun += MOST * size


def call_by_bytes(ways: dict[str, Way], sizes: Iterable[int]) -> Iterator[dict[str, Any]]:
    """A call that returns an array, the first time and again, when one number of each page is read as well."""
    functions = {name: way.keep(array) for name, way in ways.items()}
    for size in sizes:

        def call(name: str, turn: int, size: int = size) -> dict[str, float]:
            function = functions[name]
            miss, hit = (timed(lambda: function(size, turn)[::512].sum()) for _ in range(2))
            ways[name].forget(function)
            return {"miss": miss, "hit": hit}

        def plain(turn: int, size: int = size) -> dict[str, float]:
            return {"miss": timed(lambda: array(size, turn)[::512].sum())}

        yield from points(size, {name: functools.partial(call, name) for name in ways} | {"not kept": plain})


CURVES = {"entries": hit_by_entries, "items": item_by_items, "bytes": call_by_bytes}


def timed(call: Callable[[], Any]) -> float:
    """Seconds of a call."""
    gc.collect(0)
    gc.disable()
    try:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    finally:
        gc.enable()


def points(size: int, calls: dict[str, Callable[[int], dict[str, float]]]) -> Iterator[dict[str, Any]]:
    """Medians of what the calls found, in turns; the first turn, in which all is loaded, is left out."""
    found: dict[tuple[str, str], list[float]] = {}
    start = time.monotonic()
    for turn in range(MOST):
        if turn > LEAST and time.monotonic() - start > PATIENCE:
            break
        for name, call in calls.items():
            for kind, seconds in call(turn).items():
                found.setdefault((name, kind), []).append(seconds)
    for (name, kind), seconds in found.items():
        yield {"size": size, "way": name, "call": kind, "seconds": median(seconds[1:])}


def decades(first: int, last: int) -> list[int]:
    """10, 100, 1000 … as far as `last`."""
    return [first * 10**n for n in range(20) if first * 10**n <= last]


def measure(curve: str, *sizes: int) -> list[dict[str, Any]]:
    """The points of a curve, measured in a new process.

    Raises:
        CalledProcessError: It failed, and said why.
    """
    command = [sys.executable, "-W", "ignore", __file__, curve, *map(str, sizes)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("NBFLOW_")}  # as anybody's
    return json.loads(subprocess.run(command, env=plain, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    curve, *sizes = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="curves-") as folder:
        print(json.dumps(list(CURVES[curve](ways(Path(folder)), map(int, sizes)))))


if __name__ == "__main__":
    main()
