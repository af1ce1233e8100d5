"""Columns take turns, round by round, so that a slow moment of the machine hits all of them.

Each column is a process of its own: a peer cannot slow another down by what it imports, starts or keeps.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from tests.bench.work import Row, Work

__all__ = ["Race"]

ROOT = Path(__file__).parents[2]
BUDGET = 5.0
"""Seconds that the columns that are judged may take in a row, once they have had `LEAST` rounds; others get a share."""
LEAST = 3
SLICE = 0.02
"""Calls that are faster are made several times a turn, so that a turn takes about this long."""
PATIENCE = 180.0


class Silent(Exception):
    """A column answered with an error, or not at all."""


class Child:
    """One process and the pipe to it."""

    def __init__(self, column: str, folder: Path) -> None:
        self.folder = folder
        self.pipe, theirs = Pipe()
        self.log = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.bench.child", str(theirs.fileno()), column],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=environ(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        theirs.close()

    def ask(self, *words: Any) -> Any:
        """Its answer."""
        try:
            self.pipe.send(words)
            answer = self.pipe.recv() if self.pipe.poll(PATIENCE) else f"no answer in {PATIENCE:g} s"
        except (EOFError, OSError):
            answer = f"its process ended: {(self.log.read_text(errors='replace').splitlines() or ['?'])[-1]}"
        if isinstance(answer, str) and answer:
            raise Silent(answer)
        return answer

    def close(self) -> None:
        """Let it end, or end it, and all that it started."""
        self.pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        with suppress(ProcessLookupError):  # nothing is left of its group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Race:
    """The columns of one area.

    Args:
        area: The module whose works are run.
        folder: Empty; stores and logs go there.
        budget: Seconds for a row's rounds, preparation of lasting processes apart.
    """

    def __init__(self, area: str, folder: Path, budget: float = BUDGET) -> None:
        self._area, self._folder, self._budget = area, folder, budget
        self._children: dict[str, Child] = {}

    def run(self, work: Work) -> Row:
        """All rounds of a work; a column that fails is out.

        A slow peer that no goal names stops early, or nobody else would get enough rounds for a ratio.
        """
        if work.fresh:
            self.close()
        figures: dict[str, list[float]] = {name: [] for name in work.racers}
        failures: dict[str, str] = {}
        counts: dict[str, int] = {}
        spent = dict.fromkeys(figures, 0.0)
        for turn in range(work.check + work.rounds + 1):
            spare = turn > work.check + LEAST
            if spare and sum(spent[name] for name in work.judged if name in figures) > self._budget:
                break
            for name in [name for name in figures if name not in failures]:
                share = self._budget / len(figures) if spare else self._budget
                if name not in work.judged and spent[name] > share:
                    continue
                start = time.monotonic()
                try:
                    found = self._ready(work, name, turn).ask("go", counts.get(name, 1))
                except Silent as silence:
                    failures[name] = str(silence)
                    self._drop(name)
                    continue
                if turn > work.check:
                    figures[name].append(found)
                    spent[name] += time.monotonic() - start
                if not work.fresh and work.unit == "s":
                    counts[name] = max(1, min(200, int(SLICE / max(found, 1e-9))))
                if work.fresh:
                    self._drop(name)
        for store in self._folder.glob(f"*/{slug(work.title)}*"):
            shutil.rmtree(store, ignore_errors=True)
        return Row(work, {name: each for name, each in figures.items() if name not in failures}, failures)

    def ask(self, works: Sequence[Work]) -> list[Row]:
        """What the columns say to questions, two columns at a time: nothing is timed.

        Each round of a column is a process that is asked all of them; what it says in the last one counts.
        """
        names = list(dict.fromkeys(name for work in works for name in work.racers))
        with ThreadPoolExecutor(2) as pool:
            said = dict(zip(names, pool.map(partial(self._said, works), names), strict=True))
        found = [{name: said[name][work.title] for name in work.racers} for work in works]
        return [
            Row(
                work,
                {name: [each] for name, each in of.items() if isinstance(each, float)},
                {name: str(each) for name, each in of.items() if isinstance(each, Silent)},
            )
            for work, of in zip(works, found, strict=True)
        ]

    def close(self) -> None:
        """End all processes."""
        for name in list(self._children):
            self._drop(name)

    def _ready(self, work: Work, name: str, turn: int) -> Child:
        """The process of a column, prepared for this work."""
        folder = self._folder / slug(name)
        if name not in self._children:
            self._children[name] = Child(name, folder)
        child = self._children[name]
        if work.fresh or not turn:
            store = folder / (slug(work.title) + (f"-{turn}" if work.fresh == "new" else ""))
            child.ask("ready", self._area, work.title, str(store), turn)
        return child

    def _said(self, works: Sequence[Work], name: str) -> dict[str, float | Silent]:
        """What a column says to each question, or why it does not."""
        said: dict[str, float | Silent] = {}
        for turn in range(1 + max(work.rounds for work in works)):
            for work in works:
                if name in work.racers and not isinstance(said.get(work.title), Silent):
                    try:
                        said[work.title] = self._ready(work, name, turn).ask("go", 1)
                    except Silent as silence:
                        said[work.title] = silence
                        self._drop(name)
            self._drop(name)
        return said

    def _drop(self, name: str) -> None:
        if name in self._children:
            self._children.pop(name).close()


def slug(text: str) -> str:
    """Text as a folder's name."""
    return re.sub(r"\W+", "-", text)


def environ(folder: Path) -> dict[str, str]:
    """The environment, with this project importable, and compiled once as it is for everybody else."""
    ours = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "DO_NOT_TRACK": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "PREFECT_HOME": str(folder),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    drop = {"PYTHONDONTWRITEBYTECODE", "PREFECT_API_URL", "PYTEST_CURRENT_TEST", "NBFLOW_CACHE", "NBFLOW_STORE"}
    return {name: value for name, value in os.environ.items() if name not in drop} | ours
