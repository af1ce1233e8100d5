"""The transaction that one step of a task is, where something depends on how the step ends."""

from collections.abc import Iterable

from nbflow.context import open_transaction
from nbflow.engine.hooks import Hook
from nbflow.engine.slot import Slot
from nbflow.events import Cancelled, Completed, Crashed, Event, Failed, RolledBack, TimedOut
from nbflow.runs import TaskRun
from nbflow.session import session
from nbflow.transactions import CommitMode, Transaction

__all__ = ["StepTransaction"]


class StepTransaction(Transaction):
    """The transaction of one step of a task: staged when the step has completed.

    Args:
        run: Its run.
        slot: Where its result is kept; None where it is not.
        on_commit: Hooks of the task.
        on_rollback: As well.
    """

    def __init__(
        self, run: TaskRun, slot: Slot | None, on_commit: Iterable[Hook] = (), on_rollback: Iterable[Hook] = ()
    ) -> None:
        super().__init__()
        self.run, self._hooks = run, (tuple(on_rollback), tuple(on_commit))
        self.begin()
        self.alone = self.group is None
        if slot is not None and not self.alone and self.commit_mode is not CommitMode.EAGER:
            slot.hold = self.keeper(slot)

    @classmethod
    def of(
        cls, run: TaskRun, slot: Slot | None, on_commit: Iterable[Hook] | None, on_rollback: Iterable[Hook] | None
    ) -> "StepTransaction | None":
        """The transaction of a step; None where nothing depends on how it ends."""
        if on_commit or on_rollback or open_transaction.get() is not None:
            return cls(run, slot, on_commit or (), on_rollback or ())
        return None

    def hear(self, event: Event) -> None:
        """Take an event of the step."""
        if isinstance(event, Completed):
            self.stage(None, *self._hooks)
            self.settle()
        elif isinstance(event, (Failed, TimedOut, Cancelled, Crashed)):  # its own hooks have nothing to undo
            self.rollback()

    def undone(self) -> None:
        """Say so."""
        event = RolledBack(self.run.step, session.clock.time())
        self.run.hear(event)
        session.bus.tell(event)
