"""The table: in a terminal, as JSON, in the README."""

import json
import os
import platform
import re
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.answers import SETTINGS
from tests.bench.peers import PEERS
from tests.bench.work import BARE, OURS, Row

__all__ = ["as_json", "as_text", "save"]


def as_text(rows: Sequence[Row]) -> str:
    """Markdown that is aligned, so that it reads well in a terminal too, and how it came about."""
    columns = [
        name for name in dict.fromkeys((OURS, *PEERS, BARE)) if any(name in row.figures | row.failures for row in rows)
    ]
    columns = [name for name in columns if any(name in row.medians or name in row.failures for row in rows)]
    table = [["work", *columns, "ratio", "goal", "met"], *(cells(row, columns) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = markdown([[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in table])
    failures = [f"{row.work.title}: {name}: {why}" for row in rows for name, why in row.failures.items()]
    return "\n".join([*lines, "", *settings(columns), *failures, "", machine(columns)])


def markdown(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, of which the first is the head."""
    head, *body = ["| " + " | ".join(line) + " |" for line in table]
    return [head, "|" + "|".join("-" * (len(text) + 2) for text in table[0]) + "|", *body]


def cells(row: Row, columns: Iterable[str]) -> list[str]:
    """One row as text."""
    figures = ["failed" if name in row.failures else spell(row.medians.get(name), row.work.unit) for name in columns]
    return [row.work.named, *figures, *judged(row)]


def judged(row: Row) -> list[str]:
    """Ratio, goal, and whether it is met."""
    work, goal = row.work, ""
    if work.goal is not None:
        goal = "≤ " + (f"{work.goal:g} × {work.against}" if work.against else spell(work.goal, work.unit))
    return ["" if row.ratio is None else f"{row.ratio:.2g}", goal, {None: "", True: "yes", False: "NO"}[row.met]]


def spell(figure: float | None, unit: str) -> str:
    """Three figures and a unit."""
    if figure is None:
        return ""
    if unit == "yes":
        return "yes" if figure else "NO"
    if unit != "s":
        return f"{round(figure, 2) + 0.0:.2f} {unit}"  # no -0.00
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
    """Put what is to be quoted between the marks of a README: works that were timed, and questions. What was not run stays.

    Raises:
        ValueError: It has no marks.
    """
    text, quoted = readme.read_text(encoding="utf-8"), [row for row in rows if row.work.quoted]
    for mark, write, some in (
        ("bench", timings, [row for row in quoted if row.work.unit != "yes"]),
        ("answers", answers, [row for row in quoted if row.work.unit == "yes"]),
    ):
        marks = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        if not marks.search(text):
            raise ValueError(f"{readme} has no <!-- {mark} --> and <!-- /{mark} -->")
        if some:
            table = "\n".join(write(some))
            text = marks.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    readme.write_text(text, encoding="utf-8")


def timings(rows: Sequence[Row]) -> list[str]:
    """Who did it how fast: the peers of each row together, the best first."""
    table = [["work", "nbflow", "others", "ratio", "goal", "met"]]
    for row in rows:
        others = sorted((figure, name) for name, figure in row.medians.items() if name != OURS)
        said = [f"{name} {spell(figure, row.work.unit)}" for figure, name in others]
        said += [f"{name} failed" for name in row.failures if name != OURS]
        ours = "failed" if OURS in row.failures else spell(row.medians.get(OURS), row.work.unit)
        table.append([row.work.named, ours, ", ".join(said), *judged(row)])
    return [*markdown(table), "", machine([name for row in rows for name in row.figures])]


def answers(rows: Sequence[Row]) -> list[str]:
    """Who gives the right answer; a dash is for who could not be asked."""
    columns = [name for name in (OURS, *PEERS) if any(name in row.figures | row.failures for row in rows)]
    columns = list(dict.fromkeys(columns))
    words = {None: "–", 0.0: "no", 1.0: "yes"}
    table = [["", *columns], *([row.work.title, *(words[row.medians.get(name)] for name in columns)] for row in rows)]
    settings = [f"{name}: {SETTINGS[peer][0]}" for name in columns if (peer := PEERS[name].distribution) in SETTINGS]
    return [*markdown(table), "", f"{machine(columns)}. Set up for this: {'; '.join(settings)}."]
