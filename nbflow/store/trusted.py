"""Keys of others that this user trusts: copies of their key files, outside of any store.

Entries sealed with one of them load; new ones are sealed with the user's own key. A seal is made and checked with
the same key, so a trusted key is a secret like one's own, and is kept like it.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from nbflow.errors import ConfigurationError, StoreError
from nbflow.store.seal import ID_SIZE, Seal, make_key, read_key, settings_folder

__all__ = ["Trusted", "trusted_keys"]

_SUFFIX: Final = ".key"


class Trusted:
    """The trusted keys in one folder, each in a file named by its id. Nothing is read before it is asked for.

    Args:
        folder: Need not exist; None: there are none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._seals: dict[bytes, Seal] = {}

    def seal(self, number: bytes) -> Seal | None:
        """The seal of a key by the key's id; None if that is not trusted. What another process changes is seen."""
        if self.folder is None or len(number) != ID_SIZE:
            return None
        path = self._path(number)
        if not os.path.exists(path):  # noqa: PTH110 - a Path raises where the folder is closed to us
            self._seals.pop(number, None)
        elif number not in self._seals:
            with suppress(OSError, StoreError):
                seal = Seal(read_key(path))
                if seal.id == number:
                    self._seals[number] = seal
        return self._seals.get(number)

    def ids(self) -> list[bytes]:
        """Ids of the keys that are trusted and fit for use."""
        try:
            names = sorted(path.stem for path in self.folder.iterdir() if path.suffix == _SUFFIX) if self.folder else []
        except OSError:
            return []
        found = []
        for name in names:
            try:
                number = bytes.fromhex(name)
            except ValueError:
                continue
            if self.seal(number) is not None:
                found.append(number)
        return found

    def add(self, path: Path) -> bytes:
        """Trust the key in a file from now on; gives its id.

        Raises:
            ConfigurationError: There is no key in that file.
            StoreError: Others could read or change it, or there is no place to keep it.
        """
        try:
            secret = read_key(path)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
        number = Seal(secret).id
        if self.folder is None:
            raise StoreError(
                "there is no folder of your settings to keep trusted keys in: set HOME, or XDG_CONFIG_HOME"
            )
        try:
            make_key(self._path(number), secret)
        except OSError as error:
            raise StoreError(f"the key cannot be kept in {self.folder}: {error.strerror}") from None
        return number

    def remove(self, number: bytes) -> bool:
        """Trust a key no longer; whether it was trusted. Its entries stay, and are misses again.

        Raises:
            StoreError: Its copy cannot be deleted, so it is trusted still.
        """
        if self.folder is None:
            return False
        try:
            self._path(number).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(
                f"{self._path(number)} cannot be deleted, and is trusted still: {error.strerror}"
            ) from None
        self._seals.pop(number, None)
        return True

    def _path(self, number: bytes) -> Path:
        assert self.folder is not None
        return self.folder / f"{number.hex()}{_SUFFIX}"


def trusted_keys(environ: Mapping[str, str]) -> Trusted:
    """The keys that this user trusts."""
    try:
        return Trusted(settings_folder(environ) / "trusted")
    except RuntimeError:  # no home directory
        return Trusted(None)
