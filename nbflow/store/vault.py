"""Where a store keeps things: its folder, index and containers, and what happens to what is damaged there."""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from hmac import compare_digest
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from nbflow.errors import StoreError
from nbflow.store.blobs import Blobs
from nbflow.store.container import Blob
from nbflow.store.folder import prepare
from nbflow.store.index import Execute, Index
from nbflow.store.links import Linked
from nbflow.store.locks import flights_of
from nbflow.store.mounts import network_mount
from nbflow.store.row import BIG, SCHEMA, SCHEMA_AT, Found, unpack
from nbflow.store.seal import ID_SIZE, SEAL_SIZE, Seal
from nbflow.store.table import Row, delete, put, salvage
from nbflow.store.trusted import Trusted

__all__ = ["Vault"]

_KNOWN: Final = 8 << 20
"""Bytes of checked rows that are remembered."""
_ID: Final = slice(SEAL_SIZE, SEAL_SIZE + ID_SIZE)

_FAR: Final = 1e11
"""Seconds since the epoch that no entry was made at."""


class Vault:
    """Folder, index, containers and seal of one store.

    Args:
        folder: Of the store.
        seal: The user's.
        trusted: Keys of others whose entries load as well.
        warn: Told, in one line each, what the user must know.
        network: Whether it is on a network mount; None: as the table of mounts says.
    """

    def __init__(
        self, folder: Path, seal: Seal, trusted: Trusted, warn: Callable[[str], object], *, network: bool | None
    ) -> None:
        self.folder, self.seal, self.trusted, self.warn = folder, seal, trusted, warn
        self.flights = flights_of(folder / "locks")
        self.blobs = Blobs(folder)
        self.index = Index(folder / "index", self.flights.file, self)
        self.beside: dict[str, Linked] = {}
        """Other files in the folder that are open, closed together with the store."""
        self._network = network
        self._said: set[str] = set()
        self._known: dict[str, Found] = {}
        self._room = _KNOWN

    def check(self, row: Any, body: Any) -> Found | None:
        """The entry of a row, if its seal holds; if not, the row is put aside and the user is told.

        A row that was checked before is known by its bytes: to compare them takes 0.2 µs, to check them anew 4.6.
        """
        known = self._known.get(row)
        if known is not None and known.body == body:
            return known
        try:  # as in `sound`, which every hit would feel as a call
            if compare_digest(body[:SEAL_SIZE], self.seal.of(row, body[SEAL_SIZE:])):
                return self._know(unpack(row, body)) if body[SCHEMA_AT] == SCHEMA else None
        except (TypeError, IndexError):  # no bytes, or not enough
            pass
        if self._is_trusted(row, body):
            return unpack(row, body) if body[SCHEMA_AT] == SCHEMA else None
        if self.is_foreign(body):
            self.say(
                f"entries in the store {self.folder} are sealed with another key and left alone: `nbflow trust "
                "KEYFILE` with that key's file to use them; where home directories do not last (Docker, Colab), set "
                "NBFLOW_STORE_KEY_FILE to a key file that does"
            )
        else:
            self.drop(row, body, "its row was changed")
        return None

    def _know(self, found: Found) -> Found:
        self._room -= len(found.body)
        if self._room < 0:
            self._known.clear()
            self._room = _KNOWN - len(found.body)
        self._known[found.row] = found
        return found

    def is_foreign(self, body: Any) -> bool:
        """Whether a row says that it was sealed with a key that is neither the user's nor trusted."""
        if not isinstance(body, bytes) or len(body) <= SCHEMA_AT:
            return False
        return body[_ID] != self.seal.id and self.trusted.seal(body[_ID]) is None

    def _is_trusted(self, row: Any, body: Any) -> bool:
        """Whether a row was sealed with a key of somebody else that the user trusts."""
        seal = self.trusted.seal(body[_ID]) if isinstance(body, bytes) and len(body) > SCHEMA_AT else None
        return seal is not None and compare_digest(body[:SEAL_SIZE], seal.of(row, body[SEAL_SIZE:]))

    def drop(self, row: object, body: object, why: str) -> None:
        """Delete a damaged row and tell the user, unless somebody else has replaced or deleted it meanwhile."""
        with suppress(StoreError):
            this = "key IS ? AND value IS ?", (row, body)
            found = self.index.run(lambda execute: delete(execute, *this), create=False)
            if found and found[0]:
                self.warn(f"a damaged entry was removed from the store {self.folder}: {why}; it will be computed again")

    def say(self, text: str) -> None:
        """Tell the user, once."""
        if text not in self._said:
            self._said.add(text)
            self.warn(text)

    def delete(self, where: str, values: tuple[object, ...]) -> int:
        """Delete rows, then their containers; gives how many rows there were."""
        count, names = self.index.run(lambda execute: delete(execute, where, values), create=False) or (0, [])
        self.blobs.remove(names)
        return count

    def ready(self) -> None:
        """Make the store if it is not there."""
        if self.index.link is None:
            self.index.run(lambda _: None)

    # What the index asks of its owner.

    @property
    def shared(self) -> bool:
        """Whether the folder is on a network mount."""
        if self._network is None:
            kind = network_mount(self.folder)
            self._network = bool(kind)
            if kind:
                self.say(
                    f"the store {self.folder} is on a network mount ({kind}), where it is slower and only one host's "
                    "claims are seen: set NBFLOW_STORE to a local folder if you can"
                )
        return self._network

    def prepare(self) -> None:
        """Make the folder fit for use."""
        prepare(self.folder)

    def refill(self, execute: Execute, lost: Path | None) -> None:
        """Enter what the containers, and a damaged index set aside, still tell."""
        found: list[Row] = []
        for name, text in self.blobs.trailers():
            row, _, body = text.partition(b"\0")
            found.extend(self._again(row.decode("ascii", "replace"), body, name))
        for key, value in salvage(lost) if lost else ():
            found.extend(self._again(key, value, None))
        for each in sorted(found, key=attrgetter("created")):
            put(execute, each)

    def _again(self, key: Any, body: Any, name: str | None) -> Iterator[Row]:
        """A row to enter again, with its container's name: a sound one, or somebody else's, which is theirs to check.

        Of the latter only the head is read, and nothing is believed.
        """
        entry = self.sound(key, body)
        if entry is not None:
            if (Blob.unpack(entry.payload).name if entry.flags & BIG else None) == name:
                yield Row.of(entry, name)
        elif isinstance(key, str) and self.is_foreign(body):
            with suppress(struct.error, OSError):
                created = unpack(key, body).created
                size = len(body) if name is None else (self.blobs.folder / name).stat().st_size
                yield Row(key, created if 0 < created < _FAR else 0.0, 0.0, "", size, name, body)

    def sound(self, row: Any, body: Any) -> Found | None:
        """The entry of a row, if its seal holds; nothing happens if not."""
        try:
            own = compare_digest(body[:SEAL_SIZE], self.seal.of(row, body[SEAL_SIZE:]))
            if (own or self._is_trusted(row, body)) and body[SCHEMA_AT] == SCHEMA:
                return unpack(row, body)
        except (TypeError, IndexError):
            pass
        return None
