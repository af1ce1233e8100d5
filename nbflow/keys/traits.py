"""A value as one part of a key: its digest, and a short form for people."""

from hashlib import blake2b

from nbflow.keys.encode import Encoder, Node, canonical
from nbflow.keys.plain import ATOMS
from nbflow.keys.short import short
from nbflow.trace import Trait

__all__ = ["trait"]


def trait(value: object, name: str = "value", handles: list[str] | None = None) -> Trait:
    """The trait of one value. A live handle (a connection, a logger) counts by its type.

    Args:
        value: Any value.
        name: What it is called, for the message of an error.
        handles: Receives the names of the types of live handles in it.

    Raises:
        UnkeyableError: The value, or something inside it, has no content.
    """
    if type(value) in ATOMS:  # a shorter way for most arguments; always this one for an atom
        return Trait(blake2b(canonical((value,)), digest_size=16).hexdigest(), short(value, name))
    encoder = Encoder(handles=[] if handles is None else handles)
    return Trait(encoder.walk(Node(b"value", (value,)), [name]).hex(), short(value, name))
