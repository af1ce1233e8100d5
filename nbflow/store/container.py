"""Big values, each in a file of its own that is written once and then only read or deleted.

    preamble ‖ stream ‖ buffers, big ones page-aligned ‖ directory ‖ trailer

The row holds a SHA-256 of stream and directory, and seals it; the directory holds a digest of each buffer. The
trailer repeats the row, so that a lost index can be rebuilt from the files alone. A file is never rewritten nor
cut: it may be mapped into somebody's values, and to shorten it would kill their kernel by SIGBUS.
"""

import hashlib
import mmap
import os
import pickle
import re
import struct
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

from nbflow.errors import DamagedError, UnstorableError
from nbflow.store.digests import digesting
from nbflow.store.trouble import trouble

__all__ = ["INLINE", "NAME", "Blob", "Spool", "Verify", "read", "trailer", "view_of"]

Verify = Literal["full", "sealed"]

INLINE: Final = 32 << 10
"""Values up to this many bytes lie in the row itself."""

NAME: Final = re.compile(r"[0-9a-z]{2}/[0-9a-z]{1,16}-[0-9a-f]{16}\.nbf")
"""What names of containers look like; the index could name any file, and must not make us touch it."""

_SAFE: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_MAGIC: Final = b"nbflow\0\1"
_PREAMBLE: Final = struct.Struct("<8sQQ32s")
"""Magic; offset and length of the trailer; SHA-256 of the trailer."""
_START: Final = 64
_ENTRY: Final = struct.Struct("<QQ16s")
"""Offset, length, digest of a buffer."""
_BLOB: Final = struct.Struct("<32sQQQ")
_PAGE: Final = 4096
_PAGED: Final = 64 << 10
_MAPPED: Final = 1 << 20
"""Smaller files are read: a map holds a file descriptor for as long as it lives (until Python 3.13)."""
_MOST_MAPS: Final = 256
_STEP: Final = 64 << 20

_maps: set["weakref.ref[mmap.mmap]"] = set()


class Blob(NamedTuple):
    """What a row says of its container: enough to read it and to trust what was read.

    Attributes:
        digest: SHA-256 of stream and directory.
        stream: Bytes of the stream.
        directory: Where the directory begins.
        end: Where it ends.
        name: The file, below the folder of containers.
    """

    digest: bytes
    stream: int
    directory: int
    end: int
    name: str

    def pack(self) -> bytes:
        """As the payload of a row."""
        return _BLOB.pack(*self[:4]) + self.name.encode()

    @classmethod
    def unpack(cls, payload: bytes) -> "Blob":
        """From the payload of a row whose seal was checked."""
        digest, stream, directory, end = _BLOB.unpack_from(payload)
        return cls(digest, stream, directory, end, payload[_BLOB.size :].decode())


class Spool:
    """Takes a value's bytes: in memory while they are few, then in a temporary file beside their final place.

    Args:
        folder: The folder of containers.
        row: Key of the row, which names the file.
        limit: More bytes than this are refused before they are written.
    """

    __slots__ = ("_file", "_folder", "_hash", "_limit", "_name", "_row", "parts", "size")

    def __init__(self, folder: Path, row: str, limit: int) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self._folder, self._row, self._limit = folder, row, limit
        self._file = -1

    def write(self, part: bytes | memoryview | pickle.PickleBuffer) -> None:
        """Take the next part of the stream."""
        if type(part) is bytes and self.size + len(part) <= INLINE:
            self.size += len(part)
            self.parts.append(part)
            return
        view = memoryview(part)
        self.size += view.nbytes
        if self.size <= INLINE:
            self.parts.append(bytes(view))
            return
        try:
            self._open()
            self._hash.update(view)
            _write(self._file, view)
        except OSError as error:  # said here, because a value's own `__reduce__` may raise one too
            raise trouble(self._folder.parent, error) from error

    def _open(self) -> None:
        """Make the file, if there is none yet, and move what was kept in memory there."""
        if self.size > self._limit:
            raise UnstorableError(
                f"it takes more than the store may hold in all ({self._limit:,} bytes): raise max_size"
            )
        if self._file >= 0:
            return
        self._name = _name_for(self._row)
        self._hash = hashlib.sha256()
        path = self._temporary
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, flags, 0o600)
        os.lseek(self._file, _START, os.SEEK_SET)
        for part in self.parts:
            self._hash.update(part)
            _write(self._file, memoryview(part))
        self.parts.clear()

    @property
    def _temporary(self) -> Path:
        path = self._folder / self._name
        return path.with_name(f".{path.name}.tmp")

    def finish(self, buffers: list[memoryview]) -> Blob:
        """Write the buffers and the directory; the stream is whole."""
        stream = self.size
        self.size += sum(buffer.nbytes for buffer in buffers)
        self._open()
        if self.size >= _MAPPED and hasattr(os, "posix_fallocate"):
            with suppress(OSError):  # room for all at once: it saves a sixth of the time to write it
                os.posix_fallocate(self._file, 0, self.size)
        entries = []
        at = _START + stream
        with digesting(buffers) as digests:
            for buffer in buffers:
                at = _aligned(at, buffer.nbytes)
                os.lseek(self._file, at, os.SEEK_SET)
                _write(self._file, buffer)
                entries.append((at, buffer.nbytes))
                at += buffer.nbytes
            directory = b"".join(
                _ENTRY.pack(*entry, digest) for entry, digest in zip(entries, digests.results(), strict=True)
            )
        at = _aligned(at, 0)
        os.lseek(self._file, at, os.SEEK_SET)
        _write(self._file, memoryview(directory))
        self._hash.update(directory)
        return Blob(self._hash.digest(), stream, at, at + len(directory), self._name)

    def commit(self, blob: Blob, trailer: bytes) -> None:
        """Add the trailer and give the file its name: from now on it is whole and never changes."""
        os.lseek(self._file, blob.end, os.SEEK_SET)
        _write(self._file, memoryview(trailer))
        preamble = _PREAMBLE.pack(_MAGIC, blob.end, len(trailer), hashlib.sha256(trailer).digest())
        os.pwrite(self._file, preamble, 0)
        os.close(self._file)
        self._file = -1
        self._temporary.rename(self._folder / self._name)

    def discard(self) -> None:
        """Leave nothing behind; nothing is done after a commit."""
        self.parts.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._temporary.unlink(missing_ok=True)


