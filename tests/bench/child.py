"""The process of one column: it prepares a work when told to, calls it when told to, and answers seconds.

`python -m tests.bench.child FD COLUMN`: FD is one end of a `multiprocessing.Pipe`.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.peers import PEERS, Side
from tests.bench.work import OURS, Work


def serve(parent: Connection, column: str) -> None:
    """Answer until the parent hangs up: `ready` with an error or `""`, `go` with seconds or what the work found."""
    run: Callable[[], Any] = lambda: None
    timed = True
    while True:
        try:
            verb, *words = parent.recv()
        except EOFError:
            return
        try:
            if verb == "ready":
                run, timed = prepare(column, *words)
                parent.send("")
            else:
                parent.send(clock(run, *words) if timed else float(run()))
        except Exception as error:  # told to the parent, which leaves the column empty
            parent.send(f"{type(error).__name__}: {error}".splitlines()[0][:200])


def prepare(column: str, area: str, title: str, folder: str, turn: int) -> tuple[Callable[[], Any], bool]:
    """What a work calls, warm unless its process is to be fresh. The round `check` fails if a hit is none."""
    work: Work = next(each for each in import_module(f"tests.bench.{area}").WORKS if each.title == title)
    side = Side(PEERS.get(work.ours if column == OURS else column), Path(folder), turn)
    run = work.racers[column](side)
    if not work.fresh and work.unit == "s":
        run()
    if column in PEERS and work.expect and turn == work.check:
        ran = runs(run, side)
        if ran != (work.expect == "miss"):
            raise AssertionError(f"not a {work.expect}: the function {'ran' if ran else 'did not run'}")
    return run, work.unit == "s"


def runs(run: Callable[[], Any], side: Side) -> bool:
    """Call it once: whether a function that was marked ran in it."""
    seen: list[bool] = []

    def profile(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code in side.marked:
            seen.append(True)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return bool(seen)


def clock(run: Callable[[], Any], count: int) -> float:
    """Seconds of one call, out of `count` in a row."""
    gc.collect(0)
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(count):
            run()
        return (time.perf_counter() - start) / count
    finally:
        gc.enable()


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2])
