"""Steps in processes of their own, for work that keeps the processor busy.

A thread of this process drives each plan, and holds one worker while its call runs; see `nbflow.workers` for why they
are not a pool. Workers are kept warm for the next cell, and end with this process.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from nbflow import workers
from nbflow.errors import ConfigurationError
from nbflow.parcels import packed
from nbflow.task_runners.threads import ThreadPoolTaskRunner

__all__ = ["ProcessPoolTaskRunner"]


class ProcessPoolTaskRunner(ThreadPoolTaskRunner):
    """At most `max_workers` steps at a time, each in a process of its own.

    Args:
        max_workers: By default one for each processor.
        initializer: Called once in each new worker.
        initargs: What it is called with.

    Raises:
        ConfigurationError: `max_workers` is not a whole number of 1 or more; the initializer cannot be called.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        if initializer is not None and not callable(initializer):
            raise ConfigurationError(f"initializer={initializer!r}: give a function")
        initargs = tuple(initargs)
        super().__init__(max_workers, initializer=initializer, initargs=initargs)
        first = b"" if initializer is None else packed((initializer, initargs))
        self._setup = first, workers.PERFORM

    def _default(self) -> int:
        return os.cpu_count() or 1

    def hold(self) -> workers.Hold:
        """Performs the calls of one step."""
        return workers.Hold(self._setup)
