"""What a row of the table is made of: some work, who does it, and what it found."""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.bench.peers import Side

__all__ = ["BARE", "OURS", "Ready", "Row", "Work"]

OURS = "nbflow"
BARE = "bare"

Ready = Callable[[Side], Callable[[], Any]]


class Work(NamedTuple):
    """One row to be.

    Attributes:
        title: What is done.
        ready: Prepares it in the process of a peer; what it returns is then called again and again.
        peers: Who does it beside nbflow.
        against: The one that the goal is a share of; `""`: the goal is in `unit`.
        goal: At most so many times `against`, or so much; None: for scale.
        note: What must be known to read the row, above all what `bare` is.
        bare: What the column `bare` does, in a process of its own; None: there is no such column.
        ours: Which of ours is the column nbflow.
        less: Whether the time of `bare` is taken off the others.
        expect: `hit` or `miss`: whether the cached function must run; `""` where nothing is cached.
        fresh: Whether each round is a new process, and what it finds: `new` or `kept` store; `""`: one process.
        unit: `s`; with any other, calls are not timed but return the figure.
        rounds: At most so many; fewer where they are slow.
        quoted: Whether the README quotes the row.
    """

    title: str
    ready: Ready
    peers: tuple[str, ...] = ()
    against: str = ""
    goal: float | None = None
    note: str = ""
    bare: Ready | None = None
    ours: str = OURS
    less: bool = False
    expect: str = ""
    fresh: str = ""
    unit: str = "s"
    rounds: int = 40
    quoted: bool = False

    @property
    def named(self) -> str:
        """Its title, with what must be known."""
        return f"{self.title} ({self.note})" if self.note else self.title

    @property
    def judged(self) -> frozenset[str]:
        """The columns that a ratio is made of."""
        return frozenset({OURS, self.against, BARE})

    @property
    def check(self) -> int:
        """The last round that is left out: the first in which a fresh process can find what another one kept."""
        return 1 if self.fresh else 0

    @property
    def racers(self) -> dict[str, Ready]:
        """What each column runs."""
        return dict.fromkeys((OURS, *self.peers), self.ready) | ({BARE: self.bare} if self.bare else {})


class Row(NamedTuple):
    """What was found: figures by column, of each round from the first on, and one line for each column that failed."""

    work: Work
    figures: dict[str, list[float]]
    failures: dict[str, str]

    @property
    def medians(self) -> dict[str, float]:
        """One figure for each column."""
        return {name: statistics.median(each) for name, each in self.net.items()}

    @property
    def net(self) -> dict[str, list[float]]:
        """Figures less those of the bare function in the same round, where they are to be."""
        off = self.figures.get(BARE)
        if not self.work.less or not off:
            return self.figures
        return {
            name: each if name == BARE else [x - y for x, y in zip(each, off, strict=False)]
            for name, each in self.figures.items()
        }

    @property
    def ratio(self) -> float | None:
        """Median of ours over the peer's of the same round; less the bare function, whose noise is in both, of medians."""
        ours, peers = self.net.get(OURS), self.net.get(self.work.against)
        if not ours or not peers:
            return None
        if self.work.less:
            mine, theirs = statistics.median(ours), statistics.median(peers)
            return mine / theirs if mine > 0 < theirs else None
        return statistics.median(x / y for x, y in zip(ours, peers, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or nobody to compare with."""
        measured = self.ratio if self.work.against else self.medians.get(OURS)
        return None if self.work.goal is None or measured is None else measured <= self.work.goal
