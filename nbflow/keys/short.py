"""Values in a few characters, for people: what an input was, without giving away what should stay private."""

import re
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

__all__ = ["redacted", "secret", "short"]

_MOST = 40
_LOOKED_AT = 1000  # characters of a text, of which 24 are shown
_LONGEST_INT = 128  # bits
_NUMBERS = frozenset({type(None), bool, int, float, complex})
_SIZED = frozenset({bytes, bytearray, list, tuple, dict, set, frozenset})
_SHAPED = frozenset({"numpy", "pandas", "polars", "pyarrow", "scipy", "torch"})
_private = re.compile(
    r"://[^/\s:]*:[^/\s]*@"  # a password in an address
    r"|(?i:bearer |basic |passw|pwd|secret|credential|token|api.?key|-----BEGIN)"
    r"|^(?:sk|pk|rk|gh[oprsu]|xox[abpr]|glpat|hf|AKIA|eyJ)[-_A-Za-z0-9]{8,}"
    r"|^(?=\S*\d)(?=\S*[A-Za-z])[-_+/=A-Za-z0-9]{20,}$"  # a key of any kind
).search
_secret = re.compile(r"keys?(?![a-z])|auth(?!or(?!i))|token|secret|passw|pwd|cred", re.IGNORECASE).search


@lru_cache(1024)
def secret(name: str) -> bool:
    """Whether what is called so may be a password or a key."""
    return _secret(name) is not None


def redacted(part: object) -> object:
    """What `repr` made of an argument, perhaps cut: without text that looks like a password or a key.

    >>> redacted("'Paris'"), redacted("'postgres://me:hunter2@host'"), redacted(3)
    ("'Paris'", 'str', 3)
    """
    if type(part) is not str or part[:1] not in ("'", '"'):
        return part
    text = part.strip(part[0])
    cut = part[-1] != part[0]  # then the end of a password may be behind the cut
    return "str" if _private(text) or (cut and _private(f"{text}@")) else part


def short(value: object, name: str = "") -> str:
    """At most 40 characters about a value: itself if it is small, else its type and size.

    Text that looks like a password or a key, or is called like one, is not shown, nor is where an object lies in
    memory.

    Args:
        value: The value.
        name: What it is called, if it has a name; words of ours, such as `the key`, are none.

    >>> short(0.05), short("Paris"), short(range(3)), short(["a", "b"]), short({"k": 1})
    ('0.05', "'Paris'", 'range', 'list of 2', 'dict of 1')
    """
    text = f"str of {len(value):,}" if type(value) is str and name.isidentifier() and secret(name) else _text(value)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _text(value: Any) -> str:
    kind = type(value)
    if kind is int and value.bit_length() > _LONGEST_INT:
        return f"int of {value.bit_length():,} bits"
    if kind in _NUMBERS:
        return repr(value)
    if kind is str:
        shown = value if len(value) <= 24 else value[:24] + "…"
        return f"str of {len(value):,}" if _private(value[:_LOOKED_AT]) else repr(shown)
    if kind in _SIZED:
        small = kind in (list, tuple) and len(value) <= 8 and all(map(_is_small, value))
        return repr(value) if small else f"{kind.__name__} of {len(value):,}"
    return _named(kind, value)


def _is_small(value: Any) -> bool:
    kind = type(value)
    return kind in _NUMBERS and (kind is not int or value.bit_length() <= _LONGEST_INT)


def _named(kind: type, value: Any) -> str:
    if kind in (FunctionType, BuiltinFunctionType):
        return f"{value.__name__}()"
    if issubclass(kind, type):
        return f"class {value.__name__}"
    if kind is ModuleType:
        return f"module {value.__name__}"
    if issubclass(kind, Enum):
        return f"{kind.__name__}.{value._name_}"
    return _from_library(kind, value)


def _from_library(kind: type, value: Any) -> str:
    if issubclass(kind, PurePath):
        text = ascii(str(value))[1:-1] if not str(value).isprintable() else str(value)
        return text if len(text) <= _MOST else "…" + text[1 - _MOST :]
    if kind in (date, datetime, time, timedelta):
        return str(value)
    shape = getattr(value, "shape", None) if str(kind.__module__).partition(".")[0] in _SHAPED else None
    if not isinstance(shape, tuple) or not all(type(length) is int for length in shape):
        return kind.__name__
    dtype = getattr(value, "dtype", None)
    size = " × ".join(f"{length:,}" for length in shape)  # noqa: RUF001 - as people write it
    if not shape and getattr(dtype, "kind", "O") in "biufcmM":  # text may be private
        size = str(value)
    return " ".join(part for part in (kind.__name__, "" if dtype is None else str(dtype), size) if part)
