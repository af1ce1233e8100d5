"""nbflow and its peers, each with the settings that suit it best, and nothing imported before it is used.

All of them keep results on disk. A peer that is missing or breaks says so in the table.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

__all__ = ["PEERS", "Peer", "Side"]

Mark = Callable[[Callable[..., Any]], Callable[..., Any]]


class Peer(NamedTuple):
    """One way to cache a function.

    Attributes:
        distribution: What pip knows it by.
        module: What its users import from,
        name: and what: some packages load nothing before a name of theirs is used.
        open: From the module and a folder to what marks a function.
        note: How it was set up.
        digest: The name of its function from a value to the digest of it, in the module; `""`: it has none.
    """

    distribution: str
    module: str
    name: str
    open: Callable[[Any, Path], Mark]
    note: str
    digest: str = ""


class Side:
    """A peer in its own process, about to do one work.

    Attributes:
        peer: Who it is; None: the column `bare`.
        folder: Where its store is to be; kept for the same work.
        turn: The round, from 0; the first is left out, the first two where each has a process of its own.
        marked: The code of the functions that were marked.
    """

    def __init__(self, peer: Peer | None, folder: Path, turn: int) -> None:
        self.peer, self.folder, self.turn = peer, folder, turn
        self.marked: list[CodeType] = []
        self._mark: Mark | None = None

    def load(self) -> Any:
        """Import it, up to the name that its users take from it."""
        assert self.peer
        module = import_module(self.peer.module)
        getattr(module, self.peer.name)
        return module

    def mark(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as the peer caches it."""
        self.marked.append(function.__code__)
        if self.peer is None:
            return function
        if self._mark is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._mark = self.peer.open(self.load(), self.folder)
        return self._mark(function)

    def digest(self, value: Any) -> Any:
        """The peer's digest of a value."""
        assert self.peer
        return getattr(self.load(), self.peer.digest)(value)


def nbflow(module: Any, folder: Path) -> Mark:
    module.configure(store=folder)
    return module.task


def sealed(module: Any, folder: Path) -> Mark:
    from nbflow.store.seal import user_secret

    module.configure(store=module.Store(folder, user_secret(os.environ), warn=print, verify="sealed"))
    return module.task


def marimo(module: Any, folder: Path) -> Mark:
    return lambda function: module.persistent_cache(save_path=str(folder))(function)  # one for each function


def prefect(module: Any, folder: Path) -> Mark:
    policy = module.cache_policies.INPUTS + module.cache_policies.TASK_SOURCE
    return lambda function: module.task(persist_result=True, cache_policy=policy)(function)


def dbos(module: Any, folder: Path) -> Mark:
    module.DBOS(
        config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "log_level": "ERROR"}
    )
    return module.DBOS.step()


PEERS = {
    "nbflow": Peer("nbflow", "nbflow", "task", nbflow, "@task", "digest"),
    "nbflow-sealed": Peer("nbflow", "nbflow", "task", sealed, "@task on Store(verify='sealed')"),
    "joblib": Peer("joblib", "joblib", "Memory", lambda m, d: m.Memory(d, verbose=0).cache, "Memory", "hash"),
    "joblib mmap": Peer(
        "joblib",
        "joblib",
        "Memory",
        lambda m, d: m.Memory(d, mmap_mode="r", verbose=0).cache,
        "Memory(mmap_mode='r'): read-only",
    ),
    "diskcache": Peer(
        "diskcache",
        "diskcache",
        "Cache",
        lambda m, d: m.Cache(d, size_limit=1 << 40, cull_limit=0).memoize(),
        "Cache.memoize",
    ),
    "cachier": Peer(
        "cachier",
        "cachier",
        "cachier",
        lambda m, d: m.cachier(cache_dir=d, separate_files=True, pickle_reload=False),
        "separate_files=True, pickle_reload=False",
    ),
    "cash-lib": Peer(
        "cash-lib",
        "cash",
        "Cash",
        lambda m, d: m.Cash(backend=m.FileBackend(str(d))).cache,
        "FileBackend: on disk, as the others",
    ),
    "cash-lib RAM": Peer(
        "cash-lib", "cash", "Cash", lambda m, d: m.Cash(cache_dir=str(d)).cache, "default: hits come from memory"
    ),
    "marimo": Peer("marimo", "marimo", "persistent_cache", marimo, "persistent_cache"),
    "DBOS": Peer("dbos", "dbos", "DBOS", dbos, "a step of a workflow, SQLite"),
    "Prefect": Peer("prefect", "prefect", "task", prefect, "persist_result=True, INPUTS + TASK_SOURCE, its own server"),
}
