"""Does it give the right answer? What a cache must know or survive, tried on nbflow and its peers.

Three processes of each peer, one after the other, are asked all questions, each on what the last one has kept. The last
answer counts. Nothing here is timed, so each peer has the documented options that serve it best, all of them at once.
"""

import asyncio
import contextlib
import copyreg
import importlib.util
import linecache
import os
import re
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from tests.bench.peers import Mark, Side, marimo
from tests.bench.work import Ready, Work

__all__ = ["SETTINGS", "WORKS"]

PEERS = ("joblib", "diskcache", "cachier", "cash-lib", "marimo", "Prefect")
SIZE = 50_000
LAST = 2  # the turn whose answer counts
HUNG = 10.0  # seconds after which nobody waits for four threads any more


def typed_and_locked(module: Any, folder: Path) -> Mark:
    """As the package's case study on caching a landing page does it: a look before the lock, and another behind it."""
    cache = module.Cache(folder, size_limit=1 << 40, cull_limit=0)
    outer, inner = cache.memoize(typed=True, expire=0), cache.memoize(typed=True)
    return lambda function: outer(module.barrier(cache, module.Lock)(inner(function)))


def serializable(module: Any, folder: Path) -> Mark:
    from prefect.locking.filesystem import FileSystemLockManager
    from prefect.transactions import IsolationLevel

    policy = (module.cache_policies.INPUTS + module.cache_policies.TASK_SOURCE).configure(
        isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=FileSystemLockManager(folder.parent / "locks")
    )
    return module.task(persist_result=True, cache_policy=policy, result_storage=folder)


SETTINGS: dict[str, tuple[str, Callable[[Any, Path], Mark]]] = {
    "cachier": ("separate_files=True", lambda m, d: m.cachier(cache_dir=d, separate_files=True)),
    "cash-lib": ("use_locking=True", lambda m, d: m.Cash(backend=m.FileBackend(str(d)), use_locking=True).cache),
    "diskcache": ("memoize(typed=True) with a barrier", typed_and_locked),
    "marimo": ("in a plain program, not in a notebook of its own", marimo),
    "prefect": ("INPUTS + TASK_SOURCE, SERIALIZABLE, a FileSystemLockManager", serializable),
}
"""By distribution: how it is set up where that differs from the timed works."""


def written(side: Side, source: str) -> ModuleType:
    """A module of the user's, with other text in each round.

    Python takes a text of the same size and second for the one that it compiled before, so it must keep no bytecode here.
    """
    name = "program_" + re.sub(r"\W+", "_", side.folder.name)
    path = side.folder.parent / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with mock.patch.object(sys, "dont_write_bytecode", True):
        spec.loader.exec_module(module)
    return module


def edited(source: str) -> Ready:
    """A program in which `TURN` is another number each time: whether its `f` gives what the text says, and is kept."""

    def ready(side: Side) -> Callable[[], Any]:
        module = written(side, source.replace("TURN", str(side.turn)))
        f = side.mark(module.f)
        return lambda: f(2) == 2 + side.turn and hit(side, f, 2)

    return ready


def unmoved(source: str) -> Ready:
    """A program whose meaning stays as it was: whether its `f` is a hit."""

    def ready(side: Side) -> Callable[[], Any]:
        module = written(side, source.replace("TURN", "# " * side.turn + "no code"))
        return lambda: hit(side, side.mark(module.f), 2)

    return ready


def hit(side: Side, f: Callable[..., Any], *args: Any) -> bool:
    """Call it: whether the function that was marked did not run."""
    from tests.bench.child import runs

    return not runs(lambda: f(*args), side)


def in_a_cell(side: Side) -> Callable[[], Any]:
    """A function that was typed into a notebook: its file is in another folder for each kernel."""
    source = "def f(x):\n    return helper(x) + 1\ndef helper(x):\n    return x * 2\n"
    file = f"/tmp/ipykernel_{os.getpid()}/3141592653.py"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    space = vars(sys.modules["__main__"])
    exec(compile(source, file, "exec"), space)
    return lambda: hit(side, side.mark(space["f"]), 2)


def reads(side: Side) -> Callable[[], Any]:
    """A table on disk that grows."""
    path = side.folder.parent / f"{side.folder.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x\n" * (side.turn + 1))
    f = side.mark(written(side, "def f(path):\n    return open(path).read().count('x')\n").f)
    return lambda: f(str(path)) == side.turn + 1 and hit(side, f, str(path))


def equal_frames(side: Side) -> Callable[[], Any]:
    """The same rows and columns, laid out otherwise in memory."""
    import pandas as pd

    one = pd.DataFrame({"a": range(100), "b": range(100)})
    other = pd.concat([one[["a"]].copy(), one[["b"]].copy()], axis=1)
    f = side.mark(written(side, "def f(frame):\n    return int(frame.a.sum())\n").f)
    return lambda: hit(side, f, one if side.turn % 2 else other)


def equal_sets(side: Side) -> Callable[[], Any]:
    """A set of texts, whose order is another one in each process."""
    f = side.mark(written(side, "def f(words):\n    return sorted(words)\n").f)
    words = set("the quick brown fox jumps over a lazy dog".split())  # rarely twice in one order
    return lambda: hit(side, f, {"tags": words})


def other_types(side: Side) -> Callable[[], Any]:
    """1, 1.0 and True are equal, and not the same."""
    f = side.mark(written(side, "def f(x):\n    return repr(x)\n").f)
    return lambda: [f(1), f(1.0), f(True)] == ["1", "1.0", "True"] and hit(side, f, 1.0)


