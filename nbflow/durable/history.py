"""What ran, in this session and before it."""

from typing import Final

from nbflow.durable.recorder import Run
from nbflow.session import session

__all__ = ["History", "Run", "history"]

_LATEST: Final = 20


class History:
    """The runs of steps, newest first: `history()`, `history("fetch", limit=5)`. Hits are no runs.

    A run is written down some seconds after it ended, so that of a process that is killed the last ones may be missing.
    """

    def __repr__(self) -> str:
        return "history"

    def __call__(self, task: str | None = None, limit: int = 100) -> list[Run]:
        """The latest runs of a task, or of all.

        Args:
            task: Its label.
            limit: At most so many.

        Raises:
            StoreError: The ledger cannot be read.
        """
        return session.recorder.read(task, limit)

    def expected(self, task: str) -> float | None:
        """Seconds that a run of a task usually takes: the median of the latest that completed; None: none has."""
        took = [run.seconds for run in session.recorder.read(task, _LATEST) if run.outcome == "Completed"]
        from statistics import median  # noqa: PLC0415 - it brings fractions and decimals, which no step needs

        return median(took) if took else None


history = History()
