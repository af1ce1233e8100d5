"""A real terminal of some size around a command: what it shows, and typing into it."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

import pyte


class Terminal:
    """A command in a pseudo-terminal; `screen` is what somebody in front of it sees.

    Args:
        argv: The command.
        environ: Its environment.
        folder: Where it starts.
        size: Columns and lines.
    """

    def __init__(self, argv, environ, folder, size=(80, 24)):
        width, height = size
        self.screen = pyte.HistoryScreen(width, height, history=2000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], [str(word) for word in argv], {**environ, "TERM": "xterm-256color"})
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._file)
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass

    @property
    def lines(self):
        """All lines, those that have scrolled away first."""
        above = ["".join(row[at].data for at in range(self.screen.columns)) for row in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display] if line.strip()]

    def type(self, keys):
        """Press keys."""
        os.write(self._file, keys.encode())

    def until(self, holds, within=60.0):
        """Wait until something holds of the lines."""
        deadline = time.monotonic() + within
        while not holds(self.lines):
            assert time.monotonic() < deadline and self._read(deadline - time.monotonic()), "\n".join(self.lines)
        return self.lines

    def end(self, within=300.0):
        """Wait for the end: the exit code."""
        deadline = time.monotonic() + within
        while self._read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, "\n".join(self.lines)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, seconds):
        """Take what it wrote; whether it is still there."""
        if select.select([self._file], [], [], seconds)[0]:
            try:
                data = os.read(self._file, 65536)
            except OSError:  # it has ended
                return False
            self.raw += data
            self._stream.feed(data)
            return bool(data)
        return True
