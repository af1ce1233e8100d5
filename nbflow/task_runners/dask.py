"""Steps on a Dask cluster: one of this machine, or one that there is already.

The plans stay here, and only packed calls go to the cluster, no more of them at a time than it has threads: what waits,
waits here, so a worker that dies takes with it only what it was running, and calls that take milliseconds are sent in
batches. Dask itself makes no call again: keys are unique, `retries=0`, and a worker notes what it has done, so that the
call that it died of is known. Where workers are on other machines than this process, their death costs the whole batch,
which is sent again one by one. Results leave the cluster as soon as they have arrived.
"""

import atexit
import itertools
import os
import pickle
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple
from uuid import uuid4

from nbflow.errors import ConfigurationError, WorkerDied
from nbflow.task_runners.base import ELSEWHERE
from nbflow.task_runners.threads import ThreadPoolTaskRunner

__all__ = ["DaskTaskRunner"]

_SHORT: Final = 0.05
"""Seconds that a batch may take, as the calls before it did: Dask takes milliseconds for each."""
_MOST: Final = 64
_LOCAL: Final = {
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",  # any free port: there is a server even without a dashboard
    "scheduler_kwargs": {"dashboard": False},
    "silence_logs": 40,  # what becomes of a step is told by us
    "threads_per_worker": 1,
}
"""A cluster of one's own hears nobody but this machine."""


