"""Steps on threads of our own.

`concurrent.futures.ThreadPoolExecutor` blocks an interrupt, and the exit, until its threads end. Ours are
daemons: Ctrl-C returns at once. A worker that waits for a future lends its place to another one, so that
a step may submit steps and wait for them however deep, with any number of workers.
"""

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nbflow.task_runners.base import TaskRunner, workers_of

__all__ = ["ConcurrentTaskRunner", "ThreadPoolTaskRunner"]

_IDLE = 5.0  # seconds after which a worker without work ends


class ThreadPoolTaskRunner(TaskRunner):
    """At most `max_workers` steps at a time, on threads.

    Args:
        max_workers: By default four for each processor and eight more, 32 at most: notebooks wait for I/O.

    Raises:
        ConfigurationError: `max_workers` is not a whole number of 1 or more.
    """

    def __init__(self, max_workers: int | None = None, **options: Any) -> None:
        super().__init__(max_workers=max_workers, **options)
        self.max_workers = workers_of(max_workers, self._default())
        self._forget()
        _pools.add(self)

    def _default(self) -> int:
        return min(32, 4 * (os.cpu_count() or 1) + 8)

    def _forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self._work: deque[Callable[[], object]] = deque()
        self._lock = threading.RLock()  # entered by itself: the condition's own way in is written in Python
        self._ready = threading.Condition(self._lock)
        self._workers = self._idle = self._blocked = 0
        self._count = 0

    def start(self, work: Callable[[], object]) -> None:
        """Run `work` on a worker as soon as one is free. It must not raise."""
        with self._lock:
            self._work.append(work)
            self._staff()

    def _staff(self) -> None:
        if self._idle >= len(self._work):
            self._ready.notify()
        elif self._workers - self._blocked < self.max_workers:
            self._workers += 1
            self._count += 1
            threading.Thread(target=self._serve, name=f"nbflow-worker-{self._count}", daemon=True).start()

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work

    def _next(self) -> Callable[[], object] | None:
        """The next piece of work; None where this worker is no longer needed."""
        with self._lock:
            while not self._work:
                self._idle += 1
                called = self._ready.wait(_IDLE)
                self._idle -= 1
                if not called and not self._work:
                    self._workers -= 1
                    return None
            if self._workers - self._blocked > self.max_workers:  # those that had lent their place are back
                self._workers -= 1
                self._ready.notify()
                return None
            return self._work.popleft()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """While a worker waits for a future, another one may take its place."""
        with self._lock:
            self._blocked += 1
            if self._work:
                self._staff()
        try:
            yield
        finally:
            with self._lock:
                self._blocked -= 1


class ConcurrentTaskRunner(ThreadPoolTaskRunner):
    """Prefect's older name for a runner on threads."""


_pools: "weakref.WeakSet[ThreadPoolTaskRunner]" = weakref.WeakSet()


def _in_child() -> None:
    for pool in list(_pools):
        pool._forget()  # noqa: SLF001 - it is one of us


os.register_at_fork(after_in_child=_in_child)
