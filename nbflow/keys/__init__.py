"""Keys: what a value or a piece of code is made of, in bytes that are equal exactly when it is."""

from nbflow.errors import UnkeyableError
from nbflow.keys import code
from nbflow.keys.encode import content
from nbflow.keys.registry import register_digest

__all__ = ["UnkeyableError", "code", "digest", "register_digest"]


def digest(obj: object) -> str:
    """Hex digest, 32 characters, of the content of any value or function: what keys are made of.

    >>> digest([1, 2]) == digest([1, 2]), digest(1) == digest(True)
    (True, False)

    Raises:
        UnkeyableError: It, or something inside it, has no content.
    """
    return content(obj).hex()
