"""The file whose bytes are the store's locks.

POSIX locks belong to processes: closing *any* descriptor of a file drops all locks that the process has there, so
each process opens it once. https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nbflow.store.waits import insist

__all__ = ["LockFile"]


class LockFile:
    """The file, open from the first `making` on. Byte 0 is for making the store, the others are for keys.

    Attributes:
        number: Its descriptor, -1 until it is open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = -1
        self._left: list[int] = []
        self._making = threading.RLock()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Alone on this host to make or mend the store. Without locks there, alone in this process.

        Raises:
            OSError: The folder or the file cannot be made.
        """
        with self._making:
            if self.number < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW  # waits are written to it
                self.number = os.open(self.path, flags, 0o600)
            file = self.number
            try:
                with suppress(OSError):
                    insist(file, 0)
                yield
            finally:
                with suppress(OSError):
                    fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)

    def moved(self) -> None:
        """The folder is another one now: lock there from the next claim on. Somebody may still wait in the old."""
        with self._making:
            if self.number >= 0:
                self._left.append(self.number)
            self.number = -1

    def close(self) -> None:
        """Drop all locks."""
        with self._making:
            for file in (*self._left, self.number):
                if file >= 0:
                    os.close(file)
            self._left.clear()
            self.number = -1

    def hold(self, timeout: float) -> bool:
        """Keep this process from making the store, until `let_go`; whether that went in time."""
        return self._making.acquire(timeout=timeout)

    def let_go(self) -> None:
        """Undo `hold`, in the same thread."""
        self._making.release()

    def forked(self) -> None:
        """In a child: what its parent locked stays locked, by its parent."""
        for file in (*self._left, self.number):
            if file >= 0:
                os.close(file)
        self.__init__(self.path)  # type: ignore[misc]
