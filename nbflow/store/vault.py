"""Where a store keeps things: its folder, index and containers, and what happens to what is damaged there."""

from collections.abc import Callable
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
from nbflow.store.locks import flights_of
from nbflow.store.mounts import network_mount
from nbflow.store.row import BIG, SCHEMA, SCHEMA_AT, Found, unpack
from nbflow.store.seal import ID_SIZE, SEAL_SIZE, Seal
from nbflow.store.table import Row, delete, put, salvage

__all__ = ["Vault"]

_ID: Final = slice(SEAL_SIZE, SEAL_SIZE + ID_SIZE)


class Vault:
    """Folder, index, containers and seal of one store.

    Args:
        folder: Of the store.
        seal: The user's.
        warn: Told, in one line each, what the user must know.
        network: Whether it is on a network mount; None: as the table of mounts says.
    """

    def __init__(self, folder: Path, seal: Seal, warn: Callable[[str], object], *, network: bool | None) -> None:
        self.folder, self.seal, self.warn = folder, seal, warn
        self.flights = flights_of(folder / "locks")
        self.blobs = Blobs(folder)
        self.index = Index(folder / "index", self.flights, self)
        self._network = network
        self._said: set[str] = set()

    def check(self, row: Any, body: Any) -> Found | None:
        """The entry of a row, if its seal holds; if not, the row is put aside and the user is told."""
        try:  # as in `sound`, which every hit would feel as a call
            if compare_digest(body[:SEAL_SIZE], self.seal.of(row, body[SEAL_SIZE:])):
                return unpack(row, body) if body[SCHEMA_AT] == SCHEMA else None
        except (TypeError, IndexError):  # no bytes, or not enough
            pass
        if self.is_foreign(body):
            self.say(
                f"entries in the store {self.folder} are sealed with another key and left alone: set "
                f"NBFLOW_STORE_KEY_FILE to the file of the key they were stored with, to use them again"
            )
        else:
            self.drop(row, body, "its row was changed")
        return None

    def is_foreign(self, body: Any) -> bool:
        """Whether a row says that it was sealed with another key."""
        return isinstance(body, bytes) and len(body) > SCHEMA_AT and body[_ID] != self.seal.id

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
            entry = self.sound(row.decode("ascii", "replace"), body)
            if entry and entry.flags & BIG and Blob.unpack(entry.payload).name == name:
                found.append(Row.of(entry, name))
        for key, value in salvage(lost) if lost else ():
            entry = self.sound(key, value)
            if entry and not entry.flags & BIG:
                found.append(Row.of(entry, None))
        for each in sorted(found, key=attrgetter("created")):
            put(execute, each)

    def sound(self, row: Any, body: Any) -> Found | None:
        """The entry of a row, if its seal holds; nothing happens if not."""
        try:
            if compare_digest(body[:SEAL_SIZE], self.seal.of(row, body[SEAL_SIZE:])) and body[SCHEMA_AT] == SCHEMA:
                return unpack(row, body)
        except (TypeError, IndexError):
            pass
        return None
