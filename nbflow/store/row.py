"""One entry as a row: what is sealed, in which order, and what a hit need not read.

    seal (32) ‖ head ‖ payload ‖ cold

The seal covers the row's own key and all that follows it, so rows that changed places fail. A struct for the
head: 0.2 µs where JSON takes 3. The payload is a pickle (with its buffers, if it has some) or names a container.
The cold part is plain data by marshal (1 µs, where JSON takes 8), whose version 2 every Python reads: what was
depended on, which only a verified or explained entry is asked for.
"""

import hashlib
import marshal
import struct
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from nbflow.store.seal import ID_SIZE, SEAL_SIZE, Seal
from nbflow.trace import Fact, Trait, Traits

__all__ = [
    "BIG",
    "BUFFERS",
    "HEAD",
    "SCHEMA",
    "SCHEMA_AT",
    "Draft",
    "Found",
    "Info",
    "inline",
    "outline",
    "pack",
    "row_key",
    "unpack",
]

SCHEMA: Final = 2
BIG: Final = 1
BUFFERS: Final = 2
FACTS: Final = 4

HEAD: Final = struct.Struct(f"<{ID_SIZE}sBBHddQI")
"""Key id, schema, flags, codec, created, cost, bytes stored, bytes of payload."""

SCHEMA_AT: Final = SEAL_SIZE + ID_SIZE
"""Where a row names its schema."""

_BODY: Final = SEAL_SIZE + HEAD.size
_COUNT: Final = struct.Struct("<I")


class Draft(NamedTuple):
    """An entry to be saved.

    Attributes:
        key: Lookup key, 32 to 64 hex characters.
        tag: The task's label.
        value: What is stored.
        cost: Seconds it took to compute.
        facts: What the run was seen to depend on; entries of one key with other facts live side by side.
        traits: The parts of the key, for `explain`.
        created: Seconds since the epoch.
        serializer: Turns the value into bytes; None is pickle.
    """

    key: str
    tag: str
    value: Any
    cost: float
    facts: tuple[Fact, ...]
    traits: Traits
    created: float
    serializer: Any = None


class Info(NamedTuple):
    """What a listing says of an entry: times in seconds since the epoch, cost in seconds, size in bytes."""

    row: str
    tag: str
    created: float
    cost: float
    size: int
    accessed: float


class Found(NamedTuple):
    """A sound entry. Its value is still packed, its seal was checked.

    Attributes:
        row: Its own key.
        created: Seconds since the epoch.
        cost: Seconds it took to compute.
        size: Bytes it takes in the store.
        flags: What the payload is, and whether there are facts.
        codec: Number of the serializer.
        end: Where the payload ends.
        body: The whole row.
    """

    row: str
    created: float
    cost: float
    size: int
    flags: int
    codec: int
    end: int
    body: bytes

    def __repr__(self) -> str:
        return f"Found({self.row!r}, created={self.created!r}, cost={self.cost!r}, size={self.size!r})"

    @property
    def payload(self) -> bytes:
        """The packed value."""
        return self.body[_BODY : self.end]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the run depended on; free if there is nothing."""
        return tuple(map(Fact._make, self._cold()[2])) if self.flags & FACTS else ()

    @property
    def traits(self) -> Traits:
        """The parts of its key."""
        *_, labels, columns = self._cold()
        return dict(zip(labels, map(Trait._make, zip(*columns, strict=True)), strict=True))

    @property
    def tag(self) -> str:
        """The task's label, from under the seal."""
        return str(self._cold()[0])

    @property
    def serializer(self) -> str:
        """Name of the serializer."""
        return str(self._cold()[1])

    def _cold(self) -> tuple[Any, ...]:
        """As `_packed` made it."""
        cold: tuple[Any, ...] = marshal.loads(self.body[self.end :])  # noqa: S302 - its seal was checked
        return cold


def row_key(key: str, facts: Iterable[Fact], owner: bytes) -> str:
    """A row's own key: its lookup key and a digest of whose it is and of which facts.

    With the sealing key's id in it, users with different keys never overwrite each other's entries.
    """
    digest = hashlib.blake2b(owner, digest_size=8)
    for kind, subject, content, _ in facts:
        for part in (kind, subject, content):
            raw = part.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "little") + raw)
    return f"{key}.{digest.hexdigest()}"


def pack(seal: Seal, row: str, draft: Draft, form: tuple[int, int, str, int], payload: bytes) -> bytes:
    """A sealed row.

    Args:
        seal: The user's.
        row: The row's own key.
        draft: Everything but the value.
        form: Flags, number and name of the serializer, bytes of the container or 0.
        payload: The packed value.
    """
    flags, codec, name, size = form
    cold = _packed(draft, name)
    size = size or _BODY + len(payload) + len(cold)
    if draft.facts:
        flags |= FACTS
    head = HEAD.pack(seal.id, SCHEMA, flags, codec, draft.created, draft.cost, size, len(payload))
    rest = b"".join((head, payload, cold))
    return seal.of(row, rest) + rest


def _packed(draft: Draft, serializer: str) -> bytes:
    """Label, serializer, facts, labels of the traits, and their digests and short forms as columns."""
    facts = [(kind, str(subject), digest, hint) for kind, subject, digest, hint in draft.facts]
    traits = draft.traits
    return marshal.dumps((str(draft.tag), serializer, facts, [*traits], [*zip(*traits.values(), strict=True)]), 2)


def unpack(row: str, body: bytes) -> Found:
    """The entry of a row whose seal was checked."""
    _, _, flags, codec, created, cost, size, payload = HEAD.unpack_from(body, SEAL_SIZE)
    return Found(row, created, cost, size, flags, codec, _BODY + payload, body)


def inline(stream: bytes, buffers: list[memoryview]) -> bytes:
    """A stream and its buffers as one payload: stream ‖ buffers ‖ their lengths ‖ how many there are."""
    lengths = struct.pack(f"<{len(buffers)}I", *(buffer.nbytes for buffer in buffers))
    return b"".join((stream, *buffers, lengths, _COUNT.pack(len(buffers))))


def outline(payload: bytes) -> tuple[bytes, list[bytearray]]:
    """The stream and its buffers again, these writable."""
    end = len(payload) - _COUNT.size
    (count,) = _COUNT.unpack_from(payload, end)
    lengths = struct.unpack_from(f"<{count}I", payload, end - count * _COUNT.size)
    start = end - count * _COUNT.size - sum(lengths)
    stream, buffers = payload[:start], []
    for length in lengths:
        buffers.append(bytearray(payload[start : start + length]))
        start += length
    return stream, buffers
