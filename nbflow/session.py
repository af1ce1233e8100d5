"""What all steps of this process share: the clock, the bus, the store, the settings.

There is one session; it starts nothing and opens nothing until a step needs it.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nbflow import eventlog
from nbflow.bus import Bus
from nbflow.clock import Clock
from nbflow.declaring import spell
from nbflow.durable.ledger import Durability, Ledger, durability_of, ledger_of
from nbflow.durable.recorder import Recorder
from nbflow.engine.limits import Limits, limits_of
from nbflow.engine.slot import NO_ENTRY
from nbflow.errors import ConfigurationError, StoreError
from nbflow.events import Event, Missed
from nbflow.explanation import cause
from nbflow.logs import warn
from nbflow.options import TaskOptions
from nbflow.store import Store, Verify, elsewhere, open_store, size_of, verify_of
from nbflow.task_runners import TaskRunner
from nbflow.world import exclude

__all__ = ["DEFAULTS", "READ", "Session", "Settings", "configure", "session"]

_PANELS = ("auto", "widget", "keep", "basic", "html", "text", "off")
_OFF = frozenset({"0", "off", "false", "no"})
_ON = frozenset({"1", "on", "true", "yes"})


def _switch_of(given: Any, what: str) -> bool:
    """Whether something is on: True or False, or a word for it, as in the environment.

    Raises:
        ConfigurationError: It is neither.
    """
    word = str(given).lower()
    if word not in _ON | _OFF:
        raise ConfigurationError(f"{what}={given!r}: give True or False, or on or off")
    return word in _ON


def _panel_of(given: Any, what: str) -> str:
    if given not in _PANELS:
        raise ConfigurationError(f"{what}={given!r}: give {', '.join(_PANELS[:-1])} or {_PANELS[-1]}")
    return str(given)


READ: Final[dict[str, Callable[[Any, str], Any]]] = {
    "panel": _panel_of,
    "verify": verify_of,
    "durability": durability_of,
    "max_size": size_of,
    "tag_limits": limits_of,
    **dict.fromkeys(("cache", "strict", "persist_result", "refresh_cache"), _switch_of),
}
"""Settings that are checked, and made of what was written, by a function of their own."""

DEFAULTS = ("retries", "persist_result", "refresh_cache")
"""Settings that are options of tasks that do not spell them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `configure` sets for this process; None leaves it to the environment and pyproject.toml.

    Attributes:
        store: Folder of the store, or a `Store`.
        cache: False neither looks results up nor keeps them, as `NBFLOW_CACHE=off` does.
        strict: True raises `UnkeyableError` where a step would otherwise run uncached, as `NBFLOW_STRICT=1` does.
        panel: `auto`, `widget`, `keep`, `basic`, `html`, `text` or `off`, as `NBFLOW_PANEL`.
        verify: `full` checks bulk data when it is loaded, `sealed` only what code could hide in; as `NBFLOW_VERIFY`.
        max_size: Bytes that a store may hold, also as text such as `5GB`; as `NBFLOW_MAX_SIZE`.
        durability: `process`: jobs, effects and history outlive the process, however it ends; `power`: the machine as
            well, at a sync for each write; as `NBFLOW_DURABILITY`.
        tag_limits: How many steps with a tag run at a time, `{"api": 2}`; as `NBFLOW_TAG_LIMITS` (`api=2,db=1`).
        task_runner: Where submitted steps run outside of flows; by default on threads.
        retries: Of tasks that do not say it themselves, as the next two.
        persist_result: False: they keep nothing unless they ask for it; True: they keep every result.
        refresh_cache: True: they run again, and replace what was kept.
    """

    store: "str | os.PathLike[str] | Store | None" = None
    cache: bool | None = None
    strict: bool | None = None
    panel: str | None = None
    verify: Verify | None = None
    max_size: int | None = None
    durability: Durability | None = None
    tag_limits: Mapping[str, int] | None = None
    task_runner: TaskRunner | None = None
    retries: int | None = None
    persist_result: bool | None = None
    refresh_cache: bool | None = None


class Session:
    """Clock, bus, store and settings of a process."""

    def __init__(self, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ = os.environ if environ is None else environ
        self.clock = clock or Clock()
        self.recent: deque[Event] = deque(maxlen=50_000)
        """The latest events, for a panel that is opened later."""
        self.recorder = Recorder(self._written_to)
        self.bus = Bus(self.recent.append, self.recorder, warn=warn)
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
        before, self._settings = self._settings, settings
        if settings.store != before.store:
            self._store = None
        if (settings.verify, settings.max_size) != (before.verify, before.max_size):
            for store in (*filter(None, [self._store]), *self._placed.values()):
                store.reset()
                store.adjust(verify=settings.verify, max_size=settings.max_size)
        self._durability: Durability | None = None
        self._limits: Limits | None = None
        self._panel: str | None = None
        spoken = ((name, getattr(settings, name)) for name in DEFAULTS)
        self.defaults: dict[str, Any] = {name: value for name, value in spoken if value is not None}
        self.caching = (self.said("cache")[0] if settings.cache is None else settings.cache) is not False
        self.strict = (self.said("strict")[0] if settings.strict is None else settings.strict) is True

    def said(self, name: str) -> tuple[Any, str]:
        """What the environment, or else the project, says of a setting, and where; None and `""` where nobody does."""
        return elsewhere(name, READ.get(name, lambda given, _: given), self._environ, warn)

    @property
    def panel(self) -> str:
        """How steps are shown."""
        if self._panel is None:
            self._panel = self.settings.panel or self.said("panel")[0] or "auto"
        return self._panel

    def _written_to(self) -> Ledger | None:
        """Where history goes: beside results, if there are any, and nowhere if nothing is to be kept."""
        store = self._store
        if store is None or not self.caching or not store.folder.is_dir():
            return None
        return ledger_of(store, self.durability)

    @property
    def durability(self) -> Durability:
        """What the ledger shall outlive: as configured, as the environment or the project says, else the process."""
        if self._durability is None:
            self._durability = self.settings.durability or self.said("durability")[0] or "process"
        return self._durability

    @property
    def store(self) -> Store:
        """The store of this session, found when first asked for and then fixed.

        Raises:
            StoreError: There is no folder that could be one.
        """
        if self._store is None:
            self._store = self._open(self.settings.store)
        return self._store

    @property
    def limits(self) -> Limits:
        """How many steps with a tag run at a time: as configured, or the environment or the project says."""
        if self._limits is None:
            given = self.settings.tag_limits
            self._limits = Limits((self.said("tag_limits")[0] or {}) if given is None else given)
        return self._limits

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
    """Change settings of this process; those not named stay, and None unsets one. Returns what then holds.

    >>> configure(strict=False).strict
    False

    Raises:
        ConfigurationError: There is no such setting, or it cannot have this value.
    """
    known = Settings.__dataclass_fields__
    for name in changes:
        if name not in known:
            raise ConfigurationError(f"there is no setting {name!r}: there are {', '.join(known)}")
    if changes.get("store") is not None and not isinstance(changes["store"], (str, os.PathLike, Store)):
        raise ConfigurationError(f"store={changes['store']!r}: give the path of a folder, or a Store")
    for name, read in READ.items():
        if changes.get(name) is not None:
            changes[name] = read(changes[name], name)
    TaskOptions(**{name: changes[name] for name in DEFAULTS if name in changes})
    if not isinstance(changes.get("task_runner"), TaskRunner | None):
        raise ConfigurationError(
            f"task_runner={changes['task_runner']!r}: give a runner, such as ThreadPoolTaskRunner(4)"
        )
    if isinstance(changes.get("store"), (str, os.PathLike)):
        changes["store"] = Path(changes["store"]).expanduser().absolute()
    session.settings = replace(session.settings, **changes)
    return session.settings


spell(configure, Settings)
