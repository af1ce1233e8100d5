"""Entries in one file, to take elsewhere: a tar of containers and of rows, each sealed as it is in the store.

So a bundle needs no seal of its own: on import each entry is checked like any other, and nothing is unpickled. It
begins by a mark and ends by a count, which tell a bundle from another file and a whole one from a part. What has
arrived whole is kept, whatever becomes of the rest.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from nbflow.errors import ConfigurationError, StoreError
from nbflow.store import counts
from nbflow.store.check import damage
from nbflow.store.container import NAME, Blob, trailer
from nbflow.store.row import BIG, Found
from nbflow.store.table import Row, put
from nbflow.store.vault import Vault

if TYPE_CHECKING:
    from tarfile import TarFile

__all__ = ["Exported", "Imported", "pack", "unpack"]

_MARK: Final = "nbflow-bundle"
_VERSION: Final = b"1\n"
_END: Final = "end"
_ROWS: Final = "rows/"
_BLOBS: Final = "blobs/"
_LONGEST: Final = 64 << 20
"""Bytes of a row; a longer one is none of ours."""
_STAMP: Final = "SELECT store_time, value FROM Cache WHERE key = ? AND raw = 1"


class Exported(NamedTuple):
    """What went into a bundle: entries, bytes in them; and left out: damaged ones, and others' that no key here opens.

    Attributes:
        entries: How many.
        size: Bytes.
        damaged: How many were left out because they are not whole.
        foreign: How many were left out because they are sealed with a key that is not trusted.
    """

    entries: int
    size: int
    damaged: int
    foreign: int


class Imported(NamedTuple):
    """What came out of a bundle.

    Attributes:
        entries: How many are new here.
        known: How many were here already, as new or newer.
        damaged: How many are not whole, and were left out.
        foreign: How many are sealed with a key that is not trusted, and were left out.
        whole: Whether the bundle was read to its end.
    """

    entries: int
    known: int
    damaged: int
    foreign: int
    whole: bool


def pack(vault: Vault, path: Path, tags: Iterable[str] | None) -> Exported:
    """Write entries to a file, which appears when it is whole and replaces one that is there.

    Args:
        vault: Where they are.
        path: The file.
        tags: Labels of the tasks; None: of all.

    Raises:
        ConfigurationError: There cannot be a file.
        StoreError: It cannot be written.
    """
    import tarfile  # noqa: PLC0415 - 4 ms that only bundles need

    folder = os.path.isdir(path)  # noqa: PTH112 - where a path is too long, a Path raises
    if folder or not path.absolute().parent.is_dir():
        raise ConfigurationError(f"{path}: " + ("that is a folder" if folder else "there is no such folder"))
    draft = path.absolute().with_name(f".{path.name}.{os.urandom(8).hex()}")
    found = [0, 0, 0, 0]
    try:
        with (
            _new(draft) as file,
            tarfile.open(fileobj=file, mode="w") as tar,
        ):
            _add(tar, _MARK, _VERSION)
            for tag in [None] if tags is None else dict.fromkeys(tags):
                for row, body in counts.rows(vault.index, tag):
                    _put_in(vault, tar, row, body, found)
            _add(tar, _END, f"{found[0]}\n".encode())
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return Exported(*found)


def _put_in(vault: Vault, tar: "TarFile", row: Any, body: Any, found: list[int]) -> None:
    entry = vault.sound(row, body)
    if entry is None or damage(vault, entry):
        found[3 if vault.is_foreign(body) else 2] += 1
        return
    if entry.flags & BIG:
        name = Blob.unpack(entry.payload).name
        try:
            file = (vault.blobs.folder / name).open("rb")
        except FileNotFoundError:  # evicted meanwhile
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            _add(tar, _BLOBS + name, file, size)
    else:
        size = len(body)
        _add(tar, _ROWS + row, body)
    found[0] += 1
    found[1] += size


def _new(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _add(tar: "TarFile", name: str, data: bytes | IO[bytes], size: int = 0) -> None:
    member = tar.tarinfo(name)
    member.size = len(data) if isinstance(data, bytes) else size
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(data) if isinstance(data, bytes) else data)
    tar.members.clear()  # type: ignore[attr-defined] # it would remember all of them


def unpack(vault: Vault, path: Path) -> Imported:
    """Enter what a bundle holds and what its seal vouches for; of two entries for the same, the newer one stays.

    Raises:
        ConfigurationError: The file is no bundle.
        StoreError: The store cannot take it.
    """
    import tarfile  # noqa: PLC0415 - 4 ms that only bundles need

    found = {"entries": 0, "known": 0, "damaged": 0, "foreign": 0}
    whole = False
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:", errors="replace") as tar:
            members = _members(tar)
            _begin(members, path)
            vault.ready()
            for name, data in members:
                if whole := name == _END:
                    break
                found[_take_out(vault, name, data)] += 1
    except ConfigurationError:
        raise
    except (tarfile.TarError, MemoryError, OverflowError, RecursionError, ValueError):  # sizes that cannot be meant
        if not any(found.values()):
            raise ConfigurationError(f"{path} is no bundle, or only the beginning of one") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: that is a folder") from None
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be imported: {error.strerror or error}") from error
    return Imported(**found, whole=whole)


def _begin(members: Iterator[tuple[str, IO[bytes]]], path: Path) -> None:
    name, data = next(members, ("", io.BytesIO()))
    if name != _MARK or data.read(16) != _VERSION:
        raise ConfigurationError(f"{path} is no bundle that this version of nbflow can read")


def _members(tar: "TarFile") -> Iterator[tuple[str, IO[bytes]]]:
    while member := tar.next():
        plain = member.isreg() and not member.issparse()  # a few bytes of a sparse one could fill the disk
        data = tar.extractfile(member) if plain else None
        if data is not None:
            with data:
                yield member.name, data
        tar.members.clear()  # type: ignore[attr-defined] # it would remember all of them


def _take_out(vault: Vault, name: str, data: IO[bytes]) -> str:
    """Enter one entry; in one word what came of it."""
    if name.startswith(_ROWS):
        body = data.read(_LONGEST)
        entry = vault.sound(name.removeprefix(_ROWS), body)
        if entry is None or entry.flags & BIG:
            return "foreign" if vault.is_foreign(body) else "damaged"
        return _enter(vault, entry, None)
    name = name.removeprefix(_BLOBS)
    if not NAME.fullmatch(name):
        return "damaged"
    place = vault.blobs.folder / name
    draft = place.with_name(f".{place.name}.{os.urandom(4).hex()}.tmp")
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _new(draft) as file:
            while part := data.read(1 << 20):
                file.write(part)
        row, _, body = (trailer(draft) or b"").partition(b"\0")
        entry = vault.sound(row.decode("ascii", "replace"), body)
        if entry is None:
            return "foreign" if vault.is_foreign(body) else "damaged"
        named = entry.flags & BIG and Blob.unpack(entry.payload).name == name
        if not named or damage(vault, entry, f"{place.parent.name}/{draft.name}"):
            return "damaged"
        return _enter(vault, entry, draft)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _enter(vault: Vault, entry: Found, draft: Path | None) -> str:
    """Give a sound entry its row, and its container the name that the row gives it."""
    name = Blob.unpack(entry.payload).name if draft else None
    old = vault.index.run(lambda execute: execute(_STAMP, (entry.row,)).fetchone())
    if old is not None and (old[1] == entry.body or (old[0] or 0) > entry.created):
        return "known"
    if draft is not None and name is not None:
        draft.replace(vault.blobs.folder / name)
    row = Row.of(entry, name)
    vault.blobs.remove(vault.index.run(lambda execute: put(execute, row)) or ())
    return "entries"
