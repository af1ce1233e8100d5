"""Whether recorded facts still hold."""

from collections.abc import Callable

from nbflow.trace import Fact
from nbflow.world import environ, files, listings, rng, versions

__all__ = ["broken"]

_KINDS: dict[str, Callable[[Fact], str | None]] = {
    "distribution": versions.broken,
    "environment": environ.broken,
    "file": files.broken,
    "listing": listings.broken,
    "random": rng.broken,
    "touched": lambda _: None,
}


def broken(fact: Fact) -> str | None:
    """Why a fact no longer holds, in words for people; None if it does. Never raises.

    Example:
        >>> broken(Fact("environment", "NO_SUCH_VARIABLE", ""))
    """
    try:
        return _KINDS[fact.kind](fact)
    except Exception as error:  # noqa: BLE001 - what cannot be verified does not hold
        return f"{fact.subject} could not be verified ({type(error).__name__})"
