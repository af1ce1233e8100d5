"""What a cell's line says, told from the events of its step."""

from nbflow import events as e
from nbflow.durations import spell
from nbflow.notebook.decide import Decision
from nbflow.notebook.status import Status
from nbflow.session import session
from nbflow.step.commands import Tell
from nbflow.widget import plain

__all__ = ["Report"]

_FRESH = frozenset({"network", "database"})


class Report:
    """Hears the events of one step, hands them on to the session's bus, and keeps the cell's line up to date."""

    def __init__(self, status: Status, decision: Decision) -> None:
        self.status, self.decision = status, decision
        self.attempts = decision.policy.attempts
        self.attempt = 0
        self.verdict = decision.verdict
        self._unsaved = ""
        self._ran = e.Completed(0, 0.0, 0.0, 0)

    def tell(self, command: Tell) -> None:
        """An event of the plan."""
        event = command.event
        session.bus.tell(event)
        match event:
            case e.Hit():
                self.verdict = event
            case e.Unsaved():
                self._unsaved = event.why
            case e.Completed():
                self._ran = event
            case e.Waiting():
                again = f"attempt {event.attempt + 1} of {self.attempts} in {spell(event.seconds)}"
                self.status.tell("↻", again, event.error, passing=True)
            case _:
                pass

    def begins(self, attempt: int) -> None:
        """An attempt begins; what the one before has shown was cleared."""
        self.attempt = attempt
        if attempt > 1:
            self.status.cleared()
            self.status.tell("↻", self._count(), passing=True)
        else:
            self.status.tell("▸", "running", self.decision.why_missed, passing=True)

    def finished(self, marks: list[str]) -> None:
        """The last attempt worked."""
        why = self.decision.uncached or self._unsaved
        kept = [f"stored {plain.size(self._ran.size)}", self.decision.why_missed, *marks]
        words = [f"not cached: {why}"] if why else kept
        self.status.done(self._ran.cost, self._count(), *words, *self.decision.warnings)

    def failed(self, error: BaseException, more: str) -> None:
        """The last attempt did not."""
        attempts = f"{self.attempt} attempts" if self.attempt > 1 else ""
        self.status.tell("✗", type(error).__name__, attempts, more, passing=True)

    def restored(self, marks: list[str]) -> None:
        """The result came from the store."""
        if isinstance(self.verdict, e.Hit):
            self.status.hit(self.verdict, *marks, *self.decision.warnings)

    def marks(self, touched: frozenset[str]) -> list[str]:
        """What to know of a result that is kept although it may go stale unseen."""
        marks = []
        if self.decision.policy.max_age is None and (fresh := sorted(touched & _FRESH)):
            marks.append(f"{', '.join(fresh)}: kept without --expires")
        if "child process" in touched:
            marks.append("child process: its files are unseen")
        return marks

    def _count(self) -> str:
        return f"attempt {self.attempt} of {self.attempts}" if self.attempt > 1 else ""
