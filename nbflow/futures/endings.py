"""The end of a scope: what was submitted in it is waited for, and a failure that nobody looked at is not lost."""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

from nbflow.context import Scope
from nbflow.errors import NotReadyError
from nbflow.futures.future import Future, spelled, wait
from nbflow.step.plan import reason

__all__ = ["ajoin", "first_unseen", "join", "worst"]


def join(scope: Scope) -> None:
    """Wait for all that was submitted, also by what is waited for. An interrupt cancels what is queued."""
    done = 0
    try:
        while done < len(scope.futures):
            batch = scope.futures[done:]
            wait(batch)
            done += len(batch)
    except BaseException:
        scope.stop("the wait for it was interrupted")
        raise


async def ajoin(scope: Scope) -> None:
    """The same without holding up the event loop."""
    import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

    done = 0
    try:
        while done < len(scope.futures):
            batch = scope.futures[done:]
            await asyncio.wait([asyncio.ensure_future(_ended(each)) for each in batch])
            done += len(batch)
    except BaseException:
        scope.stop("the wait for it was interrupted")
        raise


async def _ended(future: Future[Any]) -> None:
    import asyncio  # noqa: PLC0415 - as above

    loop, over = asyncio.get_running_loop(), asyncio.Event()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    await over.wait()


def first_unseen(scope: Scope) -> BaseException | None:
    """The first failure that nobody asked for, if there is one; of what was cancelled nobody expects a result."""
    failed = [each for each in scope.futures if not each.looked and each.failure() is not None]
    return worst(failed, len(scope.futures), "and nobody looked at it") if failed else None


def worst(failed: Sequence[Future[Any]], total: int, more: str = "") -> BaseException:
    """The failure to show for several: the first one, or what it is a consequence of, itself, with a note."""
    errors = [each.failure() or CancelledError("the step was cancelled") for each in failed]
    parts = [f"{len(failed)}/{total} submitted steps failed", more, f"this is {spelled(failed[0])}"]
    notes = ["nbflow: " + ", ".join(filter(None, parts))]
    notes += [f"  {spelled(each)}: {reason(error)}" for each, error in zip(failed[1:20], errors[1:20], strict=True)]
    note, error = "\n".join(notes), errors[0]
    while isinstance(error, NotReadyError) and error.__cause__ is not None:
        error = error.__cause__
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error
