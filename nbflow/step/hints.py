"""Who asks for another attempt, and when: `raise Retry` in the user's code, `Retry-After` in a server's answer."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from nbflow.durations import Duration, seconds, spell
from nbflow.errors import NbflowError

__all__ = ["Retry", "asked_by_server", "behind", "explicit"]

_DEEP: Final = 10
"""Causes of causes that are looked at: they may go in a circle."""
_WHOLE: Final = re.compile(r"[0-9]+")


class Retry(NbflowError):  # noqa: N818 - as an instruction it reads better: `raise nbflow.Retry(after=3)`
    """Raised in a task or a cell: try again, whatever `retry_on` and the other conditions say.

    Attempts and the deadline still bound it. After the last attempt what it was raised from is raised, else itself.

    Args:
        message: Why, for the panel.
        after: When, as a duration; None is the delay of the options.

    Raises:
        DurationError: `after` is no duration.

    >>> str(Retry("the report is not there yet", after="1m30s")), Retry(after=3).after
    ('the report is not there yet', 3.0)
    """

    after: float | None

    def __init__(self, message: str = "", *, after: Duration | None = None) -> None:
        self.after = None if after is None else seconds(after, "after")
        when = "" if self.after is None else f" in {spell(self.after)}"
        super().__init__(message or f"asked to be tried again{when}")


def behind(error: BaseException) -> Exception | None:
    """What an error was raised from, by `from` or while it was handled; None if there is nothing, or `from None`."""
    origin = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return origin if isinstance(origin, Exception) else None


def explicit(error: BaseException) -> list[Retry]:
    """All `Retry` in an error: itself, or leaves of a group."""
    if isinstance(error, BaseExceptionGroup):
        return [found for each in error.exceptions for found in explicit(each)]
    return [error] if isinstance(error, Retry) else []


def asked_by_server(error: BaseException, now: float) -> float | None:
    """Seconds that a server asks to wait, by the response of an error or of what it was raised from; else None.

    It is looked for where requests, httpx, aiohttp, urllib and botocore have it. What is neither a whole number of
    seconds nor a date is no such wish: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3

    Args:
        error: Any error; of a group the longest wish counts.
        now: Seconds since the epoch, for a date. One that has passed asks for nothing: 0.
    """
    wishes = [_parsed(value, now) for each in _chain(error) for value in _values(each)]
    return max((wish for wish in wishes if wish is not None), default=None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_DEEP):
        if link is None:
            return
        yield link
        if isinstance(link, BaseExceptionGroup):
            for each in link.exceptions:
                yield from _chain(each)
        link = behind(link)


def _values(error: BaseException) -> Iterator[Any]:
    """What `Retry-After` says in the headers that an error has; names of headers know no case."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        headers = [response.get("ResponseMetadata", {}).get("HTTPHeaders"), response.get("headers")]
    else:
        headers = [getattr(response, "headers", None), getattr(error, "headers", None)]
    for each in headers:
        items: Callable[[], Any] = getattr(each, "items", tuple)
        yield from (value for name, value in items() if str(name).lower() == "retry-after")


def _parsed(value: Any, now: float) -> float | None:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return float(text[:12])
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - it imports much, and only dates need it

    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        from datetime import UTC  # noqa: PLC0415 - as above

        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)
