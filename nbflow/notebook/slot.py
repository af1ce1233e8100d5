"""A cell's place in the store: facts about names are verified here, values written as the cell's own."""

from collections.abc import Callable
from typing import Any

from nbflow.clock import Clock
from nbflow.engine.slot import Slot
from nbflow.notebook.restore import CellPickle, Recording
from nbflow.step.commands import Load, Save
from nbflow.store import Store
from nbflow.trace import Fact

__all__ = ["CellSlot"]


class CellSlot(Slot):
    """One cell's key in one store.

    Args:
        store: Where entries are.
        key: The lookup key.
        task: The cell's label.
        clock: Says when an entry was made.
        serializer: Writes and reads what cells leave behind.
        now: The digest of a name's or of the inputs' sharing, as a fact has it.

    Attributes:
        record: Gives what the cell left behind, or raises `UnstorableError`.
    """

    record: Callable[[], Recording]

    def __init__(  # noqa: PLR0913 - a slot, and the two things in which a cell's differs
        self,
        store: Store,
        key: str,
        task: str,
        clock: Clock,
        *,
        serializer: CellPickle,
        now: Callable[[Fact], str],
    ) -> None:
        super().__init__(store, key, task, clock)
        self.serializer, self.now = serializer, now

    def broken(self, fact: Fact) -> str | None:
        """Why a fact no longer holds, None if it does."""
        if fact.kind not in ("name", "sharing"):
            return super().broken(fact)
        return None if self.now(fact) == fact.digest else f"{fact.subject} changed"

    def load(self, command: Load) -> Any:
        """What the cell left behind; nothing of it is in effect yet."""
        return self.store.load(command.entry, self.serializer)

    def save(self, command: Save) -> int:
        """Keep what the cell left behind; what cannot be kept is told by the cell's own line."""
        return self.keep(self.draft(self.record(), command.cost))
