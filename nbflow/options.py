"""The options of a task, spelled once.

`@task`, `with_options`, the flags of `%%task`, `configure` and the documentation all derive from the
fields of `TaskOptions`. A field's metadata holds what the flag needs: `flag` its spelling, `parse` how
its text becomes a value (None: the flag takes no value and means `value`), `help` one line for people.
"""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import Any, Self, cast

from nbflow.cache_policies import CachePolicy, KeyFunction
from nbflow.durations import Duration, seconds
from nbflow.errors import ConfigurationError
from nbflow.spelling import near

__all__ = [
    "HOOKS",
    "Count",
    "Delay",
    "Errors",
    "Hook",
    "TaskOptions",
    "hooks_of",
    "is_tenacity",
    "option",
    "parse_delay",
    "parse_names",
]

Delay = Duration | Sequence[Duration] | Callable[..., Any]
"""A duration, one for each retry (the last one repeats), `exponential_backoff(...)`, or a tenacity wait."""

Count = int | Callable[..., Any]
"""A number of retries, or a stop object of tenacity."""

Hook = Callable[..., Any]
"""Called when something happened to a run; sync or async. What it raises is logged, and stops nothing."""

Errors = type[Exception] | str | tuple[type[Exception] | str, ...]
"""Exception classes, or their names (`"requests.Timeout"`, `"Timeout"`), so that nothing is imported for them."""


HOOKS = ("on_running", "on_completion", "on_failure", "on_commit", "on_rollback")
"""The options that are lists of functions."""

_SWITCHES = (
    "persist_result",
    "refresh_cache",
    "stale_on_error",
    "cache_result_in_memory",
    "log_prints",
    "hooks_on_hits",
    "retry_after_yield",
)

_MOST = 50
"""Delays of a list at most, as in Prefect."""


def parse_count(text: str) -> int:
    """A whole number, from a flag."""
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a whole number") from None


def parse_factor(text: str) -> float:
    """A plain number, from a flag."""
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a number") from None


def parse_delay(text: str) -> Delay:
    """`2`, `1,5,30`, `90s`, or `exp:1..60`: doubling from 1 s up to 60 s.

    >>> parse_delay("1,5,30"), parse_delay("2m")
    ([1.0, 5.0, 30.0], 120.0)
    """
    if not text.startswith("exp:"):
        delays = [seconds(part, "retry_delay_seconds") for part in text.split(",")]
        return delays if len(delays) > 1 else delays[0]
    first, dots, last = text[4:].partition("..")
    if not dots:
        raise ConfigurationError(f"{text!r} is not a delay: write exp:FIRST..LAST, such as exp:1..60")
    from tenacity import wait_exponential  # noqa: PLC0415 - 30 ms that only retrying cells pay

    low, high = seconds(first, "retry_delay_seconds"), seconds(last, "retry_delay_seconds")
    return wait_exponential(multiplier=low, max=high)


