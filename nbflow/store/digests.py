"""Digests of bulk buffers: XXH3-128 at the speed of memory, against accidents and not against forgers."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xxhash import xxh3_128_digest

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["CHUNK", "Digesting", "digest", "digesting"]

CHUNK = 16 << 20
"""Longer buffers are digested in chunks of this size, then by the digest of the chunks' digests."""

_PARALLEL = 24 << 20
"""From this many bytes on, threads are worth their 0.1 ms; xxhash lets go of the GIL."""


class Digesting:
    """Digests under way, one for each buffer given."""

    def __init__(self, buffers: Iterable[memoryview], pool: "ThreadPoolExecutor | None") -> None:
        run = pool.map if pool else map
        self._buffers = [run(xxh3_128_digest, _chunks(buffer)) for buffer in buffers]

    def results(self) -> Iterator[bytes]:
        """Digests in the buffers' order."""
        for chunks in self._buffers:
            parts = list(chunks)
            yield parts[0] if len(parts) == 1 else xxh3_128_digest(b"".join(parts))


def digest(buffer: memoryview) -> bytes:
    """The 16-byte digest of one buffer of bytes."""
    return next(Digesting((buffer,), None).results())


@contextmanager
def digesting(buffers: list[memoryview]) -> Iterator[Digesting]:
    """Digest buffers, in threads beside the caller if they are big enough to be worth it."""
    if sum(buffer.nbytes for buffer in buffers) < _PARALLEL:
        yield Digesting(buffers, None)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for large data only

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), "nbflow-digest") as pool:
        yield Digesting(buffers, pool)


def _chunks(buffer: memoryview) -> list[memoryview]:
    return [buffer[at : at + CHUNK] for at in range(0, max(buffer.nbytes, 1), CHUNK)]
