"""The table: in a terminal, as JSON, in the README."""

import json
import os
import platform
import re
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.peers import PEERS
from tests.bench.work import BARE, OURS, Row

__all__ = ["as_json", "as_text", "save"]

MARKS = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)


def as_text(rows: Sequence[Row], *, notes: bool = True) -> str:
    """Markdown that is aligned, so that it reads well in a terminal too, and how it came about."""
    columns = [
        name for name in dict.fromkeys((OURS, *PEERS, BARE)) if any(name in row.figures | row.failures for row in rows)
    ]
    columns = [name for name in columns if any(name in row.medians or name in row.failures for row in rows)]
    table = [["work", *columns, "ratio", "goal", "met"], *(cells(row, columns) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    table.insert(1, ["-" * width for width in widths])
    lines = ["| " + " | ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) + " |" for line in table]
    failures = [f"{row.work.title}: {name}: {why}" for row in rows for name, why in row.failures.items()]
    return "\n".join([*lines, "", *([*settings(columns), *failures, ""] if notes else []), machine(columns)])


def cells(row: Row, columns: Iterable[str]) -> list[str]:
    """One row as text."""
    work, medians = row.work, row.medians
    title = f"{work.title} ({work.note})" if work.note else work.title
    figures = ["failed" if name in row.failures else spell(medians.get(name), work.unit) for name in columns]
    ratio = "" if row.ratio is None else f"{row.ratio:.2g}"
    goal = (
        ""
        if work.goal is None
        else f"≤ {work.goal:g} × {work.against}"
        if work.against
        else f"≤ {spell(work.goal, work.unit)}"
    )
    return [title, *figures, ratio, goal, {None: "", True: "yes", False: "NO"}[row.met]]


def spell(figure: float | None, unit: str) -> str:
    """Three figures and a unit."""
    if figure is None:
        return ""
    if unit == "yes":
        return "yes" if figure else "NO"
    if unit != "s":
        return f"{figure:.2f} {unit}"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if figure >= size:
            return f"{figure / size:.3g} {unit}"
    return f"{figure * 1e6:.3g} µs"


def settings(columns: Iterable[str]) -> list[str]:
    """How each column was set up."""
    return [f"{name}: {PEERS[name].note}" for name in columns if name in PEERS]


def machine(columns: Iterable[str]) -> str:
    """Date, machine and versions."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", info.read_text() if info.exists() else "", re.MULTILINE)
    where = f"{os.cpu_count()} × {models[0] if models else platform.machine()}, load {os.getloadavg()[1]:.1f}"
    raced = sorted({PEERS[name].distribution for name in columns if name in PEERS} | {"numpy", "pandas"}, key=str.lower)
    return f"{time.strftime('%Y-%m-%d')}, {where}, Python {platform.python_version()}, " + ", ".join(
        f"{name} {number(name)}" for name in raced
    )


def number(distribution: str) -> str:
    """Its version."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"


def as_json(rows: Iterable[Row]) -> str:
    """All figures of all rounds."""
    keep = ("title", "against", "goal", "note", "unit")
    found = [
        {name: getattr(row.work, name) for name in keep}
        | {"medians": row.medians, "ratio": row.ratio, "met": row.met, "figures": row.figures, "failures": row.failures}
        for row in rows
    ]
    return json.dumps({"run": machine(PEERS), "rows": found}, indent=1)


def save(rows: Sequence[Row], readme: Path) -> None:
    """Put the rows that are to be quoted between the marks of a README.

    Raises:
        ValueError: It has no marks.
    """
    text, table = readme.read_text(encoding="utf-8"), as_text([row for row in rows if row.work.quoted], notes=False)
    if not MARKS.search(text):
        raise ValueError(f"{readme} has no <!-- bench --> and <!-- /bench -->")
    readme.write_text(MARKS.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text), encoding="utf-8")
