"""The items of a job: what each is called in the ledger, in which order they came, which are left."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from marshal import dumps
from typing import Any, Final

from nbflow.errors import UnkeyableError
from nbflow.keys import plain
from nbflow.keys.encode import content
from nbflow.keys.short import short

__all__ = ["Items", "item_keys"]

_BLOCK: Final = 256
"""Items that are looked at together: the most that is lost where one of them is no plain tree."""
_PLAIN: Final = blake2b(b"=", digest_size=16)


class Items:
    """Items as they come, each known by its content. An iterator is taken from one by one, anything else at once.

    Args:
        items: Any iterable.
        key: What an item is known by instead of its whole content.

    Attributes:
        order: The keys in the order of the items; an item that comes twice is in it twice.
        left: Key to item, of those that are not known to be done.
        known: The same without repetition.
        whole: Whether all items have come.
    """

    def __init__(self, items: Iterable[Any], key: Callable[[Any], Any] | None) -> None:
        self.order: list[bytes] = []
        self.known: set[bytes] = set()
        self.left: dict[bytes, Any] = {}
        self.whole = False
        self._key = key
        self._items = items
        self._source: Iterator[Any] = iter(items)
        self._lazy = self._source is items
        self._values: dict[bytes, Any] = {}
        self._pulling = threading.RLock()

    def all(self) -> None:
        """Let all items come, of an iterator too."""
        self.come()
        while self.pull() is not None:
            pass

    def come(self) -> None:
        """Let them come, unless they are made one by one: all of them, or none where one has no content.

        Raises:
            UnkeyableError: As `pull`.
        """
        with self._pulling:
            if self._lazy or self.whole:
                return
            values = list(self._items)
            self.order = self._keys(values)
            self._values = dict.fromkeys(self.order)  # where items are equal, the first one counts
            self._values.update(zip(reversed(self.order), reversed(values), strict=True))
            self.known = set(self._values)
            self.left = dict(self._values)
            self.whole = True

    def pull(self) -> bytes | None:
        """The key of the next item; None after the last one.

        Raises:
            UnkeyableError: It has no content; the message says which item.
        """
        with self._pulling:
            if self.whole:
                return None
            try:
                value = next(self._source)
            except StopIteration:
                self.whole = True
                return None
            (key,) = self._keys([value])
            self.order.append(key)
            if key not in self.known:
                self.known.add(key)
                self.left[key] = value
            return key

    def _keys(self, values: list[Any]) -> list[bytes]:
        told = values if self._key is None else [self._key(value) for value in values]
        if self._key is not None and any(each is None for each in told):
            item = len(self.order) + next(i for i, each in enumerate(told) if each is None)
            raise UnkeyableError(f"item {item}: its key= is None", "give each item a key of its own")
        try:
            return item_keys(told, len(self.order))
        except UnkeyableError as error:
            raise UnkeyableError(error.what, "give key=, a function from an item to what tells it apart") from None

    def short(self, key: bytes) -> str:
        """An item in a few characters, for messages."""
        value = self.left.get(key, self._values.get(key))
        return repr(value)[:60] if type(value) is str else short(value)

    def again(self, key: bytes | None = None) -> None:
        """An item is not done after all, or none of them is; those of an iterator are not at hand any more."""
        if key is None:
            self.left = self._values | self.left
        elif key in self._values:
            self.left[key] = self._values[key]

    @property
    def total(self) -> int | None:
        """How many different items there are; None while they still come."""
        return len(self.known) if self.whole else None


def item_keys(values: Sequence[Any], first: int = 0) -> list[bytes]:
    """What values are known by in the ledger: 16 bytes each, equal for equal content, whatever stands beside it.

    Args:
        values: The values.
        first: The number of the first one, for the message of an error.

    Raises:
        UnkeyableError: One of them has no content.
    """
    keys: list[bytes] = []
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        blobs: list[bytes] = []
        if plain.dump(block, partial(_apart, blobs)) is None:
            keys += [_key(value, f"item {first + start + n}") for n, value in enumerate(block)]
        else:  # then each of them is plain by itself, which need not be found out again
            keys += map(_short, blobs)
    return keys


def _apart(blobs: list[bytes], block: Sequence[Any], version: int) -> bytes:
    blobs += [dumps((value,), version) for value in block]
    return b"".join(blobs)


def _key(value: Any, name: str) -> bytes:
    blob = plain.dump((value,))
    return content(value, name) if blob is None else _short(blob)


def _short(blob: bytes) -> bytes:
    digest = _PLAIN.copy()  # half the time of making one
    digest.update(blob)
    return digest.digest()
