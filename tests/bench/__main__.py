"""`python -m tests.bench [area ...]`: nbflow beside its peers, on this machine, in one run."""

import argparse
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.bench.race import BUDGET, ROOT, Race
from tests.bench.table import as_json, as_text, save
from tests.bench.work import Row, Work

AREAS = ("core", "keys", "store", "cells", "engine", "durable", "panel", "answers")


def main() -> int:
    """Run the areas that are named, or all of them; 1 if a goal is missed or cannot be judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "area", nargs="*", choices=[*AREAS, []], metavar="AREA", help=f"{', '.join(AREAS)}; by default all"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose title has it")
    parser.add_argument("--peers", metavar="A,B", help="only these beside nbflow, and whom a goal names")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="S", help="seconds for the rounds of a row")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--save", type=Path, nargs="?", const=ROOT / "README.md", help="put the table into the README")
    asked = parser.parse_args()
    rows: list[Row] = []
    for area in asked.area or AREAS:
        works = [work for work in import_module(f"tests.bench.{area}").WORKS if asked.only in work.title]
        if asked.peers is not None:
            works = [among(work, asked.peers.split(",")) for work in works]
        folder, start = Path(tempfile.mkdtemp(prefix="nbflow-bench-")), time.monotonic()
        race = Race(area, folder, asked.budget)
        try:
            questions = [work for work in works if work.unit == "yes"]
            rows += race.ask(questions) if questions else []
            for work in works:
                if work not in questions:
                    before = time.monotonic()
                    rows.append(race.run(work))
                    print(f"{time.monotonic() - before:6.1f} s  {work.title}", file=sys.stderr)
        finally:
            race.close()
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{time.monotonic() - start:6.1f} s  {area}", file=sys.stderr)
    print(as_json(rows) if asked.json else as_text(rows))
    if asked.save:
        save(rows, asked.save)
    return 1 if any(row.met is False or (row.work.goal is not None and row.met is None) for row in rows) else 0


def among(work: Work, names: list[str]) -> Work:
    """The work without the peers that are not asked for."""
    return work._replace(peers=tuple(name for name in work.peers if name in (*names, work.against)))


if __name__ == "__main__":
    raise SystemExit(main())
