"""Who is watching: the sights that are open, and the one that the running code belongs to.

Attribution is by context variable, so that it follows `await`, `call_soon` and `copy_context().run`
without our help; what a context variable does not follow, threads, is judged in `watch`.
"""

from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ["NOBODY", "Witness", "current", "running", "unseen"]


class Witness(Protocol):
    """What others need to know of a sight: itself and the sights around it, innermost first."""

    @property
    def chain(self) -> "tuple[Any, ...]":
        """All sights that what happens now belongs to."""


class _Nobody:
    """Stands where nothing is to be recorded."""

    chain: tuple[Any, ...] = ()


NOBODY = _Nobody()
current: ContextVar[Witness | None] = ContextVar("nbflow.world", default=None)
running: dict[Any, None] = {}
"""The open sights. Never rebound, so that the hook can hold it: empty means that nobody looks."""


class unseen:  # noqa: N801 - reads as a statement: `with unseen():`
    """A context in which nothing counts: our own looks at files, on behalf of nobody."""

    __slots__ = ("_mark",)

    def __enter__(self) -> None:
        self._mark = current.get()
        current.set(NOBODY)

    def __exit__(self, *_: object) -> None:
        current.set(self._mark)