def independent(side: Side) -> Callable[[], Any]:
    """What a caller does to a result is not seen by the next one."""
    f = side.mark(written(side, "def f(x):\n    return [x]\n").f)

    def run() -> bool:
        f(2).append(3)
        f(2).append(4)
        return f(2) == [2] and hit(side, f, 2)

    return run


def at_once(side: Side) -> Callable[[], Any]:
    """Four threads that want the same thing."""
    log = side.folder.parent / f"{side.folder.name}-{side.turn}.log"
    source = "import os, time\ndef f(x, log):\n    os.write(log, b'x'); time.sleep(0.2); return x\n"
    module = written(side, source)
    log.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    f = side.mark(module.f)
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        f(2 + side.turn, opened)

    def run() -> bool:
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(HUNG)
        return log.stat().st_size == 1 and not any(each.is_alive() for each in threads)

    return run


def coroutine(side: Side) -> Callable[[], Any]:
    """A coroutine function gives its value, not a spent coroutine, and does not run again."""
    f = side.mark(written(side, "async def f(x):\n    return x + 1\n").f)

    def run() -> bool:
        from tests.bench.child import runs

        given: list[Any] = []

        async def call() -> None:
            given.append(await f(2))

        again = runs(lambda: asyncio.run(call()), side)
        return given == [3] and not again

    return run


def damaged(side: Side) -> Callable[[], Any]:
    """A bit of the stored array flips between two sessions, in eight places in turn. To refuse it is an answer too."""
    import numpy as np

    source = f"import numpy as np\ndef f(x):\n    return np.arange({SIZE}) * x\n"
    f, right = side.mark(written(side, source).f), np.arange(SIZE) * 2

    def flipped(place: int) -> bool:
        largest = max(files(side.folder), key=lambda path: (path.stat().st_size, path.stat().st_mtime_ns))
        whole = largest.read_bytes()
        content = bytearray(whole)
        content[len(content) * (place + 1) // 10] ^= 1 << place
        largest.chmod(0o600)
        largest.write_bytes(content)
        try:
            return np.array_equal(f(2), right)
        except Exception:  # noqa: BLE001 - whatever a peer raises
            return True
        finally:
            if largest.exists():  # else it was put aside, and its value is in another file by now
                largest.write_bytes(whole)

    def run() -> bool:
        return np.array_equal(f(2), right) if side.turn < LAST else all(map(flipped, range(8)))

    return run


def touched(mark: Path) -> Fraction:
    """What runs where a forged fraction is loaded."""
    mark.touch()
    return Fraction(2, 3)


def forged(side: Side) -> Callable[[], Any]:
    """Somebody else who can write to the folder leaves an entry there, in the peer's own form, that runs code when loaded.

    It is made by the same function in the first process, with another key, and where fractions are pickled as no fraction is.
    """
    mark = side.folder.parent / f"{side.folder.name}.evil"
    f = side.mark(written(side, "from fractions import Fraction\ndef f(x):\n    return Fraction(x, 3)\n").f)

    def run() -> bool:
        if not side.turn:
            theirs = {"NBFLOW_STORE_KEY_FILE": str(mark.with_suffix(".key"))}
            evil = {Fraction: lambda _: (touched, (mark,))}
            with mock.patch.dict(os.environ, theirs), mock.patch.dict(copyreg.dispatch_table, evil):
                f(2)
            mark.unlink(missing_ok=True)
            return bool(files(side.folder))
        with contextlib.suppress(Exception):  # to refuse is an answer too
            f(2)
        return not mark.exists()

    return run


def files(folder: Path) -> list[Path]:
    """What a peer has written down."""
    return [each for each in folder.rglob("*") if each.is_file()]


def asked(title: str, ready: Ready) -> Work:
    """A question; an error is no good answer to it."""

    def careful(side: Side) -> Callable[[], Any]:
        assert side.peer
        if side.peer.distribution in SETTINGS:
            side.peer = side.peer._replace(open=SETTINGS[side.peer.distribution][1])
        side.load()  # whoever is missing has no answer, not a bad one

        def answer() -> float:
            try:
                return float(ready(side)())
            except Exception as error:  # noqa: BLE001 - whatever a peer raises
                print(f"{title}: {type(error).__name__}: {error}", file=sys.stderr)
                return 0.0

        return answer

    return Work(title, careful, PEERS, fresh="kept", unit="yes", rounds=LAST, quoted=True)


WORKS = [
    asked("runs again when the function is edited", edited("def f(x):\n    return x + TURN\n")),
    asked(
        "... when a helper that it calls is edited",
        edited("def f(x):\n    return helper(x)\ndef helper(x):\n    return x + TURN\n"),
    ),
    asked(
        "... when a global that it reads has another value", edited("SHIFT = TURN\ndef f(x):\n    return x + SHIFT\n")
    ),
    asked("... when a file that it reads has changed", reads),
    asked(
        "... when an option of pandas that it reads was set otherwise",
        edited(
            "import pandas as pd\npd.options.display.precision = TURN\ndef f(x):\n    return x + pd.options.display.precision\n"
        ),
    ),
    asked("does not when only a comment changed", unmoved("def f(x):  # TURN\n    return x + 1\n")),
    asked("... nor for a cell's function in a new kernel", in_a_cell),
    asked("... nor for an equal frame that was made otherwise", equal_frames),
    asked("... nor for an equal set in a new process", equal_sets),
    asked("tells 1, 1.0 and True apart", other_types),
    asked("two hits give independent values", independent),
    asked("four threads at once run it once", at_once),
    asked("keeps what a coroutine function gives", coroutine),
    asked("gives no array of which a bit flipped on disk", damaged),
    asked("runs no code that somebody else put into the folder", forged),
]
