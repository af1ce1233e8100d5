"""Steps in processes of their own, for work that keeps the processor busy.

Each worker has a thread of this process, which sends it calls, several at a time where they are short, and gets a
reply to each: so it is known which call a worker died of, and those behind it go to another one. See
`nbflow.remote.workers` for why they are no pool of loky's. Workers are kept warm for the next cell, and end with
this process.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any, ClassVar, Final, NamedTuple

from nbflow.errors import ConfigurationError
from nbflow.remote import workers
from nbflow.remote.parcels import packed
from nbflow.task_runners.base import ELSEWHERE
from nbflow.task_runners.threads import ThreadPoolTaskRunner

__all__ = ["ProcessPoolTaskRunner"]


_SHORT: Final = 0.005
"""Seconds that calls sent together may take, as those before them did."""
_MOST: Final = 32
_IDLE: Final = 5.0  # seconds after which a thread without calls ends
_BYTES: Final = 1 << 15
"""What fits into a pipe."""


class _Sent(NamedTuple):
    call: bytes
    limit: float | None
    answer: Future[bytes]


class _Calls(Executor):
    """Packed calls in so many workers. Each has a thread here, which knows what its worker runs."""

    def __init__(self, setup: workers.Setup, most: int) -> None:
        self._setup, self._most = setup, most
        self._waiting: deque[_Sent] = deque()
        self._ready = threading.Condition()
        self._threads = self._idle = 0
        self._together = 1

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002 - workers know what performs calls
        """The packed reply to a packed call, which may take `limit` seconds."""
        sent = _Sent(args[0], kwargs.get("limit"), Future())
        with self._ready:
            self._waiting.append(sent)
            self._staff()
        return sent.answer

    def _staff(self) -> None:
        if self._idle >= len(self._waiting):
            self._ready.notify()
        elif self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._serve, name=f"nbflow-process-{self._threads}", daemon=True).start()

    def _next(self) -> list[_Sent]:
        """The next calls, as many as are short; none where this thread is no longer needed."""
        with self._ready:
            while not self._waiting:
                self._idle += 1
                called = self._ready.wait(_IDLE)
                self._idle -= 1
                if not called and not self._waiting:
                    self._threads -= 1
                    return []
            most, size = min(self._together, max(1, len(self._waiting) // self._most)), 0
            batch: list[_Sent] = []
            while self._waiting and len(batch) < most:
                size += len(self._waiting[0].call)
                if batch and size > _BYTES:
                    break
                sent = self._waiting.popleft()
                if sent.answer.running() or sent.answer.set_running_or_notify_cancel():
                    batch.append(sent)
            return batch or self._next()

    def _serve(self) -> None:
        while batch := self._next():
            self._perform(batch)
            del batch  # its steps hold their values

    def _perform(self, batch: list[_Sent]) -> None:
        start, done = time.monotonic(), 0
        try:
            worker = workers.take(self._setup)
            for reply in worker.ask_all([(sent.call, sent.limit) for sent in batch]):
                batch[done].answer.set_result(reply)
                done += 1
        except BaseException as error:  # noqa: BLE001 - it belongs to the step without a reply; those behind it go on
            with self._ready:
                self._waiting.extendleft(reversed(batch[done + 1 :]))
            batch[done].answer.set_exception(error)
            return
        workers.give(self._setup, worker)
        took = max((time.monotonic() - start) / len(batch), 1e-6)
        self._together = max(1, min(_MOST, self._together * 2, int(_SHORT / took)))


class ProcessPoolTaskRunner(ThreadPoolTaskRunner):
    """At most `max_workers` steps at a time, each in a process of its own.

    Args:
        max_workers: By default one for each processor.
        initializer: Called once in each new worker.
        initargs: What it is called with.

    Raises:
        ConfigurationError: `max_workers` is not a whole number of 1 or more; the initializer cannot be called.
    """

    leaves: ClassVar[tuple[type, ...]] = ELSEWHERE
    kills: ClassVar[bool] = True

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
        self.executor: Executor = _Calls((first, workers.PERFORM), self.max_workers)

    def _default(self) -> int:
        return os.cpu_count() or 1
