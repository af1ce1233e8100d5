"""Where in a value is the part that cannot be stored? Asked only after storing the whole has failed."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from nbflow.errors import UnstorableError
from nbflow.store.serializers import Serializer

__all__ = ["explain"]

_MOST: Final = 2000
"""Parts that are tried, in all: each try pickles one."""


def explain(value: Any, serializer: Serializer, error: Exception) -> UnstorableError:
    """The error for a value that a serializer refused, with the path to the innermost part that it refuses.

    Args:
        value: The whole.
        serializer: What refused it.
        error: What it raised.
    """
    path = ""
    budget = [_MOST]
    seen = {id(value)}
    while found := _refused(value, serializer, budget, seen):
        step, inner, reason = found
        path, value, error = path + step, inner, reason
    what = f"the result's {path} is" if path else "the result is"
    why = "too deeply nested" if isinstance(error, RecursionError) else _line(error)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return UnstorableError(f"{what} a {kind}, which cannot be stored: {why}", path)


def _refused(
    value: Any, serializer: Serializer, budget: list[int], seen: set[int]
) -> tuple[str, Any, Exception] | None:
    for step, inner in _parts(value):
        if not budget[0]:
            return None
        if id(inner) in seen:
            continue
        budget[0] -= 1
        try:
            _try(inner, serializer)
        except Exception as error:  # noqa: BLE001 - whatever the user's classes raise
            seen.add(id(inner))
            return step, inner, error
    return None


def _try(value: Any, serializer: Serializer) -> None:
    dump: Callable[..., Any] | None = getattr(serializer, "dump", None)
    if dump is None:
        serializer.dumps(value)
    else:
        dump(value, _nowhere)


def _nowhere(part: object) -> None:
    """Take a part of a stream that nobody needs."""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds, each with the way to it as one would write it in Python."""
    if isinstance(value, dict):
        for key, inner in islice(value.items(), _MOST):
            yield f"[{_short(key)}]", inner
            yield f" key {_short(key)}", key
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{at}]", inner) for at, inner in enumerate(islice(value, _MOST)))
    elif isinstance(value, (set, frozenset)):
        yield from ((" member", inner) for inner in islice(value, _MOST))
    try:
        state = vars(value)
    except TypeError:
        state = {}
    if not isinstance(value, type):
        yield from ((f".{name}", inner) for name, inner in islice(state.items(), _MOST))
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                if isinstance(name, str) and hasattr(value, name):
                    yield f".{name}", getattr(value, name)


def _short(key: object) -> str:
    if type(key) in (str, int, bool, float):
        text = repr(key)
        return text if len(text) <= 40 else text[:37] + "…"
    return f"<{type(key).__name__}>"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
