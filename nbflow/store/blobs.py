"""The folder of containers, and the one where damaged things go."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from nbflow.store.container import NAME, trailer

__all__ = ["Blobs"]

_OURS: Final = re.compile(rf"{NAME.pattern}|[0-9a-z]{{2}}/\..+\.tmp", re.DOTALL)
"""Containers and drafts of them. All else, and what lies behind links, is not ours to list or to delete: whoever made
the folder could have put links into it that lead to anything of the user's."""
_GRACE: Final = 3600.0
"""Younger files may belong to a save that is under way; git waits as long."""
_KEPT: Final = 7 * 86400.0
"""Damaged files are kept this long, for whoever wants to know."""


class Blobs:
    """The containers of one store."""

    def __init__(self, store: Path) -> None:
        self.folder = store / "blobs"
        self.aside = store / "quarantine"

    def remove(self, names: Iterable[object]) -> None:
        """Delete files that the index named, if they are containers. Maps of them live on."""
        for name in names:
            if isinstance(name, str) and NAME.fullmatch(name):
                with suppress(OSError):
                    (self.folder / name).unlink()

    def set_aside(self, name: str) -> None:
        """Move a damaged file away."""
        with suppress(OSError):
            self.aside.mkdir(mode=0o700, exist_ok=True)
            (self.folder / name).replace(self.aside / name.replace("/", "-"))

    def trailers(self) -> Iterator[tuple[str, bytes]]:
        """Names of whole containers, with what each says of itself."""
        for name, path in self._files():
            with suppress(OSError):
                if NAME.fullmatch(name) and (text := trailer(path)):
                    yield name, text

    def sweep(self, known: frozenset[str], now: float) -> int:
        """Delete what no row names any more, and old damage; gives bytes."""
        freed = 0
        for name, path in self._files():
            if name not in known:
                freed += _delete_older(path, now - _GRACE)
        for path in self._put_aside():
            freed += _delete_older(path, now - _KEPT)
        return freed

    def strays(self, known: frozenset[str], now: float) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Files, with their bytes, that no row names and that no save under way made; and those put aside."""
        orphans = [
            (f"blobs/{name}", found.st_size)
            for name, path in self._files()
            if name not in known and (found := _seen(path)) and found.st_mtime < now - _GRACE
        ]
        return orphans, [
            (str(path.relative_to(self.aside.parent)), found.st_size)
            for path in self._put_aside()
            if (found := _seen(path))
        ]

    def _files(self) -> Iterator[tuple[str, Path]]:
        with suppress(FileNotFoundError, NotADirectoryError):
            for folder in sorted(self.folder.iterdir()):
                if folder.is_dir() and not folder.is_symlink():
                    for path in sorted(folder.iterdir()):
                        name = f"{folder.name}/{path.name}"
                        if _OURS.fullmatch(name):
                            yield name, path

    def _put_aside(self) -> list[Path]:
        """Damaged files that were moved away."""
        if self.aside.is_symlink() or not self.aside.is_dir():
            return []
        return [path for path in sorted(self.aside.rglob("*")) if path.is_symlink() or not path.is_dir()]


def _seen(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.lstat()
    return None


def _delete_older(path: Path, than: float) -> int:
    with suppress(OSError):
        found = path.lstat()
        if not path.is_dir() and found.st_mtime < than:
            path.unlink()
            return found.st_size
    return 0
