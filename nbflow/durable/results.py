"""Results of effects, sealed, small enough to lie in a row.

    version (1) ‖ key id (8) ‖ seal (32) ‖ pickle

Nothing is unpickled before its seal is checked, as in the store: also in a database of the user's, others may write.
"""

import io
import pickle
from hmac import compare_digest
from typing import Any, Final

from nbflow.errors import DamagedError, StoreError, UnstorableError
from nbflow.store.reducers import reducers
from nbflow.store.seal import ID_SIZE, SEAL_SIZE
from nbflow.store.vault import Vault

__all__ = ["LIMIT", "seal", "unseal"]

LIMIT: Final = 1 << 20
"""Bytes of a result that is stored."""

_VERSION: Final = b"\1"
_ID: Final = len(_VERSION) + ID_SIZE
_BODY: Final = _ID + SEAL_SIZE


def seal(vault: Vault, key: str, value: Any) -> tuple[bytes | None, str]:
    """The sealed result of an effect, or None and why it has to do without."""
    try:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, 5)
        pickler.dispatch_table = reducers()
        pickler.dump(value)
        body = file.getvalue()
    except Exception as error:  # noqa: BLE001 - it runs code of the user's classes
        return None, f"it cannot be pickled: {type(error).__name__}: {error}"[:300]
    if len(body) > LIMIT:
        return None, f"it takes {len(body):,} bytes, {LIMIT:,} are kept"
    return b"".join((_VERSION, vault.seal.id, vault.seal.of(f"once {key}", body), body)), ""


def unseal(vault: Vault, key: str, data: bytes | None, why: str) -> Any:
    """The result again.

    Raises:
        UnstorableError: It was not stored; the effect has happened.
        DamagedError: It was changed, or sealed with a key that is not trusted; the effect has happened.
        StoreError: It cannot be made here.
    """
    if data is None:
        raise UnstorableError(f"{key!r} is done and is not repeated, but its result was not stored: {why}")
    number, given, body = data[len(_VERSION) : _ID], data[_ID:_BODY], data[_BODY:]
    used = vault.seal if number == vault.seal.id else vault.trusted.seal(number)
    if data[:1] != _VERSION or used is None or not compare_digest(given, used.of(f"once {key}", body)):
        raise DamagedError(
            f"{key!r} is done and is not repeated, but its stored result is not what was sealed, or was sealed with a "
            "key that is not trusted (see nbflow trust)"
        )
    try:
        return pickle.loads(body)
    except Exception as error:
        raise StoreError(
            f"{key!r} is done and is not repeated, but its result cannot be made here: {type(error).__name__}: {error}"
        ) from error