def parse_names(text: str) -> tuple[str, ...]:
    """Comma-separated names, from a flag."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def parse_path(text: str) -> tuple[str]:
    """One path, from a flag that may be given many."""
    return (text,)


def option(default: Any, flag: str, parse: Callable[[str], Any] | None, help: str, **more: Any) -> Any:
    """A field with the flag that sets it, as the head of this module says."""
    return field(default=default, metadata={"flag": flag, "parse": parse, "help": help, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """How a step is named, cached, retried and bounded. Checked when it is made.

    Attributes:
        name: What the step is called in panels and listings; by default the function's name. Not part of the key.
        description: What it does, in words; by default the function's docstring.
        tags: Words that its runs are found and limited by, besides those of `with tags(...)` around a call.
        version: Part of the key: another version runs again.
        task_run_name: What each run is called: a template of its parameters (`"{month}-{self.name}"`), or a function of
            nothing, or of `parameters`, that gives the text. Made once a run.
        retries: Further attempts after a failure, so `retries=3` is up to 4 attempts; or a stop object of tenacity.
        retry_delay_seconds: Before each retry: a duration, a list of them whose last one repeats,
            `exponential_backoff(...)`, or a wait object of tenacity.
        retry_jitter_factor: Spreads each delay d over up to d * (1 + factor) with mean d, after any cap.
        retry_condition_fn: Called as `(task, run, state)` after an attempt that failed and could be retried: whether it
            is. `state.result()` raises the attempt's error. May be `async`, or any callable.
        retry_on: Only these errors are retried: classes, or names of classes; by default every `Exception`. Or a
            function of the error, which says whether, or after how many seconds; or a retry object of tenacity.
        give_up_on: These errors are never retried, whatever `retry_on` says.
        timeout_seconds: For one attempt.
        deadline_seconds: For all attempts and the waits between them.
        isolate: `"process"` runs each attempt in a warm process of its own, which is killed with all its children when
            `timeout_seconds` are over, native code too. Arguments and result travel, so neither is shared.
        retry_if_result: Called with a result: whether it is none, and to be tried again. It is never kept; if the last
            attempt gives no other, `RetryExhausted` is raised, whose `value` it is.
        persist_result: True keeps every result, False none; None keeps what pure work returned (the README tells).
        cache_expiration: A result older than this is computed again; the reader's value counts. Implies keeping.
        cache_policy: Which parts of a call make its key: `INPUTS`, `TASK_SOURCE`, `DEFAULT` (both), ...; `NO_CACHE`
            keeps nothing. Implies keeping.
        cache_key_fn: Called with a context and the parameters by name, gives the key as text, or None: do not keep
            this call. It stands for itself alone: neither code nor inputs count. Implies keeping.
        refresh_cache: True runs again and replaces what was kept.
        stale_on_error: When all attempts have failed, the result that `cache_expiration` or `refresh_cache` passed over
            is returned after all, marked as stale and with a warning; without one the error is raised. Interrupts and
            exits are never held back.
        ignore: Parameters that are left out of the key.
        files: Files that count by their content, whether or not the run is seen to read them; of a folder all below
            it, of a pattern such as `data/*.csv` all that match. One that is missing counts as missing.
        result_serializer: How the result becomes bytes: `pickle` (the default), `joblib` (compressed), `json`,
            `compressed/json`, or an object with `dumps(value) -> bytes` and `loads(bytes)`. Implies keeping.
        result_storage: Where results of this task are kept: a folder, or a `Store`. Implies keeping.
        result_storage_key: A template that makes the whole key of a call, such as `"rows-{parameters[month]}"`: neither
            code nor inputs count besides. `{task_run.name}` and `{flow_run.name}` are known too. Implies keeping.
        cache_result_in_memory: Prefect's; a result is never kept as an object that the caller could change, so both
            values do the same.
        log_prints: Lines that the step prints become log lines of the step.
        on_running: Called before each attempt with the task, its run and the run's state, as the next two are.
        on_completion: Called when there is a result; not for one that was kept, unless `hooks_on_hits`.
        on_failure: Called once, when the last attempt has failed.
        on_commit: Called with the transaction in which the result was kept, when it is committed.
        on_rollback: Called with the transaction when it is rolled back after the task has succeeded in it.
        hooks_on_hits: `on_completion` hooks are called for kept results too.
        retry_after_yield: A generator that fails after its first item is started again, and yields from its first item
            on; by default it is retried only as long as it has yielded nothing.

    Raises:
        ConfigurationError: An option cannot be meant as it was written.
    """

    name: str | None = None
    description: str | None = None
    tags: Iterable[str] | None = ()
    version: str | None = None
    task_run_name: str | Callable[..., str] | None = None
    retries: Count | None = option(None, "--retries", parse_count, "further attempts after a failure")
    retry_delay_seconds: Delay = option(
        0.0, "--retry-delay", parse_delay, "wait before a retry: 2, 1,5,30 or exp:1..60", metavar="SPEC"
    )
    retry_jitter_factor: float | None = option(
        None, "--jitter", parse_factor, "spread each delay d over up to d * (1 + F)", metavar="F"
    )
    retry_condition_fn: Callable[..., Any] | None = None
    retry_on: Errors | Callable[..., Any] | None = option(
        None, "--retry-on", parse_names, "retry only these errors", metavar="NAMES"
    )
    give_up_on: Errors | None = option(None, "--give-up-on", parse_names, "never retry these errors", metavar="NAMES")
    retry_if_result: Callable[..., Any] | None = None
    timeout_seconds: Duration | None = option(None, "--timeout", seconds, "for one attempt", metavar="DUR")
    deadline_seconds: Duration | None = option(None, "--deadline", seconds, "for all attempts and waits", metavar="DUR")
    isolate: str | None = None
    persist_result: bool | None = option(None, "--no-cache", None, "neither look a result up nor keep it", value=False)
    cache_expiration: Duration | None = option(
        None, "--expires", seconds, "run again when the result is older", metavar="DUR"
    )
    cache_policy: CachePolicy | None = None
    cache_key_fn: KeyFunction | None = None
    refresh_cache: bool | None = option(None, "--refresh", None, "run again and replace the result", value=True)
    stale_on_error: bool = option(
        default=False,
        flag="--stale-on-error",
        parse=None,
        help="if it fails, take a result that has expired, or that --refresh passed over",
        value=True,
    )
    ignore: Iterable[str] = ()
    files: Iterable[str | os.PathLike[str]] = option(
        (), "--file", parse_path, "also count these files, seen read or not", metavar="P...", many=True
    )
    result_serializer: Any = None
    result_storage: Any = None
    result_storage_key: str | None = None
    cache_result_in_memory: bool | None = None
    log_prints: bool | None = None
    on_running: Iterable[Hook] | None = None
    on_completion: Iterable[Hook] | None = None
    on_failure: Iterable[Hook] | None = None
    on_commit: Iterable[Hook] | None = None
    on_rollback: Iterable[Hook] | None = None
    hooks_on_hits: bool = False
    retry_after_yield: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        self._check_numbers()
        self._check_switches()
        self._check_delay()
        self._check_conditions()
        self._check_key()
        self._check_words()
        for name in HOOKS:
            object.__setattr__(self, name, hooks_of(name, getattr(self, name)))

    def _check_numbers(self) -> None:
        count, factor = cast("Any", self.retries), cast("Any", self.retry_jitter_factor)
        if count is not None and not is_tenacity(count) and (type(count) is not int or count < 0):
            raise ConfigurationError(f"retries={count!r}: give a whole number, 0 or more")
        number = type(factor) is not bool and isinstance(factor, Real) and 0 <= cast("float", factor) < math.inf
        if factor is not None and not number:
            raise ConfigurationError(f"retry_jitter_factor={factor!r}: give a number, 0 or more")
        for name in ("timeout_seconds", "deadline_seconds", "cache_expiration"):
            value = getattr(self, name)
            if value is not None and seconds(value, name) == 0 and name != "cache_expiration":
                raise ConfigurationError(f"{name}={value!r}: give more than nothing, or None for no limit")
        if self.isolate not in {None, "process"}:
            raise ConfigurationError(f'isolate={self.isolate!r}: give "process", or None')

    def _check_switches(self) -> None:
        for name in _SWITCHES:
            if isinstance(value := getattr(self, name), str):
                raise ConfigurationError(f"{name}={value!r}: give True or False")

    def _check_conditions(self) -> None:
        if isinstance(self.retry_on, type) or not callable(self.retry_on):
            _check_errors("retry_on", self.retry_on)
        _check_errors("give_up_on", self.give_up_on)
        for name in ("retry_condition_fn", "retry_if_result"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise _NoFunctionError(f"{name}={value!r}: give a function")

    def _check_key(self) -> None:
        if self.cache_policy is not None and not isinstance(self.cache_policy, CachePolicy):
            raise ConfigurationError(f"cache_policy={self.cache_policy!r}: give a policy such as INPUTS + TASK_SOURCE")
        if self.cache_key_fn is not None and not callable(self.cache_key_fn):
            raise ConfigurationError(f"cache_key_fn={self.cache_key_fn!r}: give a function of a context and parameters")
        if isinstance(self.ignore, str):
            raise ConfigurationError(f"ignore={self.ignore!r}: give a list of parameter names")
        object.__setattr__(self, "ignore", frozenset(self.ignore))
        if isinstance(self.files, str | os.PathLike) or not all(isinstance(e, str | os.PathLike) for e in self.files):
            raise ConfigurationError(f"files={self.files!r}: give a list of paths")
        object.__setattr__(self, "files", tuple(map(os.fspath, self.files)))

    def _check_words(self) -> None:
        given: Any = () if self.tags is None else self.tags
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigurationError(f"tags={given!r}: give a list of words")
        words = frozenset(given)
        if not all(isinstance(each, str) for each in words):
            raise ConfigurationError(f"tags={given!r}: give a list of words")
        object.__setattr__(self, "tags", words)
        for name in ("name", "description", "result_storage_key"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name}={value!r}: give text")
        naming: Any = self.task_run_name
        if naming is not None and not isinstance(naming, str) and not callable(naming):
            raise ConfigurationError(f"task_run_name={naming!r}: give a template, or a function that gives text")

    def _check_delay(self) -> None:
        delay: Any = self.retry_delay_seconds
        if callable(delay):
            return
        if isinstance(delay, str) or not isinstance(delay, Sequence):
            delay = [delay]
        if len(delay) > _MOST:
            raise ConfigurationError(
                f"retry_delay_seconds has {len(delay)} delays: give {_MOST} at most, the last repeats"
            )
        for each in delay:
            seconds(each, "retry_delay_seconds")

    def but(self, **changes: Any) -> Self:
        """The same options with some of them changed.

        Raises:
            ConfigurationError: There is no such option; the nearest one is named.
        """
        for name in changes:
            check_name(name)
        return replace(self, **changes)


def is_tenacity(value: object) -> bool:
    """Whether something is a wait, a stop or a condition of tenacity, or of a class made from one."""
    return any(base.__module__.startswith("tenacity") for base in type(value).__mro__)


def check_name(name: str) -> None:
    """Refuse an option that there is not, and name the nearest one."""
    known = [each.name for each in fields(TaskOptions)]
    if name not in known:
        raise ConfigurationError(f"there is no option {name!r}{near(name, known)}")


class _NoFunctionError(ConfigurationError, TypeError):
    """What was given is no function, or no list of them; a `TypeError` as well, as it is in Prefect."""


def hooks_of(name: str, hooks: Any) -> tuple[Hook, ...]:
    """Functions as an option of a task or a flow gives them.

    Raises:
        ConfigurationError: They are no list, or one of them cannot be called.
    """
    if hooks is None:
        return ()
    if isinstance(hooks, str) or callable(hooks) or not isinstance(hooks, Iterable):
        raise _NoFunctionError(f"{name}={hooks!r}: give a list of functions")
    made = tuple(hooks)
    for each in made:
        if not callable(each):
            raise _NoFunctionError(f"{name} has {each!r}: give a list of functions")
    return made


def _check_errors(name: str, errors: Errors | None) -> None:
    if errors is None:
        return
    for each in errors if isinstance(errors, tuple) else (errors,):
        if not isinstance(each, str) and not (isinstance(each, type) and issubclass(each, Exception)):
            raise ConfigurationError(f"{name}={each!r}: give subclasses of Exception, or their names")
