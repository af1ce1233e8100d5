"""Many small steps: what a runner adds to each, beside the pool that it stands for."""

import atexit
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import BARE, Work

__all__ = ["WORKS"]

ITEMS = 500
RETRIES = 100
BACKOFF = 0.2


def nothing(x: int) -> int:
    return x


def on(name: str, **options: Any) -> Callable[[Side], Callable[[], Any]]:
    """A map of items that do nothing."""

    def ready(side: Side) -> Callable[[], Any]:
        if side.peer is not None and side.peer.distribution == "prefect":
            return in_prefect(side)
        import nbflow

        side.mark(nothing)  # the store
        runner = getattr(nbflow, name)(**options)
        runner.__enter__()
        atexit.register(runner.__exit__)
        each = nbflow.task(persist_result=False)(nothing)
        return lambda: runner.map(each, {"x": range(ITEMS)}).result()

    return ready


def in_prefect(side: Side) -> Callable[[], Any]:
    prefect = side.load()
    each = prefect.task(nothing)

    def flow() -> None:
        each.map(range(ITEMS)).result()

    return prefect.flow(flow)


def bare_threads(_: Side) -> Callable[[], Any]:
    from concurrent.futures import ThreadPoolExecutor

    def run() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(nothing, range(ITEMS)))

    return run


def bare_loky(_: Side) -> Callable[[], Any]:
    from joblib.externals.loky import get_reusable_executor

    pool = get_reusable_executor(2)
    atexit.register(pool.shutdown)
    return lambda: list(pool.map(nothing, range(ITEMS)))


def bare_dask(_: Side) -> Callable[[], Any]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    client = Client(cluster)
    atexit.register(lambda: (client.close(), cluster.close()))
    return lambda: client.gather(client.map(nothing, range(ITEMS), pure=False))


def retries(side: Side) -> Callable[[], Any]:
    """Steps that fail once and wait, on two threads."""
    import nbflow

    side.mark(nothing)
    failed: set[int] = set()
    guard = threading.Lock()

    def once(x: int) -> int:
        with guard:
            if x not in failed:
                failed.add(x)
                raise OSError("503")
        return x

    each = nbflow.task(persist_result=False, retries=1, retry_delay_seconds=BACKOFF)(once)
    runner = nbflow.ThreadPoolTaskRunner(2)
    runner.__enter__()

    def run() -> None:
        failed.clear()
        runner.map(each, {"x": range(RETRIES)}).result()

    return run


def hung(side: Side) -> Callable[[], Any]:
    """What it takes to end a call in native code, and to have a new process ready for the next one."""
    import nbflow

    side.mark(nothing)

    def native() -> int:
        return sum(range(10**12))

    each = nbflow.task(persist_result=False, isolate="process", timeout_seconds=0.1)(native)

    def run() -> None:
        with contextlib.suppress(nbflow.StepTimeout):
            each()

    return run


NOTE = f"{ITEMS} items that do nothing; bare: "

WORKS = [
    Work(
        "map on threads",
        on("ThreadPoolTaskRunner", max_workers=2),
        ("Prefect",),
        goal=ITEMS * 100e-6,
        note=NOTE + "ThreadPoolExecutor",
        bare=bare_threads,
        quoted=True,
    ),
    Work(
        "map on processes",
        on("ProcessPoolTaskRunner", max_workers=2),
        (),
        BARE,
        1.5,
        NOTE + "loky",
        bare_loky,
    ),
    Work(
        "map on Dask",
        on("DaskTaskRunner", cluster_kwargs={"n_workers": 2}),
        (),
        BARE,
        1.3,
        NOTE + "distributed.Client.map",
        bare_dask,
        quoted=True,
    ),
    Work(
        "retries hold no worker",
        retries,
        goal=0.5,
        note=f"{RETRIES} items fail once and wait {BACKOFF} s, on 2 threads",
    ),
    Work("a call ended in native code", hung, note="isolate=process, after 0.1 s; with the start of the next worker"),
]
