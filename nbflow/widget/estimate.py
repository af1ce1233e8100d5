"""How long it will take: a guess from what steps of the same tasks took."""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final

from nbflow.step.phases import Phase
from nbflow.widget.rows import Row, Tally

__all__ = ["Estimate"]

_EVERY: Final = 1.0  # seconds between two guesses, since each looks at every step that is active


class Estimate:
    """Seconds until all steps have ended.

    Args:
        expect: Seconds that a step of this label usually takes; None where nobody knows.
    """

    def __init__(self, expect: Callable[[str], float | None]) -> None:
        self._expect = expect
        self._expected: dict[str, float | None] = {}
        self._made = -inf
        self._left: float | None = None

    def left(self, active: Mapping[int, Row], now: float) -> float | None:
        """Seconds that are left at this time; None where a step is of a kind that was never seen to end.

        A step that others belong to stands for them if its own time is known, else they stand for it.
        """
        if not active:
            self._made = -inf  # what comes next is guessed anew
            return None
        if now - self._made >= _EVERY:
            outer = self._sum((row for row in active.values() if row.parent not in active), now)
            parents = {row.parent for row in active.values()}
            inner = (row for step, row in active.items() if step not in parents)
            self._made, self._left = now, self._sum(inner, now) if outer is None else outer
        return None if self._left is None else max(0.0, self._left - (now - self._made))

    def _sum(self, rows: Iterable[Row], now: float) -> float | None:
        """What is left of these rows, as many at a time as run now."""
        total, at_work = 0.0, 0
        for row in rows:
            usual = self._usual(row.tally)
            if usual is None:
                return None
            begun = row.state is not Phase.PENDING
            at_work += begun
            total += max(usual - (now - row.since), 0.0) if begun else usual
        return total / max(at_work, 1)

    def _usual(self, tally: Tally) -> float | None:
        """Seconds that a step of a task takes: in this run, else in earlier ones."""
        if tally.ran:
            return tally.cost / tally.ran
        if tally.task not in self._expected:
            try:
                self._expected[tally.task] = self._expect(tally.task)
            except Exception:  # noqa: BLE001 - a guess is a courtesy; the panel goes on without it
                self._expected[tally.task] = None
        return self._expected[tally.task]
