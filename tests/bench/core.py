"""Hit, miss, fan-out, import, first call: what every small step pays."""

import itertools
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.peers import cached
from tests.bench.race import Row, race

__all__ = ["rows"]

SCALE = 1.5


def norm(x: int, k: int = 2) -> float:
    return x * k * SCALE


def work(a: int, b: int = 2) -> dict[str, float]:
    return {"x": norm(a) + 3, "y": b}


def take(x: object) -> int:
    return 1


def nothing(x: int) -> int:
    return x


def rows(folder: Path) -> Iterator[Row]:
    """All of it; `folder` is empty and will be deleted."""
    numbers = itertools.count(1000)
    made = cached(work, folder / "small")
    yield Row("hit, small", race({n: lambda f=f: f(1) for n, f in made.items()}, 200, 30), "diskcache", 0.8)
    yield Row(
        "miss, small", race({n: lambda f=f: f(next(numbers)) for n, f in made.items()}, 150, 10), "diskcache", 0.8
    )
    made = cached(take, folder / "takes")
    for name, value in ARGUMENTS.items():
        yield Row(
            f"hit, {name}", race({n: lambda f=f, v=value: f(v) for n, f in made.items()}, 40, 10), "diskcache", 0.8
        )
    yield fan_out()
    yield from fresh(folder)


ARGUMENTS = {
    "a flat dict": {"page": 3, "size": 50, "q": "abc"},
    "a nested config": {"u": "https://example.org", "p": {"page": 3, "tags": ["a", "b"]}, "r": (1, 2.0)},
    "100 small dicts": [{"id": i, "name": f"n{i}", "s": i / 7} for i in range(100)],
    "1,000 ints": list(range(1000)),
}


def fan_out() -> Row:
    """A thousand items that do nothing, per item."""
    from nbflow import task

    each = task(persist_result=False)(nothing)
    count = 1000

    def bare() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(nothing, range(count)))

    times = race({"nbflow": lambda: each.map(range(count)).result(), "other": bare}, 7, 1, 1)
    per_item = {name: seconds / count for name, seconds in times.items()}
    return Row("fan-out on threads, per item", per_item, "", 100e-6, "other: bare ThreadPoolExecutor")


IMPORT = "import sys, time, IPython, numpy\nstart = time.perf_counter()\n{what}\nprint(time.perf_counter() - start)"
IMPORTS = {"nbflow": "from nbflow import task", "diskcache": "import diskcache", "joblib": "from joblib import Memory"}

SETUP = {
    "nbflow": "from nbflow import configure, task; configure(store={folder!r}); mark = task",
    "diskcache": "import diskcache; mark = diskcache.Cache({folder!r}).memoize()",
    "joblib": "import joblib; mark = joblib.Memory({folder!r}, verbose=0).cache",
}
CALL = """
import sys, time, IPython, numpy
{setup}
from tests.bench.core import norm
def helper(x): return norm(x) + 1
def f(a, b=2): return {{"x": helper(a), "y": b}}
f = mark(f)
start = time.perf_counter()
f({number})
print(time.perf_counter() - start)
"""


def fresh(folder: Path) -> Iterator[Row]:
    """What a process pays once."""
    script = folder / "fresh.py"
    imports = alone({name: (script, IMPORT.format(what=what)) for name, what in IMPORTS.items()})
    yield Row("import, after IPython and numpy", imports, "", 0.10)
    numbers = itertools.count(1)
    for work, number, kept in (
        ("first call, miss, new store", 1, False),
        ("first call, hit", 1, True),
        ("first call, miss", None, True),
    ):

        def code(name: str, turn: int, number: int | None = number, kept: bool = kept) -> str:
            where = str(folder / f"fresh-{name}{'' if kept else f'-{turn}'}")
            return CALL.format(setup=SETUP[name].format(folder=where), number=number or 1000 + next(numbers))

        yield Row(work, alone({name: (script, lambda turn, name=name: code(name, turn)) for name in SETUP}), "", 0.020)


def alone(scripts: dict[str, tuple[Path, object]], rounds: int = 7) -> dict[str, float]:
    """Median of what each script prints, each time in a new process; the first round is left out."""
    found: dict[str, list[float]] = {name: [] for name in scripts}
    for turn in range(rounds + 1):
        for name, (path, code) in scripts.items():
            path.write_text(code(turn) if callable(code) else str(code))
            ran = subprocess.run(
                [sys.executable, path], cwd=Path.cwd(), env=environ(), capture_output=True, text=True, check=False
            )
            if ran.returncode == 0:
                found[name].append(float(ran.stdout.split()[-1]))
            elif not turn and "ModuleNotFoundError" not in ran.stderr:
                print(ran.stderr, file=sys.stderr)
    return {name: statistics.median(times[1:]) for name, times in found.items() if len(times) > 1}


def environ() -> dict[str, str]:
    """The environment, with this project importable, and compiled once as it is for everybody else."""
    import os

    root = str(Path(__file__).parents[2])
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return writing | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
