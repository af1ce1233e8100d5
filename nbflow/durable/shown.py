"""A job as a step, for the panel and the history."""

import time
from collections.abc import Callable
from typing import Final

from nbflow.context import here
from nbflow.engine.work import next_step
from nbflow.events import Began, Cancelled, Completed, Failed, Progressed, Started
from nbflow.session import session
from nbflow.step.plan import reason

__all__ = ["Shown"]

_PAUSE: Final = 0.1
"""Seconds between two words about progress."""


class Shown:
    """Tells of one job, from each beginning to its end.

    Attributes:
        step: The number of the step that it is now or was last; None before the first.
    """

    def __init__(self, name: str) -> None:
        self.step: int | None = None
        self._name = name
        self._open = False
        self._said = self._since = 0.0

    def begin(self, progress: tuple[int, int | None]) -> None:
        """It begins, unless it is under way."""
        if not self._open:
            self._open, self.step = True, next_step()
            now, self._since = session.clock.time(), time.perf_counter()
            session.bus.tell(Began(self.step, now, self._name, (), here.get().step))
            session.bus.tell(Started(self.step, now, 1, 1))
        self._say(progress)

    def tell(self, progress: Callable[[], tuple[int, int | None]]) -> None:
        """It went on. Not every word is handed on: 10,000 items a second would be too many."""
        if self._open and time.perf_counter() - self._said > _PAUSE:
            self._say(progress())

    def _say(self, progress: tuple[int, int | None]) -> None:
        assert self.step is not None
        self._said = time.perf_counter()
        session.bus.tell(Progressed(self.step, session.clock.time(), *progress))

    def end(self, progress: tuple[int, int | None], error: BaseException | None) -> None:
        """It was worked at long enough: all is done, or the loop was left, or it failed."""
        if not self._open or self.step is None:
            return
        self._open = False
        self._say(progress)
        now, (done, total) = session.clock.time(), progress
        if isinstance(error, Exception):
            session.bus.tell(Failed(self.step, now, reason(error), ""))
        elif error is None and done == total:
            session.bus.tell(Completed(self.step, now, time.perf_counter() - self._since, 0))
        else:
            why = reason(error) if error is not None else "some items are left"
            session.bus.tell(Cancelled(self.step, now, why))
