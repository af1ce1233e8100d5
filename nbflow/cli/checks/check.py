"""What one look came to."""

from typing import Literal, NamedTuple

__all__ = ["Check", "fail", "ok", "warn"]


class Check(NamedTuple):
    """One look.

    Attributes:
        name: At what.
        state: `fail`: something will not work; `warn`: something works worse than it could.
        said: What there is.
        todo: What to do about it, `""` if nothing.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    todo: str = ""


def ok(name: str, said: str) -> Check:
    """All is well."""
    return Check(name, "ok", said)


def warn(name: str, said: str, todo: str) -> Check:
    """It works, but."""
    return Check(name, "warn", said, todo)


def fail(name: str, said: str, todo: str) -> Check:
    """It does not work."""
    return Check(name, "fail", said, todo)
