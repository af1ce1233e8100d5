"""A thread that draws while there is something to draw."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Final

__all__ = ["Pump"]

_SHARE: Final = 4  # drawing takes a fifth of the thread's time at most: what is drawn has the right of way


class Pump:
    """Calls `draw` now and then, in a daemon thread that lives only as long as `draw` returns true.

    Args:
        draw: Draws, and says whether there will be more to draw.
        first: Seconds before the first time.
        every: Seconds between two times, at least.
        context: Where `draw` runs; it carries which cell an output belongs to.
    """

    def __init__(
        self, draw: Callable[[], bool], *, first: float = 0.0, every: float = 0.5, context: Context | None = None
    ) -> None:
        self._draw, self._first, self.every = draw, first, every
        self._context = context or copy_context()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun; from any thread."""
        with self._lock:
            if self._thread is None and not self._over.is_set():
                run = self._context.copy().run
                thread = threading.Thread(target=run, args=(self._run,), name="nbflow-panel", daemon=True)
                thread.start()
                self._thread = thread  # last: whoever stops it joins it

    def stop(self, timeout: float = 5.0) -> None:
        """Draw no more; waits until a drawing that has begun is done."""
        self._over.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        pause = self._first
        while not self._over.wait(pause):
            began = time.monotonic()
            with self._lock:  # so that `start` either finds this thread at work or begins another
                if self._over.is_set() or not self._drawn():
                    self._thread = None
                    return
            pause = max(self.every, _SHARE * (time.monotonic() - began))

    def _drawn(self) -> bool:
        try:
            return self._draw()
        except Exception:
            logging.getLogger("nbflow").warning("nbflow: the panel is no longer drawn", exc_info=True)
            self._over.set()
            return False
