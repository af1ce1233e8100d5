"""`@task`: a function whose results are kept, and whose failures are retried.

`Task.enter` is the only way into a step, for a call, a submit, a map, a coroutine: straight code up to the
verdict on the first look, then either the value or a plan to perform. So a hit runs through no generator,
and nothing can drift: the plan's own look, behind the lock, asks the same `judge`.
"""

import inspect
import sys
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from functools import partial, reduce, update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from nbflow.call import ATOMS, Bound, TaskSlot, brief
from nbflow.engine import arun, run, value_of
from nbflow.errors import ConfigurationError, UnkeyableError
from nbflow.events import Began, Failed, Hit, Missed, NotReady, Queued
from nbflow.explanation import Explanation, explained
from nbflow.futures import Future, FutureList, futures_in, resolve_futures_to_results
from nbflow.identity import Identity, task_input_hash
from nbflow.jobs import begun, keep, launch, settle, when_done
from nbflow.keys.handles import reaches
from nbflow.logs import current_step, warn
from nbflow.mapping import items
from nbflow.options import TaskOptions
from nbflow.session import session
from nbflow.step.commands import Err, Ok, Outcome
from nbflow.step.plan import Plan, plan, reason
from nbflow.step.policy import policy_of
from nbflow.store import Store, serializer_of, storage_of
from nbflow.work import Work, next_step

__all__ = ["Task", "task", "task_input_hash"]

P = ParamSpec("P")
R = TypeVar("R")
Spelled = ParamSpec("Spelled")


