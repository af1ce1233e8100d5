"""Large values in and out, and many entries."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.peers import cached
from tests.bench.race import Row, race, without

__all__ = ["rows"]

MANY = 100_000


def make(seed: int) -> Any:
    import numpy as np

    return np.full(10_000_000, float(seed))


def take(x: Any) -> int:
    return 1


def small(x: int) -> dict[str, int]:
    return {"x": x}


def rows(folder: Path) -> Iterator[Row]:
    """All of it; `folder` is empty and will be deleted."""
    try:
        import numpy as np
    except ImportError:
        print("numpy is not installed: pip install nbflow[bench]")
    else:
        yield from arrays(folder, np)
    yield many(folder)


def arrays(folder: Path, np: Any) -> Iterator[Row]:
    """80 MB."""
    from nbflow import Store, configure
    from nbflow.store.seal import user_secret

    array = np.random.default_rng(0).random(10_000_000)
    made = cached(take, folder / "in")
    yield Row("hit, 80 MB array in", race({n: lambda f=f: f(array) for n, f in made.items()}, 7), "joblib", 0.15)
    made = cached(make, folder / "out", persist_result=True)
    times = race({n: lambda f=f: f(1) for n, f in made.items()}, 9)
    yield Row("hit, 80 MB array out, verified", times, "joblib", 0.25)
    before = configure().store
    configure(store=Store(folder / "sealed", user_secret(os.environ), warn=print, verify="sealed"))
    times = race({n: lambda f=f: f(1) for n, f in made.items()}, 9)
    configure(store=before)
    yield Row("hit, 80 MB array out, sealed", times, "joblib", 0.02)
    numbers = itertools.count(2)
    runners = {n: lambda f=f: f(next(numbers)) for n, f in made.items()} | {"bare": lambda: make(next(numbers))}
    yield Row("miss, 80 MB array out", without(race(runners, 5, 1, 1)), "joblib", 0.7, "less the bare function")


def many(folder: Path) -> Row:
    """A hit among many entries beside one among ten."""
    from nbflow import configure, task
    from nbflow.session import session

    each, before = task(small), session.settings.store
    for count, name in ((10, "few"), (MANY, "many")):
        configure(store=folder / name)
        for i in range(count):
            each(i)

    def turn(name: str) -> Any:
        def run() -> None:
            if session.store.folder.name != name:
                configure(store=folder / name)
                each(3)
            for i in range(200):
                each(i % 10)

        return run

    turns: dict[str, Any] = {"nbflow": turn("many"), "other": turn("few")}
    times = {name: seconds / 200 for name, seconds in race(turns, 40, 1, 1).items()}
    configure(store=before)
    return Row(f"hit among {MANY:,} entries", times, "other", 1.3, "other: among 10")
