"""Bulk bytes to 16-byte digests at memory bandwidth: XXH3-128 over chunks of fixed size.

Bytes of one chunk or less give one XXH3-128; longer ones a digest of the digests of their chunks, so that a few
threads can share the work (xxhash releases the GIL). The digest depends neither on the number of threads nor on the
pieces in which the bytes came. XXH3 finds accidents, not forgers: https://xxhash.com.
"""

import os
from collections.abc import Iterable

import xxhash

from nbflow.keys.nodes import join

__all__ = ["Bulk", "Stream", "bulk"]

Bulk = bytes | bytearray | memoryview
_CHUNK = 1 << 24  # 16 MiB: 1 ms of work, so that threads share it evenly
_SHARED = 4 * _CHUNK  # from here on it pays to start threads (0.2 ms)
_MOST_THREADS = 8  # memory is the limit, not processors


def bulk(data: Bulk) -> bytes:
    """16-byte digest of a contiguous buffer, which is not copied."""
    view = memoryview(data)
    if view.nbytes <= _CHUNK:
        return xxhash.xxh3_128_digest(view)
    stream = Stream()
    stream.update(view)
    return stream.digest()


class Stream:
    """The same digest for bytes that come in pieces of any sizes, each contiguous."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._open = xxhash.xxh3_128()
        self._room = _CHUNK

    def update(self, data: Bulk) -> None:
        """Add a piece."""
        view = memoryview(data)
        if not view.nbytes:
            return
        view = view.cast("B")
        if self._room == _CHUNK and view.nbytes >= _CHUNK:
            whole = view.nbytes - view.nbytes % _CHUNK
            self._chunks += _digests([view[at : at + _CHUNK] for at in range(0, whole, _CHUNK)])
            view = view[whole:]
        while view.nbytes:
            piece = view[: self._room]
            self._open.update(piece)
            self._room -= piece.nbytes
            view = view[piece.nbytes :]
            if not self._room:
                self._chunks.append(self._open.digest())
                self._open = xxhash.xxh3_128()
                self._room = _CHUNK
                if view.nbytes >= _CHUNK:
                    self.update(view)
                    return

    def digest(self) -> bytes:
        """Digest of all pieces so far."""
        if not self._chunks:
            return self._open.digest()
        rest = [] if self._room == _CHUNK else [self._open.digest()]
        if len(self._chunks) + len(rest) == 1:
            return self._chunks[0]
        return join(b"chunks", self._chunks + rest)


def _digests(chunks: list[memoryview]) -> Iterable[bytes]:
    """XXH3-128 of each; from some MiB on by threads, which end with the call: nothing survives it or a fork."""
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if len(chunks) * _CHUNK < _SHARED or threads == 1:
        return [xxhash.xxh3_128_digest(chunk) for chunk in chunks]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - 5 ms at start-up, for large data only

    try:
        with ThreadPoolExecutor(threads) as pool:
            return [*pool.map(xxhash.xxh3_128_digest, chunks)]
    except RuntimeError:  # no threads here, or no more of them: the interpreter is going down
        return [xxhash.xxh3_128_digest(chunk) for chunk in chunks]
