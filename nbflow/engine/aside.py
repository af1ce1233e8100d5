"""A call on a thread of its own: where this one must not block, cannot be stopped, or has a loop that is held up."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

__all__ = ["aside"]

_number = itertools.count(1).__next__


def aside(call: Callable[[], Any], purpose: str) -> tuple[Future[Any], threading.Thread]:
    """Call in a copy of this context; what it comes to, whatever that is, and the thread, which nobody waits for."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            answer.set_exception(error)

    name = f"nbflow-{purpose}-{_number()}"
    thread = threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True)
    thread.start()
    return answer, thread
