"""Keys: what a value or a piece of code is made of, in bytes that are equal exactly when it is."""

from nbflow.keys import code as _code  # teaches the encoder what functions and classes are
from nbflow.keys.encode import UnkeyableError, digest, register_digest

__all__ = ["UnkeyableError", "digest", "register_digest"]

del _code
