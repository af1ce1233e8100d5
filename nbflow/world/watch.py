"""The one audit hook.

An audit hook cannot be removed (PEP 578, https://peps.python.org/pep-0578/), so there is one, installed by the first
sight; while none is open it tests one dictionary. An event belongs to the sights of the context that it happens in;
outside any, `threads` judges. Whatever goes wrong in the hook is never raised into the user's code. An error of a
signal handler that happens to run meanwhile, such as a timeout, is, because it is not the hook's own.
"""

import sys
import threading
from collections.abc import Collection
from typing import Any

from nbflow.trace import Fact
from nbflow.world.current import NOBODY, current, running
from nbflow.world.events import HANDLERS
from nbflow.world.paths import prepare
from nbflow.world.quiet import foreign
from nbflow.world.sight import Sight, Stretches
from nbflow.world.threads import claim_threads, sights

__all__ = ["adopt", "watch", "watched"]

_lock = threading.Lock()
_installed = False


def watch(*, stretches: bool = False) -> Sight:
    """A context in which what the running code depends on is recorded; with `stretches` one that is entered often.

    Example:
        >>> with watch() as sight:
        ...     _ = sum(range(10))
        >>> sight.facts(), sight.touched
        ((), frozenset())
    """
    if not _installed:
        _install()
    return Stretches() if stretches else Sight()


def watched() -> bool:
    """Whether a step that goes on around here wants to know what it depends on."""
    return current.get() is not None


def adopt(facts: Collection[Fact]) -> None:
    """Hand on what a step depended on when it ran to the steps around it, which now depend on it as well."""
    sight = current.get()
    if sight is not None and facts:
        for each in sight.chain:
            each.adopt(facts)


def _install() -> None:
    global _installed  # noqa: PLW0603 - there is one hook in a process
    with _lock:
        if not _installed:
            prepare()
            sys.addaudithook(_hook)
            claim_threads()
            _installed = True


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if running:
        handle = HANDLERS.get(event)
        if handle is not None:
            try:
                those = sights()
                if those:
                    mark = current.get()
                    current.set(NOBODY)  # what the handler does itself is no event
                    try:
                        handle(those, args, sys._getframe(1))  # noqa: SLF001 - who does it is the point
                    finally:
                        current.set(mark)
            except Exception as error:
                if foreign(error):
                    raise
