"""The items of a job: what each is called in the ledger, in which order they came, which are left."""

import threading
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

from nbflow.errors import UnkeyableError
from nbflow.keys import plain
from nbflow.keys.encode import content
from nbflow.keys.short import short

__all__ = ["Items", "item_key"]

_SIZE: Final = 16


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
        self._source: Iterator[Any] = iter(items)
        self._lazy = self._source is items
        self._values: dict[bytes, Any] = {}
        self._pulling = threading.RLock()

    def all(self) -> None:
        """Let all items come, of an iterator too."""
        while self.pull() is not None:
            pass

    def come(self) -> None:
        """Let them come, unless they are made one by one."""
        if not self._lazy:
            self.all()

    def pull(self) -> bytes | None:
        """The key of the next item; None after the last one.

        Raises:
            UnkeyableError: It has no content; the message says which item.
        """
        with self._pulling:
            try:
                value = next(self._source)
            except StopIteration:
                self.whole = True
                return None
            key = self._of(value)
            self.order.append(key)
            if key not in self.known:
                self.known.add(key)
                self.left[key] = value
                if not self._lazy:
                    self._values[key] = value
            return key

    def _of(self, value: Any) -> bytes:
        where = f"item {len(self.order)}"
        try:
            return item_key(value if self._key is None else self._key(value), where)
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


def item_key(value: Any, name: str = "item") -> bytes:
    """What a value is known by in the ledger: 16 bytes, equal for equal content.

    Raises:
        UnkeyableError: It has no content.
    """
    blob = plain.dump((value,))
    return content(value, name) if blob is None else blake2b(b"=" + blob, digest_size=_SIZE).digest()
