"""Runs that take turns, medians of them, and the table that shows them."""

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

__all__ = ["OURS", "Row", "race", "show", "without"]

OURS = "nbflow"
COLUMNS = (OURS, "diskcache", "joblib", "other")
Runners = dict[str, Callable[[], Any]]


class Row(NamedTuple):
    """One line of the table: seconds by name, and what ours are held against.

    Attributes:
        work: What was done.
        times: Median seconds by runner; `other` is named in `note`.
        against: The runner that the goal is a share of; `""`: the goal is in seconds.
        goal: At most so many times `against`, or seconds; None: shown for scale.
        note: What must be known to read it.
        unit: Of the figures: `s`, or `MiB`.
    """

    work: str
    times: dict[str, float]
    against: str = ""
    goal: float | None = None
    note: str = ""
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """Ours as a share of the peer's time."""
        peer = self.times.get(self.against)
        return self.times[OURS] / peer if peer and OURS in self.times else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or no peer to compare with."""
        if self.goal is None:
            return None
        measured = self.ratio if self.against else self.times.get(OURS)
        return None if measured is None else measured <= self.goal


def race(runners: Runners, rounds: int = 50, inner: int = 1, warm: int = 2) -> dict[str, float]:
    """Median seconds of one call of each runner: A B A B, so that a slow moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        for _ in range(warm):
            run()
    for _ in range(rounds):
        for name, run in runners.items():
            gc.collect(0)
            gc.disable()
            start = time.perf_counter()
            for _ in range(inner):
                run()
            times[name].append((time.perf_counter() - start) / inner)
            gc.enable()
    return {name: statistics.median(each) for name, each in times.items()}


def without(times: dict[str, float], bare: str = "bare") -> dict[str, float]:
    """What caching adds: the time of the bare function is taken off the others."""
    less = times[bare]
    return {name: max(each - less, 1e-9) for name, each in times.items() if name != bare}


def spell(seconds: float | None, unit: str = "s") -> str:
    """Three figures and a unit."""
    if seconds is None:
        return "-"
    if unit != "s":
        return f"{seconds:.3g} {unit}"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def cells(row: Row) -> list[str]:
    """One row as text."""
    goal, ratio = row.goal, row.ratio
    goal_text = "-" if goal is None else f"≤ {goal:g} × {row.against}" if row.against else f"≤ {spell(goal, row.unit)}"
    met = {None: "-", True: "yes", False: "NO"}[row.met]
    times = [spell(row.times.get(name), row.unit) for name in COLUMNS]
    work = f"{row.work} ({row.note})" if row.note else row.work
    return [work, *times, "-" if ratio is None else f"{ratio:.2f}", goal_text, met]


def show(rows: Iterable[Row], *, as_json: bool = False) -> None:
    """Print the rows, as a table or as JSON."""
    rows = list(rows)
    if as_json:
        found = [row._asdict() | {"ratio": row.ratio, "met": row.met} for row in rows]
        print(json.dumps({"versions": versions(), "rows": found}, indent=1))
        return
    head = ["work", *COLUMNS, "ratio", "goal", "met"]
    table = [head, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    for i, line in enumerate(table):
        print(" | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if not i:
            print("-+-".join("-" * width for width in widths))
    print(", ".join(f"{name} {number}" for name, number in versions().items()))


def versions() -> dict[str, str]:
    """Who raced."""
    found = {}
    for name in ("nbflow", "diskcache", "joblib", "numpy", "pandas"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from this folder" if name == OURS else "missing"
    return found
