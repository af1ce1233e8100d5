"""Processes that perform one packed call at a time, and are kept warm for the next one.

A pool such as loky's ends as a whole when one of its workers dies, and takes what the others were running with it; and
no pool can end a single call. So each worker here is a process of its own with a pipe of its own: whoever holds it
knows exactly which call it runs, and when that call must end, or the process dies, nobody else is concerned. It is
started afresh, as loky does it, not forked: threads, locks and CUDA of the parent stay out of it. It leads a process
group, which is killed as a whole: native code and children too.
"""

import atexit
import contextlib
import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Final

from nbflow.clock import slices
from nbflow.engine.timeouts import late
from nbflow.errors import WorkerDied
from nbflow.world import unseen

__all__ = ["PERFORM", "Hold", "Setup", "Worker", "close", "give", "serve", "take"]

_AROUND: Final = b"around"
"""Begins a message that tells a worker of a changed environment; all others are packed calls."""
_PATIENCE: Final = 60.0  # seconds for a process to start in

PERFORM: Final = "nbflow.remote.performing:perform"
"""What performs a packed call."""

Setup = tuple[bytes, str]
"""What a worker does first, as a pickle of a function and its arguments, and `module:function` that performs calls."""


class Worker:
    """One process. Only one thread at a time may use it.

    Raises:
        WorkerDied: It could not begin.
    """

    def __init__(self, setup: Setup) -> None:
        import socket  # noqa: PLC0415 - only those who use processes pay for it
        import subprocess  # noqa: PLC0415 - as above
        from multiprocessing.connection import Connection  # noqa: PLC0415 - 10 ms that only those who use processes pay

        mine, theirs = socket.socketpair()
        with unseen(), theirs:
            self._known = _surroundings()
            serve = f"from nbflow.remote.workers import serve; serve({theirs.fileno()})"
            code = f"import sys; sys.path[:] = {sys.path!r}; {serve}"
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._pipe = Connection(mine.detach())
        self._poll = select.poll()
        self._poll.register(self._pipe.fileno(), select.POLLIN)
        self._life = os.pidfd_open(self._process.pid)
        self._poll.register(self._life, select.POLLIN)
        _all.add(self)
        try:
            self._pipe.send_bytes(pickle.dumps((setup, os.getpid())))
            begun = self._reply(_PATIENCE)
        except BaseException as error:
            self.kill()
            if isinstance(error, TimeoutError):
                raise WorkerDied(f"a worker process did not begin within {_PATIENCE:g} s") from None
            raise
        if begun:
            self.kill()
            raise WorkerDied(f"a worker process could not begin: {begun.decode()}")

    def ask(self, call: bytes, limit: float | None) -> bytes:
        """Perform a packed call; as `ask_all`."""
        return next(self.ask_all([(call, limit)]))

    def ask_all(self, calls: Sequence[tuple[bytes, float | None]]) -> Iterator[bytes]:
        """Perform packed calls, each with the seconds that it may take, and give each reply as it comes.

        Together they must fit into a pipe, if they are more than one. An error is that of the first without a reply.

        Raises:
            WorkerDied: The process ended meanwhile.
            StepTimeout: It took more than `limit` seconds; the process and its children were killed.
        """
        limit: float | None = None
        try:
            now = _surroundings()
            if now != self._known:
                self._pipe.send_bytes(_AROUND + pickle.dumps(now))
                self._known = now
            for call, _ in calls:
                self._pipe.send_bytes(call)
            for _, limit in calls:
                yield self._reply(limit)
        except OSError as error:  # it is gone: the pipe is broken
            self.kill()
            if isinstance(error, TimeoutError):
                raise late(limit or 0.0) from None  # of the call that had no reply
            raise WorkerDied(self._ended()) from None
        except GeneratorExit:  # somebody wants no more replies: they are all there
            raise
        except BaseException:  # an interrupt
            self.kill()
            raise

    def _reply(self, limit: float | None) -> bytes:
        """The next message. Who died is asked of the process itself: a child of it may hold the pipe open."""
        ready: list[tuple[int, int]] = []
        for piece in slices(limit):
            ready = self._poll.poll(None if piece is None else piece * 1000)
            if ready:
                break
        if not ready:
            raise TimeoutError
        if any(fd == self._pipe.fileno() for fd, _ in ready):
            with contextlib.suppress(EOFError):
                return self._pipe.recv_bytes()
        self.kill()
        raise WorkerDied(self._ended())

    def _ended(self) -> str:
        code = self._process.poll()
        how = f"with exit code {code}" if code is None or code >= 0 else f"by {signal.Signals(-code).name}"
        return f"a worker process ended {how} while it ran the step"

    def kill(self) -> None:
        """End the process and its children, now; again changes nothing."""
        if self not in _all:
            return
        _all.discard(self)
        self.strike()
        self._process.wait()
        self._pipe.close()
        os.close(self._life)

    def strike(self) -> None:
        """End them, and leave it to whoever holds the worker to notice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # a dead one may have left children
            os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self in _all and self._process.poll() is None


_all: set[Worker] = set()
_idle: dict[Setup, list[Worker]] = {}
_guard = threading.Lock()


class Hold:
    """A caller's use of the warm workers: it holds one while that performs a call, and a new one where all are busy."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: Worker | None = None

    def ask(self, call: bytes, limit: float | None) -> bytes:
        """Perform a packed call; as `Worker.ask`."""
        worker = self._worker = take(self._setup)
        try:
            reply = worker.ask(call, limit)
        finally:
            self._worker = None
        give(self._setup, worker)
        return reply

    def stop(self) -> None:
        """End the call that is performed, from another thread: its worker dies of it."""
        worker = self._worker
        if worker is not None:
            worker.strike()


