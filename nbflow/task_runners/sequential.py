"""Steps one after the other, in the thread that submits them: for debugging, and where threads are not welcome."""

from collections.abc import Callable
from typing import ClassVar

from nbflow.task_runners.base import TaskRunner

__all__ = ["SequentialTaskRunner"]


class SequentialTaskRunner(TaskRunner):
    """A submitted step runs at once, in the caller, and has ended when `submit` returns; its waits are waited for."""

    leaves: ClassVar[tuple[type, ...]] = ()

    def __init__(self) -> None:
        super().__init__()

    def start(self, work: Callable[[], object]) -> None:
        """Run it now."""
        work()
