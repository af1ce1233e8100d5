"""Whose an event is that no context variable claims: what other threads do.

Who handed the work to a pool nobody can say, and to miss a dependence is worse than to have one too many. What a step
hands to a loop in the main thread carries its context along.
"""

import re
import sys
import threading
from typing import Any
from weakref import WeakKeyDictionary

from nbflow.world.current import current, running

__all__ = ["Sights", "claim_threads", "sights", "started"]

Sights = tuple[Any, ...]
"""Sights, innermost first. What sights themselves are made of asks here too, so they are not named."""

_KERNEL = r"(IOPub|Heartbeat|Control|(IPython)?History\w*|Shell channel|subshell|IO loop|Profile$|nbflow|pydevd)\b"
_KEEPERS = frozenset(
    {
        "IPython",
        "_pydevd_bundle",
        "debugpy",
        "distributed",
        "ipykernel",
        "jupyter_client",
        "nbflow",
        "tornado",
        "tqdm",
        "zmq",
    }
)
_POOLS = frozenset({"concurrent.futures.thread", "multiprocessing.pool"})

_claims: WeakKeyDictionary[threading.Thread, Sights] = WeakKeyDictionary()


def sights() -> Sights:
    """All that what happens now belongs to.

    In a thread that a step started, that step, while it runs; in the main thread, or one of Jupyter's, Dask's, a
    debugger's or our own, nobody; in any other thread, such as a pool's, all sights that are open.
    """
    sight = current.get()
    if sight is not None:
        return sight.chain
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return ()
    claim = _claims.get(thread)
    if claim is not None and claim[0] in running:
        return claim
    kinds = {type(thread).__module__.partition(".")[0], _target(thread).partition(".")[0]}
    if re.match(_KERNEL, thread.name) or kinds & _KEEPERS:
        return ()
    return tuple(running)


def started(thread: object, by: Sights) -> None:
    """A step starts a thread. A pool's belongs to whoever uses the pool."""
    if isinstance(thread, threading.Thread) and _target(thread) not in _POOLS:
        _claims[thread] = by


def claim_threads() -> None:
    """Hear of the start of threads where no audit event tells of it: before Python 3.12."""
    if sys.version_info >= (3, 12):
        return
    plain: Any = threading._start_new_thread  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public is in its place

    def start(function: Any, *args: Any) -> Any:
        if running:
            those = sights()
            if those:
                started(getattr(function, "__self__", None), those)
        return plain(function, *args)

    threading._start_new_thread = start  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def _target(thread: threading.Thread) -> str:
    return str(getattr(getattr(thread, "_target", None), "__module__", None) or "")