def take(setup: Setup) -> Worker:
    """A warm worker, or a new one where all are busy. Give it back by `give`."""
    _close_at_exit()
    while True:
        with _guard:
            idle = _idle.get(setup)
            worker = idle.pop() if idle else None
        if worker is None:
            return Worker(setup)
        if worker.alive:
            return worker
        worker.kill()


def give(setup: Setup, worker: Worker) -> None:
    """Let others have it; a dead one is dropped when it is taken."""
    with _guard:
        _idle.setdefault(setup, []).append(worker)


def close() -> None:
    """End all workers."""
    for worker in list(_all):
        worker.kill()
    _idle.clear()


_closing = False


def _close_at_exit() -> None:
    global _closing  # noqa: PLW0603 - a process ends once
    if not _closing:
        _closing = True
        atexit.register(close)
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """A forked child has no workers: they are its parent's."""
    for worker in _all:
        worker._pipe.close()  # noqa: SLF001 - it is one of us
    _all.clear()
    _idle.clear()


def _surroundings() -> tuple[str, list[str], dict[bytes, bytes]]:
    """Where code runs: folder, import path, environment. A worker follows when they change."""
    try:
        here = os.getcwd()  # noqa: PTH109 - a Path costs more than the question
    except OSError:  # the folder was removed
        here = ""
    return here, sys.path.copy(), os.environ._data.copy()  # type: ignore[attr-defined]  # noqa: SLF001 - a plain copy of all of it


def _follow(around: tuple[str, list[str], dict[bytes, bytes]]) -> None:
    here, path, variables = around
    if here:
        os.chdir(here)
    sys.path[:] = path
    for name in set(os.environb) - set(variables):
        del os.environb[name]
    os.environb.update({name: value for name, value in variables.items() if os.environb.get(name) != value})


# In the worker


def serve(descriptor: int) -> None:
    """Perform calls until the parent closes the pipe, or is gone."""
    from multiprocessing.connection import Connection  # noqa: PLC0415 - as above

    pipe = Connection(descriptor)
    threading.Thread(target=_watch, args=(descriptor,), name="nbflow-parent", daemon=True).start()
    try:
        (first, where), _ = pickle.loads(pipe.recv_bytes())
        module, _, name = where.partition(":")
        perform: Callable[[bytes], bytes] = getattr(import_module(module), name)
        if first:
            function, args = pickle.loads(first)
            function(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent tells of it
        pipe.send_bytes(f"{type(error).__name__}: {error}".encode())
        return
    pipe.send_bytes(b"")
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = pipe.recv_bytes()
            if message.startswith(_AROUND):
                _follow(pickle.loads(message[len(_AROUND) :]))
            else:
                pipe.send_bytes(perform(message))
            del message


def _watch(descriptor: int) -> None:
    """End with the parent, whatever the main thread is doing: nobody waits for its result."""
    poll: Any = select.poll()
    poll.register(descriptor, 0)  # a hang-up alone is told
    poll.poll()
    os.killpg(0, signal.SIGKILL)