def read(folder: Path, blob: Blob, verify: Verify, *, mapped: bool) -> tuple[bytes, list[memoryview]]:
    """A container's stream and buffers, these writable: mapped copy-on-write, the file never changes.

    The stream is copied before it is checked, so that nobody can change it afterwards.

    Raises:
        DamagedError: Something in the file is not what was stored.
        OSError: It is not there, or cannot be read.
    """
    handle = os.open(folder / blob.name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_size < blob.end:
            raise DamagedError("its file is cut short")
        stream = _pread(handle, blob.stream, _START)
        directory = _pread(handle, blob.end - blob.directory, blob.directory)
        hashed = hashlib.sha256(stream)
        hashed.update(directory)
        if hashed.digest() != blob.digest:
            raise DamagedError("its file was changed")
        if not directory:
            return stream, []
        whole = _map(handle, blob.directory) if mapped and blob.directory >= _MAPPED else _copy(handle, blob.directory)
    finally:
        os.close(handle)
    entries = list(_ENTRY.iter_unpack(directory))
    buffers = [whole[at : at + length] for at, length, _ in entries]
    if verify == "full":
        with digesting(buffers) as digests:
            if [entry[2] for entry in entries] != list(digests.results()):
                raise DamagedError("the data in its file was changed")
    return stream, buffers


def trailer(path: Path) -> bytes | None:
    """What a container says of itself, for a new index; None if it does not say so soundly."""
    with path.open("rb") as file:
        start = file.read(_PREAMBLE.size)
        if len(start) < _PREAMBLE.size:
            return None
        magic, at, length, digest = _PREAMBLE.unpack(start)
        if magic != _MAGIC or length > os.fstat(file.fileno()).st_size:
            return None
        file.seek(at)
        text = file.read(length)
    return text if hashlib.sha256(text).digest() == digest else None


def view_of(buffer: bytes | bytearray | memoryview | pickle.PickleBuffer) -> memoryview:
    """A buffer's bytes in the order they lie in memory; a copy if they do not lie in one piece."""
    try:
        return buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else memoryview(buffer).cast("B")
    except (BufferError, TypeError):
        return memoryview(memoryview(buffer).tobytes())


def _name_for(row: str) -> str:
    safe = "".join(letter if letter in _SAFE else "x" for letter in row.partition(".")[0][:16].lower())
    return f"{safe[:2]:x<2}/{safe or 'x'}-{os.urandom(8).hex()}.nbf"


def _aligned(at: int, length: int) -> int:
    to = _PAGE if length >= _PAGED else 64
    return -(-at // to) * to


def _write(handle: int, view: memoryview) -> None:
    view = view.cast("B") if view.format != "B" or view.ndim != 1 else view
    done = 0
    while done < view.nbytes:
        done += os.write(handle, view[done : done + _STEP])


def _pread(handle: int, length: int, at: int) -> bytes:
    data = os.pread(handle, length, at)
    if len(data) == length:
        return data
    parts = [data]
    while data and (length := length - len(data)):  # one call gives at most 2 GiB
        at += len(data)
        data = os.pread(handle, length, at)
        parts.append(data)
    return b"".join(parts)


def _copy(handle: int, length: int) -> memoryview:
    whole = memoryview(bytearray(length))
    done = 0
    while done < length and (count := os.preadv(handle, [whole[done:]], done)):
        done += count
    return whole


def _map(handle: int, length: int) -> memoryview:
    if len(_maps) >= _MOST_MAPS:
        return _copy(handle, length)
    mapping = mmap.mmap(handle, length, access=mmap.ACCESS_COPY)
    _maps.add(weakref.ref(mapping, _maps.discard))
    return memoryview(mapping)
