"""Numbers of bytes as people write them."""

import re
from typing import Any, Final

from nbflow.errors import ConfigurationError

__all__ = ["size_of"]

_FORM: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def size_of(given: Any, what: str = "a size") -> int:
    """Bytes of a size: a whole number of them, or text such as `500MB`, `5GB`, `1.5 GiB`; 1 KB is 1024 bytes.

    Args:
        given: What the user wrote.
        what: The name of the setting, for the message.

    Raises:
        ConfigurationError: It is neither, or nothing at all.

    >>> size_of("5GB"), size_of("1.5k"), size_of(812)
    (5368709120, 1536, 812)
    """
    size = 0
    if isinstance(given, str) and (match := _FORM.fullmatch(given.strip())):
        size = int(float(match[1]) * (1 << _UNITS[match[2].lower()]))
    elif isinstance(given, int) and not isinstance(given, bool):
        size = given
    if size <= 0:
        raise ConfigurationError(f"{what}={given!r} is not a size: give bytes, or text such as '500MB', '5GB'")
    return size
