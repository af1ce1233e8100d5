"""Entries on disk: found by key, checked before they are unpickled, never lost half-way, never in the way.

Whatever goes wrong with the disk is a `StoreError` with one clear line, or a miss with one warning. The caller
still has its value and goes on.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from nbflow.errors import DamagedError, StoreError
from nbflow.store import counts
from nbflow.store import row as rows
from nbflow.store.bundle import Exported, Imported, pack, unpack
from nbflow.store.container import INLINE, Blob, Spool, Verify, read, view_of
from nbflow.store.counts import Owner
from nbflow.store.folder import sync
from nbflow.store.row import Draft, Found, Info
from nbflow.store.seal import Seal
from nbflow.store.serializers import BY_CODEC, PICKLE, Serializer, codec_of
from nbflow.store.table import FIND, KEYS, TRAITS, Row, beside, put
from nbflow.store.trouble import REFUSALS, trouble
from nbflow.store.trusted import Trusted
from nbflow.store.unstorable import explain
from nbflow.store.upkeep import Leftovers, Stats, Upkeep, Verified
from nbflow.store.vault import Vault
from nbflow.trace import Traits

__all__ = ["Store"]

_KEPT: Final = 8
"""Entries of one lookup key, with other facts each, that stay."""

_PACKED: Final = rows.BIG | rows.BUFFERS
_created = attrgetter("created")


class Store:
    """The entries in one folder. Any thread may use it, and any number of processes at a time.

    Nothing on disk is touched before the first use; a lookup never makes a store.

    Args:
        folder: Where it lies, as `locate` gives it.
        secret: The user's key, as `user_secret` gives it.
        trusted: Keys of others whose entries load as well; None: there are none.
        warn: Told, in one line each, what the user must know.
        max_size: Bytes it may hold; None: 10 GB or a tenth of the volume, the smaller.
        verify: Whether loading checks bulk data against its digests too (`full`), or only what is sealed.
        clock: Seconds since the epoch.
        network: Whether values are read instead of mapped; None: as the folder's mount is.
    """

    def __init__(  # noqa: PLR0913 - all but the first three are for tests and special places
        self,
        folder: Path,
        secret: bytes,
        *,
        warn: Callable[[str], object],
        trusted: Trusted | None = None,
        max_size: int | None = None,
        verify: Verify | None = None,
        clock: Callable[[], float] = time.time,
        network: bool | None = None,
    ) -> None:
        self.folder = folder
        self._made = verify, max_size
        self._verify: Verify = verify or "full"
        self._clock = clock
        self._vault = Vault(folder, Seal(secret), trusted or Trusted(None), warn, network=network)
        self._check = self._vault.check
        self._index = self._vault.index
        self._flights = self._vault.flights
        self._upkeep = Upkeep(self._vault, max_size, clock)
        self._used, self._hits = self._upkeep.used, self._upkeep.hits
        self._recheck = 0.0

    # The hot path, kept straight.

    def find(self, key: str) -> list[Found]:
        """Sound entries of a lookup key, newest first. Damaged ones are put aside, with a warning, and left out.

        Raises:
            StoreError: The index can be neither read nor mended.
        """
        if (now := time.monotonic()) > self._recheck:
            self._recheck = now + 1.0
            self._index.check()
        span = key + ".", key + "/"
        link = self._index.link  # held here, or another thread could close it meanwhile
        try:
            found = link.execute(FIND, span).fetchall()  # type: ignore[union-attr]
        except (*REFUSALS, AttributeError):  # there is none yet, or it must be mended
            found = link = None
        if found is None:
            found = self._index.run(lambda execute: execute(FIND, span).fetchall(), create=False) or []
        entries = [entry for row, body in found if (entry := self._check(row, body)) is not None]
        if len(entries) > 1:
            entries.sort(key=_created, reverse=True)
        return entries

    def load(self, found: Found, serializer: Serializer | None = None) -> Any:
        """The value of an entry. It is the caller's own: no later hit sees what is changed in it.

        Args:
            found: From `find`.
            serializer: What saved it; asked only for entries saved by one that is not our own.

        Raises:
            DamagedError: It is damaged or gone; nothing was unpickled.
            StoreError: It is whole, but its value cannot be made here.
        """
        try:
            stream, buffers = self._unpack(found) if found.flags & _PACKED else (found.payload, ())
        except FileNotFoundError as error:
            newer = self._newer(found)
            if newer is not None:
                return self.load(newer, serializer)
            self._vault.drop(found.row, found.body, "its file is gone")
            raise DamagedError("its file is gone") from error
        if found.codec:
            serializer = BY_CODEC[found.codec]
        elif serializer is None or serializer.name != found.serializer:
            raise StoreError(f"the entry was saved by the serializer {found.serializer!r}, which is needed to load it")
        try:
            value = serializer.loads(stream, buffers)
        except Exception as error:  # it runs code of the user's classes
            raise StoreError(f"the stored value cannot be made here: {type(error).__name__}: {error}") from error
        self._used[found.row] = self._clock()
        next(self._hits[found.row])
        return value

    def _unpack(self, found: Found) -> tuple[bytes, Sequence[Any]]:
        if not found.flags & rows.BIG:
            return rows.outline(found.payload)
        blob = Blob.unpack(found.payload)
        try:
            return read(self._vault.blobs.folder, blob, self._verify, mapped=not self._vault.shared)
        except DamagedError as error:
            self._vault.blobs.set_aside(blob.name)
            self._vault.drop(found.row, found.body, str(error))
            raise
        except FileNotFoundError:
            raise
        except OSError as error:
            raise trouble(self.folder, error) from error

    def _newer(self, found: Found) -> Found | None:
        """What an entry was replaced by since it was found; the file of the old one went with it."""
        self._recheck = 0.0  # or the whole folder did
        key = found.row.partition(".")[0]
        return next((each for each in self.find(key) if each.row == found.row and each.body != found.body), None)

    def save(self, draft: Draft) -> int:
        """Store a value; gives bytes stored. An older entry of the same key and facts is replaced.

        Raises:
            UnstorableError: The value cannot be pickled; the message says which part of it.
            StoreError: The disk cannot take it; nothing of it is left there.
        """
        serializer: Serializer = draft.serializer or PICKLE
        row = rows.row_key(draft.key, draft.facts, self._vault.seal.id)
        if self._index.link is None:
            self._vault.ready()
        spool = Spool(self._vault.blobs.folder, row, self._upkeep.max_size)
        try:
            buffers = _dump(serializer, draft.value, spool)
            size = self._store(row, draft, spool, buffers)
        except OSError as error:
            raise trouble(self.folder, error) from error
        finally:
            spool.discard()
        if draft.facts:
            self._thin(draft.key)
        self._upkeep.stored(size)
        return size

    def _store(self, row: str, draft: Draft, spool: Spool, buffers: list[memoryview]) -> int:
        codec, name = codec_of(draft.serializer or PICKLE)
        file = None
        if spool.size + sum(buffer.nbytes for buffer in buffers) <= INLINE:
            stream = b"".join(spool.parts)
            payload, flags = (rows.inline(stream, buffers), rows.BUFFERS) if buffers else (stream, 0)
            body = rows.pack(self._vault.seal, row, draft, (flags, codec, name, 0), payload)
            size = len(body)
        else:
            blob = spool.finish(buffers)
            body = rows.pack(self._vault.seal, row, draft, (rows.BIG, codec, name, blob.end), blob.pack())
            spool.commit(blob, row.encode() + b"\0" + body)
            file, size = blob.name, blob.end
        entry = Row(row, draft.created, draft.cost, draft.tag, size, file, body)
        if replaced := self._index.run(lambda execute: put(execute, entry)):
            self._vault.blobs.remove(replaced)
        return size

    def _thin(self, key: str) -> None:
        for row in (self._index.run(lambda execute: beside(execute, key)) or [])[_KEPT:]:
            self._vault.delete("key = ? AND raw = 1", (row,))

    def sync(self, key: str) -> None:
        """Let what was saved under a key outlive the machine, should its power fail: a save alone outlives the process.

        Raises:
            StoreError: The disk gives errors.
        """
        index, blobs = self._index.folder, self._vault.blobs.folder
        names = [Blob.unpack(found.payload).name for found in self.find(key) if found.flags & rows.BIG]
        files = [path for name in names for path in (blobs / name, (blobs / name).parent)]
        try:
            for path in (*files, index / "cache.db-wal", index / "cache.db"):
                if path.exists():
                    sync(path)
        except OSError as error:
            raise trouble(self.folder, error) from error

    # One flight per key.

    def claim(self, key: str, owner: object = None, *, wait: bool = True) -> bool:
        """Whether the caller alone, of all on this host, may run the key now; then it must `release` it.

        Args:
            key: Lookup key.
            owner: Tells callers apart; None is the calling thread. A step that runs inside another one names
                that one's owner as its `parent`.
            wait: Return only once the answer is yes.

        Raises:
            InterfaceError: The owner would wait for itself or for a step it runs in, also around others that wait,
                in whatever process.
        """
        if self._index.link is None:
            self._try_ready()
        return self._flights.claim(key, owner, wait=wait)

    def release(self, key: str, owner: object = None) -> None:
        """Give up a claim, from any thread; one of another owner, if that is given, is left alone."""
        self._flights.release(key, owner)

    def when_free(self, key: str, callback: Callable[[], object], owner: object = None) -> Callable[[], None]:
        """Call back once, soon after the key may be claimed again, from whichever thread notices.

        Somebody else may be faster: claim again without waiting, and come back here if that fails. Whoever gives up
        before calls what this returns.

        Raises:
            InterfaceError: As `claim`.
        """
        if self._index.link is None:
            self._try_ready()
        return self._flights.when_free(key, callback, owner)

    def _try_ready(self) -> None:
        with suppress(StoreError):  # no usable folder: claims hold in this process only
            self._vault.ready()

    # Keeping house.

    def traits(self, tag: str, limit: int, before: float | None = None) -> list[Traits]:
        """The parts of the keys of a task's entries, newest first; of those made before a time, if one is given."""
        those = tag, math.inf if before is None else before, limit
        found = self._index.run(lambda execute: execute(TRAITS, those).fetchall(), create=False) or []
        return [entry.traits for row, body in found if (entry := self._check(row, body)) is not None]

    @property
    def vault(self) -> Vault:
        """Folder, locks and seal, for whatever else is kept in the folder."""
        return self._vault

    def keys(self, tag: str) -> set[str]:
        """The lookup keys of a task's entries, which are not checked: 2 µs each."""
        found = self._index.run(lambda execute: execute(KEYS, (tag,)).fetchall(), create=False) or ()
        return {row.partition(".")[0] for (row,) in found if isinstance(row, str)}

    def entries(self, tag: str | None = None) -> Iterator[Info]:
        """All entries, or those of one task."""
        return self._upkeep.entries(tag)

    def stats(self) -> Stats:
        """How full the store is, and what it was good for, task by task."""
        return self._upkeep.stats()

    def forget(self, key: str) -> int:
        """Delete the entries of a lookup key, or the one of a row's own key; gives how many there were."""
        span = (key, key + "\0") if "." in key else (key + ".", key + "/")
        return self._vault.delete("key >= ? AND key < ? AND raw = 1", span)

    def clear(self, tag: str | None = None) -> int:
        """Delete the entries of a task, or all of them; gives how many there were."""
        return self._vault.delete("1", ()) if tag is None else self._vault.delete("tag = ?", (tag,))

    def prune(self, max_size: int | None = None, older: float | None = None, task: str | None = None) -> int:
        """Delete what is too old or too much, and files that nothing names; gives bytes freed.

        Args:
            max_size: Bytes that may stay; None is the store's own bound.
            older: Seconds; entries made longer ago go.
            task: Its entries alone are bounded and grow old; None: all.
        """
        return self._upkeep.prune(max_size, older, task)

    def verify(self, *, repair: bool = False) -> Verified:
        """Check every entry against its seal and its digests; nothing is unpickled.

        Args:
            repair: Put damaged ones aside, and delete what `leftovers` lists as orphans.
        """
        return self._upkeep.verify(repair=repair)

    def faults(self) -> tuple[str, ...]:
        """What is wrong with the pages and the counts of the index, a line each: diskcache's own check of it."""
        from nbflow.store.disk import faults  # noqa: PLC0415 - it takes 20 ms to load diskcache

        index = self._index.folder
        return faults(index) if (index / "cache.db").is_file() else ()

    def leftovers(self) -> Leftovers:
        """Files that belong to no entry: left by processes that were killed, or damaged and put aside."""
        return self._upkeep.leftovers()

    def export(self, path: str | os.PathLike[str], tasks: Iterable[str] | None = None) -> Exported:
        """Write entries to one file, sealed as they are here: of some tasks, or all.

        Raises:
            ConfigurationError: There cannot be such a file.
            StoreError: It cannot be written.
        """
        self._upkeep.flush()
        return pack(self._vault, Path(path), tasks)

    def import_(self, path: str | os.PathLike[str]) -> Imported:
        """Take in what `export` wrote, here or elsewhere. Only what the user's key or a trusted one sealed counts.

        Nothing is unpickled, nothing newer is replaced, and what has arrived whole stays, whatever the rest is like.

        Raises:
            ConfigurationError: There is no such file, or it is no bundle.
            StoreError: The store cannot take it.
        """
        found = unpack(self._vault, Path(path))
        self._upkeep.bound()
        return found

    def matching(self, row: str, most: int = 8) -> list[Found]:
        """Sound entries whose row's key begins so, newest first."""
        found = self._index.run(lambda execute: counts.beginning(execute, row, most), create=False) or []
        entries = [entry for each, body in found if (entry := self._check(each, body)) is not None]
        return sorted(entries, key=_created, reverse=True)

    def owners(self) -> list[Owner]:
        """Whose entries these are, by the keys that they say they are sealed with."""
        return self._upkeep.owners()

    @property
    def mark(self) -> tuple[object, ...]:
        """Equal for processes that have this very folder and the same key, on whatever machine; `()` before its use."""
        try:
            found = os.stat(self.folder / "CACHEDIR.TAG")  # noqa: PTH116 - a Path costs more than the question
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, self._vault.seal.id

    def adjust(self, *, verify: Verify | None = None, max_size: int | None = None) -> None:
        """Change how loading checks, or the bound; None leaves it."""
        self._verify = verify or self._verify
        if max_size is not None:
            self._upkeep.adjust(max_size)

    def reset(self) -> None:
        """Take back what was adjusted."""
        verify, bound = self._made
        self._verify = verify or "full"
        self._upkeep.adjust(bound)

    def close(self) -> None:
        """Write down when entries were used, and let go of the files. The store may be used again."""
        for each in self._vault.beside.values():
            each.close()
        self._upkeep.close()
        self._index.close()
        self._flights.close()

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"


def _dump(serializer: Serializer, value: Any, spool: Spool) -> list[memoryview]:
    """Fill the spool with a value's stream; gives the buffers beside it."""
    try:
        dump = getattr(serializer, "dump", None)
        if dump is not None:
            return [view_of(buffer) for buffer in dump(value, spool.write)]
        stream, buffers = serializer.dumps(value)
    except StoreError:
        raise
    except Exception as error:  # it runs code of the user's classes
        raise explain(value, serializer, error) from error
    spool.write(stream)
    return [view_of(buffer) for buffer in buffers]