class DaskTaskRunner(ThreadPoolTaskRunner):
    """Steps on a Dask cluster, which starts with the first of them; needs the extra `dask`.

    Args:
        address: Of a scheduler that runs already, such as `"tcp://10.0.0.5:8786"`.
        cluster: A cluster object that there is already; it is left running.
        cluster_class: What makes a cluster, or its import path; by default a `LocalCluster` of one worker for each
            processor, which listens on the loopback interface alone and has no dashboard.
        cluster_kwargs: For `cluster_class`.
        adapt_kwargs: For the `adapt` of the cluster: `{"minimum": 1, "maximum": 8}`.
        client_kwargs: For the `distributed.Client`.

    Raises:
        ConfigurationError: Two of them contradict each other, or `distributed` is not installed.
    """

    leaves: ClassVar[tuple[type, ...]] = ELSEWHERE

    def __init__(  # noqa: PLR0913, PLR0917 - Prefect's signature
        self,
        address: str | None = None,
        cluster: Any = None,
        cluster_class: Any = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if sum(each is not None for each in (address, cluster, cluster_class)) > 1:
            raise ConfigurationError("give one of address=, cluster= and cluster_class=")
        if cluster_kwargs and (address is not None or cluster is not None):
            raise ConfigurationError("cluster_kwargs= are for a cluster that is started here, not for one that runs")
        _distributed()
        options = {
            "address": address,
            "cluster": cluster,
            "cluster_class": cluster_class,
            "cluster_kwargs": cluster_kwargs,
            "adapt_kwargs": adapt_kwargs,
            "client_kwargs": client_kwargs,
        }
        super().__init__(None, **options)
        self.options = options
        self.executor: _Calls = _Calls(self)

    def __exit__(self, kind: type[BaseException] | None = None, *more: object) -> None:
        """What is queued is cancelled, what runs is waited for, the cluster ends if it was started here."""
        super().__exit__(kind, *more)
        self.executor.shutdown()

    @property
    def client(self) -> Any:
        """The `distributed.Client`, connected when it is first asked for."""
        return self.executor.client


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError('Dask is not installed: pip install "nbflow[dask]"') from error
    return distributed


class _Sent(NamedTuple):
    perform: Callable[..., Any]
    args: tuple[Any, ...]
    answer: Future[Any]


class _Calls(Executor):
    """Packed calls on a cluster."""

    def __init__(self, runner: DaskTaskRunner) -> None:
        self._options = runner.options
        self._lock = threading.RLock()
        self._client: Any = None
        self._cluster: Any = None
        self._waiting: deque[_Sent] = deque()
        self._alone: deque[_Sent] = deque()
        self._running: set[Any] = set()
        self._size, self._places, self._asked = 1, 1, 0.0
        self._local = False
        self._keys = map("nbflow-{}-{}".format, itertools.repeat(uuid4().hex[:12]), itertools.count())

    @property
    def client(self) -> Any:
        """The client; the cluster is started if need be."""
        with self._lock:
            if self._client is None:
                self._connect()
                atexit.register(self.shutdown)
            return self._client

    def _connect(self) -> None:
        distributed, given = _distributed(), self._options
        import dask  # noqa: PLC0415 - it comes with distributed

        target = given["address"] or given["cluster"]
        if target is None:
            make = given["cluster_class"] or distributed.LocalCluster
            if isinstance(make, str):
                module, _, name = make.rpartition(".")
                make = getattr(__import__(module, fromlist=[name]), name)
            kwargs = (_LOCAL if make is distributed.LocalCluster else {}) | dict(given["cluster_kwargs"] or {})
            with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                target = self._cluster = make(**kwargs)
        if given["adapt_kwargs"] and hasattr(target, "adapt"):
            target.adapt(**given["adapt_kwargs"])
        self._client = client = distributed.Client(
            target, **({"set_as_default": False} | dict(given["client_kwargs"] or {}))
        )
        self._local = client.scheduler.address.startswith(("tcp://127.0.0.1:", "inproc://"))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        """What the function gives for these arguments on a worker; it should not raise."""
        answer: Future[Any] = Future()
        with self._lock:
            self._waiting.append(_Sent(fn, args, answer))
        self._send()
        return answer

    def _send(self) -> None:
        """Fill the cluster."""
        while True:
            with self._lock:
                if time.monotonic() > self._asked + 1.0:  # workers come and go
                    self._places, self._asked = max(1, self._threads()), time.monotonic()
                if len(self._running) >= self._places:
                    return
                batch = self._batch()
                if not batch:
                    return
                try:
                    key, calls = next(self._keys), [(each.perform, each.args) for each in batch]
                    future = self.client.submit(_perform, calls, _spool(key), key=key, pure=False, retries=0)
                except BaseException as error:  # noqa: BLE001 - it belongs to the steps
                    _fail(batch, error)
                    continue
                self._running.add(future)
            future.add_done_callback(partial(self._done, batch))

    def _threads(self) -> int:
        """How many calls the cluster runs at a time, as its scheduler last said."""
        return sum(each["nthreads"] for each in self.client.scheduler_info(n_workers=-1)["workers"].values())

    def _batch(self) -> list[_Sent]:
        queue, size = (self._alone, 1) if self._alone else (self._waiting, self._size)
        size = min(size, max(1, len(queue) // max(1, self._places)))
        batch: list[_Sent] = []
        while queue and len(batch) < size:
            sent = queue.popleft()
            if sent.answer.running() or sent.answer.set_running_or_notify_cancel():  # sent a second time
                batch.append(sent)
        return batch

    def _done(self, batch: list[_Sent], future: Any) -> None:
        """In a thread of the client's."""
        spool, error = _spool(future.key), None
        replies: list[Any] = []
        try:
            took, replies = future.result()
        except BaseException as raised:  # noqa: BLE001 - it belongs to the steps
            error = raised
        killed = error is not None and _is_killed(error)
        begun = not killed or spool.exists() or not self._local
        if killed:
            replies = _left(spool)
        # Of a batch whose worker died, the first call without a reply is to blame, and those behind it go on.
        blamed = batch[len(replies) : len(replies) + 1] if len(replies) < len(batch) and begun else []
        again = batch[len(replies) + len(blamed) :] if error is None or killed else []
        if killed and not replies and not self._local and len(batch) > 1:  # nobody can say which one it was
            blamed, again = [], batch
        with self._lock:
            self._running.discard(future)
            if error is None:
                self._size = max(1, min(_MOST, self._size * 2, int(_SHORT / max(took / len(batch), 1e-6))))
            (self._waiting if self._local else self._alone).extendleft(reversed(again))
        with suppress(Exception):
            future.release()
        with suppress(OSError):
            spool.unlink()
        self._send()
        for sent, reply in zip(batch, replies, strict=False):
            sent.answer.set_result(reply)
        _fail(blamed if error is None or killed else batch, error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the protocol's
        """Let go of the client, and end the cluster if it was started here. Again changes nothing."""
        with self._lock:
            client, cluster, self._client, self._cluster = self._client, self._cluster, None, None
            self._size, self._asked = 1, 0.0
        atexit.unregister(self.shutdown)
        for each in (client, cluster):
            if each is not None:
                with suppress(Exception):
                    each.close()


def _is_killed(error: BaseException) -> bool:
    return type(error).__name__ == "KilledWorker"


def _fail(batch: Sequence[_Sent], error: BaseException | None) -> None:
    if error is None or _is_killed(error):
        error = WorkerDied("a Dask worker ended while it ran the step")
    elif type(error).__name__ in {"CancelledError", "FutureCancelledError"}:
        error = WorkerDied(f"the Dask cluster lost the step: {error}")
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "nbflow":
        error = ConfigurationError("nbflow is not installed on the Dask workers: install the same version there")
    for sent in batch:
        sent.answer.set_exception(error)


# What a worker has done of a batch is noted in a file: should it die, no finished call is made again, and it is known
# which one it died of. Workers of one machine see it, and this process if it is on the same one.


def _spool(key: str) -> Path:
    return Path(tempfile.gettempdir(), key)


def _left(spool: Path) -> list[Any]:
    """The replies in a worker's note."""
    found: list[Any] = []
    with suppress(OSError), spool.open("rb") as file, suppress(EOFError, pickle.UnpicklingError):
        while os.fstat(file.fileno()).st_uid == os.getuid():  # nobody else's is unpickled
            found.append(pickle.load(file))
    return found


_spools: deque[Path] = deque()


def _perform(calls: list[tuple[Callable[..., Any], tuple[Any, ...]]], spool: Path) -> tuple[float, list[Any]]:
    """On a worker: what the calls give, and the seconds that they took.

    Dask calls it once more where a worker died; then it gives what is noted, and the call without a reply is to blame.
    """
    start = time.monotonic()
    if spool.exists():
        return 0.0, _left(spool)
    try:
        note = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        note = os.open(os.devnull, os.O_WRONLY)
    found: list[Any] = []
    for function, args in calls:
        reply = function(*args)
        found.append(reply)
        os.write(note, pickle.dumps(reply, 5))
    os.close(note)
    _spools.append(spool)
    while len(_spools) > _MOST:  # the other side deletes what it sees
        with suppress(OSError):
            _spools.popleft().unlink()
    return time.monotonic() - start, found
