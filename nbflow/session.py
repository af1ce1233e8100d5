"""What all steps of this process share: the clock, the bus, the store, the settings.

There is one session; it starts nothing and opens nothing until a step needs it.
"""

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nbflow import eventlog
from nbflow.bus import Bus
from nbflow.clock import Clock
from nbflow.errors import ConfigurationError, StoreError
from nbflow.events import Event, Missed
from nbflow.explanation import cause
from nbflow.logs import warn
from nbflow.slot import NO_ENTRY
from nbflow.store import Store, Verify, open_store, size_of, verify_of
from nbflow.task_runners import TaskRunner
from nbflow.world import exclude

__all__ = ["Session", "Settings", "configure", "session"]

_OFF = frozenset({"0", "off", "false", "no"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `configure` sets for this process; None leaves it to the environment and pyproject.toml.

    Attributes:
        store: Folder of the store, or a `Store`.
        cache: False neither looks results up nor keeps them, as `NBFLOW_CACHE=off` does.
        strict: True raises `UnkeyableError` where a step would otherwise run uncached, as `NBFLOW_STRICT=1` does.
        panel: `auto`, `widget`, `html`, `text` or `off`, as `NBFLOW_PANEL`.
        verify: `full` checks bulk data when it is loaded, `sealed` only what code could hide in; as `NBFLOW_VERIFY`.
        max_size: Bytes that a store may hold, also as text such as `5GB`; as `NBFLOW_MAX_SIZE`.
        task_runner: Where submitted steps run outside of flows; by default on threads.
    """

    store: "str | os.PathLike[str] | Store | None" = None
    cache: bool | None = None
    strict: bool | None = None
    panel: str | None = None
    verify: Verify | None = None
    max_size: int | None = None
    task_runner: TaskRunner | None = None


class Session:
    """Clock, bus, store and settings of a process."""

    def __init__(self, clock: Clock | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self.clock = clock or Clock()
        self.recent: deque[Event] = deque(maxlen=50_000)
        """The latest events, for a panel that is opened later."""
        self.bus = Bus(self.recent.append, warn=warn)
        self._environ = environ
        self._store: Store | None = None
        self._placed: dict[str, Store] = {}
        """Stores of tasks that have one of their own, by the task's label."""
        self._settings = self.settings = Settings()
        if eventlog.VARIABLE in environ:  # a parent process wants to hear of the steps
            self.bus.join(eventlog.EventLog(environ[eventlog.VARIABLE], self.explain))

    @property
    def settings(self) -> Settings:
        """What was configured."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        if settings.store != self._settings.store:
            self._store = None
        self._settings = settings
        for store in (*filter(None, [self._store]), *self._placed.values()):
            store.adjust(verify=settings.verify, max_size=settings.max_size)
        caching = settings.cache
        self.caching = self._environ.get("NBFLOW_CACHE", "").lower() not in _OFF if caching is None else caching
        strict = settings.strict
        self.strict = self._environ.get("NBFLOW_STRICT", "0").lower() not in {*_OFF, ""} if strict is None else strict
        self.panel = settings.panel or self._environ.get("NBFLOW_PANEL", "auto")

    @property
    def store(self) -> Store:
        """The store of this session, found when first asked for and then fixed.

        Raises:
            StoreError: There is no folder that could be one.
        """
        if self._store is None:
            self._store = self._open(self.settings.store)
        return self._store

    def _open(self, place: "str | os.PathLike[str] | Store | None") -> Store:
        settings = self.settings
        if isinstance(place, Store):
            place.adjust(verify=settings.verify, max_size=settings.max_size)
            store = place
        else:
            store = open_store(place, verify=settings.verify, max_size=settings.max_size)
        exclude(store.folder)  # or our own files would look like effects of the steps that run
        return store

    def place(self, task: str, storage: Path | Store) -> Store | None:
        """The store that a task has of its own, or None after one warning."""
        try:
            store = self._placed[task] = self._open(storage)
        except StoreError as error:
            warn(f"results of {task} are not kept: {error}")
            return None
        return store

    def store_of(self, task: str) -> Store | None:
        """Where results of this label are kept; None where that cannot be had."""
        return self._placed.get(task) or self.store_or_none()

    def explain(self, task: str, missed: Missed) -> str:
        """Why a step of this label missed, compared with the entries that there were then; `""` where it is told."""
        store = self.store_of(task)
        if missed.why != NO_ENTRY or not missed.traits or store is None:
            return ""
        return cause(store, task, missed.why, missed.traits, missed.at)[0]

    def store_or_none(self) -> Store | None:
        """The store, or None after one warning: a step then runs uncached."""
        if self._store is not None:
            return self._store
        try:
            return self.store
        except StoreError as error:
            warn(f"results are not kept: {error}")
            return None


session = Session()


def configure(**changes: Any) -> Settings:
    """Change settings of this process: the fields of `Settings`. Returns what then holds.

    >>> configure(strict=False).strict
    False

    Raises:
        ConfigurationError: There is no such setting, or it cannot have this value.
    """
    known = Settings.__dataclass_fields__
    for name in changes:
        if name not in known:
            raise ConfigurationError(f"there is no setting {name!r}: there are {', '.join(known)}")
    if changes.get("panel") not in {None, "auto", "widget", "html", "text", "off"}:
        raise ConfigurationError(f"panel={changes['panel']!r}: give auto, widget, html, text or off")
    if changes.get("store") is not None and not isinstance(changes["store"], (str, os.PathLike, Store)):
        raise ConfigurationError(f"store={changes['store']!r}: give the path of a folder, or a Store")
    if changes.get("verify") is not None:
        verify_of(changes["verify"])
    if changes.get("max_size") is not None:
        changes["max_size"] = size_of(changes["max_size"], "max_size")
    if not isinstance(changes.get("task_runner"), TaskRunner | None):
        raise ConfigurationError(f"task_runner={changes['task_runner']!r}: give a runner, such as ThreadPoolTaskRunner(4)")
    if isinstance(changes.get("store"), (str, os.PathLike)):
        changes["store"] = Path(changes["store"]).expanduser().absolute()
    session.settings = replace(session.settings, **changes)
    return session.settings