class Task(Generic[P, R]):
    """A function with its options. Made by `@task`; called as the function is.

    Attributes:
        fn: The bare function: no store, no retries, no events.
        options: How it is kept and retried.
        name: Its label in panels and listings.
    """

    __nbflow_task__ = True

    def __init__(self, fn: Callable[P, R], options: TaskOptions) -> None:
        if not callable(fn):
            raise ConfigurationError(f"@task stands above a function, not above a {type(fn).__name__}")
        if isinstance(fn, (staticmethod, classmethod)):
            fn = fn.__func__
        if options.result_storage is not None:  # the same folder wherever it is taken
            options = replace(options, result_storage=storage_of(options.result_storage))
        update_wrapper(self, fn)
        self.fn, self.options, self.policy = fn, options, policy_of(options)
        self.name = options.name or str(getattr(fn, "__name__", type(fn).__name__))
        self.isasync = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004 - its kind is asked for
        self._serializer = None if options.result_serializer is None else serializer_of(options.result_serializer)
        self._storage: Path | Store | None = options.result_storage
        self._placed: Store | None = None
        self._self: tuple[Any, ...] = ()
        self._identity: Identity | None = None
        self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            names = set(inspect.signature(self.fn).parameters)
        except (TypeError, ValueError):
            return
        for name in names & {"return_state", "wait_for"}:
            raise ConfigurationError(
                f"{self.name}() has a parameter {name!r}, which is a name of nbflow's own: rename it"
            )
        unknown = sorted(cast("frozenset[str]", self.options.ignore) - names)
        if unknown:
            raise ConfigurationError(f"ignore names {unknown[0]!r}, which is no parameter of {self.name}()")
        if self.options.cache_key_fn is not None and self.options.cache_policy is not None:
            warn(
                f"{self.name}(): cache_key_fn makes the key, cache_policy is not used; "
                "give one of them, or the function as a part of the policy: DEFAULT.calling(function)"
            )

    def __repr__(self) -> str:
        """`<Task fetch>`."""
        return f"<Task {self.name}>"

    def __nbflow_digest__(self) -> object:
        """As a value it is what its results depend on."""
        return self.fn, self.options.version, self._self

    def __get__(self, instance: Any, owner: type | None = None) -> "Task[..., R]":
        """A method: its object is the first argument, and so part of the key."""
        if instance is None:
            return self
        bound: Task[..., R] = Task.__new__(Task)
        bound.__dict__ |= self.__dict__ | {"_self": (instance,)}
        return bound

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By its import path if that leads here, else its function and options: cloudpickle takes any function."""
        module, path = getattr(self.fn, "__module__", ""), getattr(self.fn, "__qualname__", "")
        start: Any = None if module == "__main__" else sys.modules.get(module)
        home = reduce(_attribute, path.split("."), start)
        if home is self:
            return str(path)
        source = home if isinstance(home, Task) and home.fn is self.fn else self.fn
        return _again, (source, self.options, self._self)

    def with_options(self, **changes: Any) -> "Task[P, R]":
        """The same function with some options changed; those not named stay.

        Raises:
            ConfigurationError: There is no such option, or it cannot have this value.
        """
        changed = Task(self.fn, self.options.but(**changes))
        changed._self = self._self
        return changed

    # Into a step

    @property
    def identity(self) -> Identity:
        """What calls are keyed by now; another one when something that the function reaches was bound anew."""
        identity = self._identity
        if identity is None or not identity.holds():
            identity = self._identity = Identity(self, self.fn, self.options)
        return identity

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        identity = self.identity
        values = identity.bind(args, kwargs)
        return identity, values, brief(identity.inputs(values), identity.hidden)

    def enter(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], step: int = 0, bound: Bound | None = None
    ) -> tuple[Outcome | None, Plan | None, Work | None]:
        """Begin a step: its outcome if there is a fresh entry, else a plan and the hands to perform it.

        Args:
            args: Given by position.
            kwargs: Given by name.
            step: The number of a step that was queued; 0 is a new one.
            bound: What they were bound to when it was queued.
        """
        time, tell, policy = session.clock.time, session.bus.tell, self.policy
        known, step = bool(step), step or next_step()
        try:
            if bound is None or not bound[0].holds():
                bound = self._bind(args, kwargs)
            identity, values, arguments = bound
            tell(Began(step, time(), self.name, arguments, current_step.get()))
            known = True
            slot = self._slot(identity, values)
        except Exception as error:
            if known:  # a step that was told of ends for whoever shows it
                tell(Failed(step, time(), reason(error), ""))
            raise
        if slot is not None:
            verdict, value = slot.first_look(step, policy)
            if isinstance(verdict, Hit):
                tell(verdict)
                return Ok(value), None, None
            handles: list[str] = []
            slot.traits = identity.traits(values, handles)
            tell(Missed(step, verdict.at, verdict.why, slot.traits, slot.key))
        body = partial(self.fn, *args, **kwargs)
        work = Work(step, body, slot, session.clock, session.bus, log_prints=self.options.log_prints)
        work.again = partial(self._submit, args, kwargs)
        work.identity, work.keep = identity, policy.keep
        if slot is not None:
            named = [value for _, value in identity.globals()]
            work.mentions = (*identity.constants, *named, *identity.inputs(values))
            work.seeds = identity.seeds
            work.files = self.options.files  # type: ignore[assignment]  # a tuple by now
            work.touching = {kind for handle in (*identity.handles, *handles) if (kind := reaches(handle))}
        return None, plan(step, policy, keyed=slot is not None), work

    def _slot(self, identity: Identity, values: tuple[Any, ...]) -> "TaskSlot | None":
        """The step's place in the store; None where it runs uncached."""
        if self.policy.keep == "never" or not session.caching:
            return None
        store = session.store_or_none() if self._storage is None else self._store()
        if store is None:
            return None
        try:
            key = identity.key(values)
        except UnkeyableError as error:
            if session.strict:
                raise
            warn(f"{self.name}() runs uncached: {error}")
            return None
        if key is None:
            return None
        slot = TaskSlot(store, key, self.name, identity, values)
        if self._serializer is not None:
            slot.serializer = self._serializer
        return slot

    def _store(self) -> Store | None:
        """The store of its own, or the session's; None where there is none that works."""
        if self._storage is None:
            return session.store_or_none()
        if self._placed is None:
            self._placed = session.place(self.name, self._storage)
        return self._placed

    # Calls

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run, or restore. An `async def` task returns an awaitable."""
        if self._self or kwargs or not ATOMS.issuperset(map(type, args)):
            args, kwargs = resolve_futures_to_results((self._self + args, kwargs))
        if self.isasync:
            return self._await(args, kwargs)  # type: ignore[return-value]
        outcome, steps, work = self.enter(args, kwargs)
        if outcome is not None:
            return value_of(outcome)  # type: ignore[no-any-return]
        assert steps is not None and work is not None
        try:
            return value_of(run(steps, work.hands()))  # type: ignore[no-any-return]  # no local holds it: see `run`
        finally:
            work.close()

    async def _await(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outcome, steps, work = self.enter(args, kwargs)
        if outcome is not None:
            return value_of(outcome)
        assert steps is not None and work is not None
        try:
            return value_of(await arun(steps, work.hands(*work.awaited()), work.awaited()))
        finally:
            work.close()

    def submit(self, *args: Any, **kwargs: Any) -> Future[R]:
        """Run on a worker; returns at once. Futures among the arguments are waited for, and passed as their values."""
        return self._submit(self._self + args, kwargs)

    def _submit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[R]:
        step = next_step()
        try:
            bound = self._bind(args, kwargs)
            arguments = bound[2]
        except TypeError:  # they do not fit the function, as the step will say
            bound, arguments = None, brief((*args, *kwargs.values()))
        future: Future[R] = Future(self.name, arguments)
        future.step = step
        session.bus.tell(Queued(step, session.clock.time(), self.name, arguments, current_step.get()))
        upstream = [] if not kwargs and ATOMS.issuperset(map(type, args)) else futures_in((args, kwargs))
        if upstream:
            keep(future)
            when_done(upstream, partial(copy_context().run, self._start_after, step, future, args, kwargs))
        else:
            self._start(step, future, args, kwargs, bound)
        return future

    def _start(
        self,
        step: int,
        future: Future[R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        bound: Bound | None = None,
    ) -> None:
        launch(step, future, partial(self.enter, args, kwargs, step, bound), awaits=self.isasync)

    def _start_after(self, step: int, future: Future[R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """All that it depends on has ended: start, or be not ready."""
        try:
            args, kwargs = resolve_futures_to_results((args, kwargs))
        except Exception as error:  # noqa: BLE001 - an upstream failure is this step's outcome
            if begun(step, future):
                session.bus.tell(NotReady(step, session.clock.time(), reason(error)))
                settle(future, Err(error))
        else:
            self._start(step, future, args, kwargs)

    def map(self, *args: Any, **kwargs: Any) -> FutureList[R]:
        """Submit one step for each item of the arguments, which go in step; `unmapped(x)` and scalars go to all.

        Raises:
            ValueError: The arguments are of different lengths, or none of them can be mapped over.
        """
        return FutureList(
            [self.submit(*each_args, **each_kwargs) for each_args, each_kwargs in items(self.name, args, kwargs)]
        )

    # Questions

    def is_cached(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether a call with these arguments would be a hit now."""
        return self.explain(*args, **kwargs).hit

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> "Explanation":
        """What a call with these arguments would do, and why; runs nothing."""
        identity = self.identity
        values = identity.bind(self._self + args, kwargs)
        slot = self._slot(identity, values)
        if slot is None:
            return Explanation(self.name, hit=False, why="not cached", differences=())
        slot.traits = identity.traits(values)
        return explained(slot, self.policy)

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Drop what is kept for a call with these arguments; how many entries there were."""
        identity = self.identity
        slot = self._slot(identity, identity.bind(self._self + args, kwargs))
        return 0 if slot is None else slot.store.forget(slot.key)

    def clear(self) -> int:
        """Drop everything that is kept under this task's name; how many entries there were."""
        store = self._store()
        return 0 if store is None else store.clear(self.name)


