"""The panel under load: ten thousand steps, a thousand events a second, in JupyterLab in a real Chromium."""

import atexit
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import Work

__all__ = ["WORKS"]

STEPS = 10_000
RATE = 1000
SECONDS = 5.0
LOAD = f"""
import threading, time
from nbflow.bus import Bus
from nbflow.events import Began, Completed, Missed, Queued, Started
from nbflow.widget.live import Panel
from nbflow.widget.output import Output
from nbflow.widget.view import Board

bus, board = Bus(), Board()
for i in range({STEPS}):
    board.hear(Queued(i, time.time(), "fetch", (i,), None))
shown = Panel(board, Output(get_ipython()))
shown.follow(bus)
sent, publish = [], shown.comm.publish_msg

def counted(*args, **options):
    sent.append(time.monotonic())
    return publish(*args, **options)

shown.comm.publish_msg = counted
step = 0

def load(seconds):
    global step
    began, told = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while told < passed * {RATE}:
            now, number = time.time(), step % {STEPS}
            for event in (Began(number, now, "fetch", (number,), None), Missed(number, now, "first run", None),
                          Started(number, now, 1, 1), Completed(number, now, 0.01, 1024)):
                bus.tell(event)
            told, step = told + 4, step + 1
        time.sleep(0.005)

shown
"""
FRAMES = """async ([ms]) => new Promise(done => {
    let frames = 0;
    const start = performance.now();
    const next = () => { frames += 1; performance.now() - start < ms ? requestAnimationFrame(next) : done(frames); };
    requestAnimationFrame(next);
})"""


@cache
def note() -> Any:
    """The notebook with the panel, its group of ten thousand opened."""
    from tests.integration.lab import Lab, Note, chromium

    folder, open_ = Path(tempfile.mkdtemp(prefix="nbflow-bench-panel-")), ExitStack()
    atexit.register(open_.close)
    lab = Lab(folder / "lab")
    open_.callback(lab.stop)
    made = Note(open_.enter_context(chromium(folder / "chromium")), lab, "load", [LOAD])
    made.run()
    group, error = made.page.locator(".nbflow-panel .space .row").first, made.page.locator("[data-mime-type$=stderr]")
    group.or_(error).first.wait_for(timeout=120_000)
    if error.count():
        raise RuntimeError(error.first.inner_text().strip().splitlines()[-1])
    group.click()
    return made


@cache
def measured(_: int) -> dict[str, float]:
    """What one stretch of load came to."""
    page, ask = note().page, note().ask
    ask(f"sent.clear(); loading = threading.Thread(target=load, args=({SECONDS + 2},)); loading.start()")
    time.sleep(1)
    frames = page.evaluate(FRAMES, [1000 * SECONDS])
    rows = page.locator(".nbflow-panel [role=row]").count()
    messages = ask(f"loading.join(); print(sum(at < sent[0] + {SECONDS} for at in sent))")
    done = ask("print(step)").strip()
    page.wait_for_function("([n]) => document.querySelector('.nbflow-panel .headline').textContent.includes(n)", arg=[
        f"{int(done):,}/"
    ])  # fmt: skip
    return {"rows": rows, "messages": int(messages) / SECONDS, "frames": frames / SECONDS}


def figure(name: str) -> Callable[[Side], Callable[[], float]]:
    def ready(_: Side) -> Callable[[], float]:
        note()
        turns = iter(range(1_000_000))
        return lambda: measured(next(turns))[name]

    return ready


TITLE = f"{STEPS:,} steps at {RATE:,} events/s"
WORKS = [
    Work(f"{TITLE}: rows in the page", figure("rows"), goal=20, unit="rows", rounds=2),
    Work(f"{TITLE}: messages", figure("messages"), goal=15, unit="messages/s", rounds=2),
    Work(f"{TITLE}: frames", figure("frames"), note="more is better", unit="frames/s", rounds=2),
]