def _attribute(owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


def _again(source: Any, options: TaskOptions, of: tuple[Any, ...]) -> Task[..., Any]:
    """A task from a pickle: of a function, or as another task of the same function."""
    task: Task[..., Any] = Task(source.fn if isinstance(source, Task) else source, options)
    task._self = of  # noqa: SLF001 - it is one of us
    return task


class _Decorator(Protocol[Spelled]):
    """`@task` and `@task(...)`, whose keywords are the fields of `TaskOptions`."""

    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...  # type: ignore[overload-overlap]  # no option is positional
    @overload
    def __call__(self, *args: Spelled.args, **options: Spelled.kwargs) -> "_Wraps": ...


class _Wraps(Protocol):
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...


def _spelled_by(_: Callable[Spelled, TaskOptions]) -> Callable[[Callable[..., Any]], _Decorator[Spelled]]:
    """Give a decorator the keywords of the options, for type checkers and for `help`."""

    def wrap(decorator: Callable[..., Any]) -> _Decorator[Spelled]:
        fn = inspect.Parameter("fn", inspect.Parameter.POSITIONAL_ONLY, default=None)
        keywords = list(inspect.signature(TaskOptions).parameters.values())
        decorator.__signature__ = inspect.Signature([fn, *keywords])  # type: ignore[attr-defined]
        decorator.__doc__ = f"{decorator.__doc__}\n\n{inspect.getdoc(TaskOptions)}"
        return cast("_Decorator[Spelled]", decorator)

    return wrap


@_spelled_by(TaskOptions)
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: its results are kept on disk, its failures retried.

    Use it bare (`@task`) or with options (`@task(retries=3, cache_expiration="1d")`).
    """
    if fn is not None:
        return _declared(Task, fn, TaskOptions())
    made = _declared(TaskOptions().but, **options)
    return lambda fn: _declared(Task, fn, made)


def _declared(make: Callable[..., R], *args: Any, **options: Any) -> R:
    """Make a part of a declaration; where it cannot be meant, the user's own line is all there is to show."""
    try:
        return make(*args, **options)
    except ConfigurationError as error:
        raise error.with_traceback(None) from None
