"""`@task`: a function whose results are kept, and whose failures are retried."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce, update_wrapper
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from nbflow import remote
from nbflow.declaring import declared, spelled_by
from nbflow.engine.loop import arun, run, value_of
from nbflow.errors import ConfigurationError, NotReadyError
from nbflow.explanation import Explanation, explained
from nbflow.futures.future import Future, FutureList
from nbflow.futures.inputs import ended, futures_in, resolve_futures_to_results
from nbflow.futures.mapping import items
from nbflow.logs import warn
from nbflow.options import TaskOptions
from nbflow.runs import TaskRun
from nbflow.states import State
from nbflow.step.commands import Err, Outcome
from nbflow.step.waits import exponential_backoff
from nbflow.store import storage_of
from nbflow.tasks.call import ATOMS, Bound
from nbflow.tasks.generators import Streams, astream, stream
from nbflow.tasks.identity import Identity, task_input_hash
from nbflow.tasks.steps import Begun, Steps

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]

P = ParamSpec("P")
R = TypeVar("R")
H = TypeVar("H", bound=Callable[..., Any])

_OURS = frozenset({"return_state", "wait_for"})


class Task(Generic[P, R]):
    """A function with its options. Made by `@task`; called as the function is.

    Attributes:
        fn: The bare function: no store, no retries, no events.
        options: How it is kept and retried.
        name: Its label in panels and listings.
        description: What it does, in words.
        isasync: Whether a call has to be awaited.
    """

    __nbflow_task__ = True

    def __init__(self, fn: Callable[P, R], options: TaskOptions) -> None:
        if not callable(fn) and not isinstance(fn, (staticmethod, classmethod)):  # type: ignore[unreachable]
            raise ConfigurationError(f"@task stands above a function, not above a {type(fn).__name__}")
        if options.result_storage is not None:  # the same folder wherever it is taken
            options = replace(options, result_storage=storage_of(options.result_storage))
        self._kind: type = type(fn) if isinstance(fn, (staticmethod, classmethod)) else object
        fn = fn.__func__ if isinstance(fn, (staticmethod, classmethod)) else fn
        update_wrapper(self, fn)
        self.fn, self.options = fn, options
        self.name = options.name or str(getattr(fn, "__name__", type(fn).__name__))
        self.description = options.description or inspect.getdoc(fn)
        self._self: tuple[Any, ...] = ()
        self._check_parameters()
        self._classless = sys.version_info >= (3, 13) and self._kind is object and _takes_class(fn)
        self.steps = Steps(self, fn, options, self.name)
        self.isasync = self.steps.isasync
        if self.steps.streams and options.isolate is not None:
            raise ConfigurationError(f"{self.name}() is a generator: another process cannot hand on item by item")

    def _check_parameters(self) -> None:
        try:
            names = set(inspect.signature(self.fn).parameters)
        except (TypeError, ValueError):
            return
        for name in names & _OURS:
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

    def _check_class(self, args: tuple[Any, ...]) -> None:
        """From Python 3.13 a `classmethod` above a task tells it of its class in plain calls alone."""
        if self._classless and not self._self and not (args and isinstance(args[0], type)):
            raise ConfigurationError(
                f"{self.name}() does not know its class: from Python 3.13, @task has to stand above @classmethod"
            )

    def __repr__(self) -> str:
        """`<Task fetch>`."""
        return f"<Task {self.name}>"

    def __nbflow_digest__(self) -> object:
        """As a value it is what its results depend on."""
        return self.fn, self.options.version, self._self

    def __get__(self, instance: Any, owner: type | None = None) -> "Task[..., R]":
        """A method: its object is the first argument, and so part of the key."""
        if self._self or self._kind is staticmethod:
            return self
        if self._kind is classmethod:
            instance = owner or type(instance)
        return self if instance is None else self._of((instance,))

    def _of(self, first: tuple[Any, ...]) -> "Task[..., R]":
        bound: Task[..., R] = Task.__new__(Task)
        bound.__dict__ |= self.__dict__ | {"_self": first}
        return bound

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By its import path if that leads here, else its function and options: cloudpickle takes any function."""
        module, path = getattr(self.fn, "__module__", ""), getattr(self.fn, "__qualname__", "")
        start: Any = None if module == "__main__" else sys.modules.get(module)
        home = reduce(_attribute, path.split("."), start)
        if home is self and module not in remote.by_value:
            return str(path)
        source = home if isinstance(home, Task) and home.fn is self.fn else self.fn
        return _again, (source, self.options, self._self, self._kind)

    def with_options(self, **changes: Any) -> "Task[P, R]":
        """The same function with some options changed; those not named stay.

        Raises:
            ConfigurationError: There is no such option, or it cannot have this value.
        """
        changed = Task(self.fn, declared(self.options.but, **changes))
        changed._self, changed._kind = self._self, self._kind
        return changed

    @property
    def identity(self) -> Identity:
        """What calls are keyed by now; another one when something that the function reaches was bound anew."""
        return self.steps.identity

    @property
    def version(self) -> str | None:
        """The option of this name, and so are the next ones."""
        return self.options.version

    @property
    def tags(self) -> frozenset[str]:
        """Its own tags, without those that hold around a call."""
        return cast("frozenset[str]", self.options.tags)

    @property
    def retries(self) -> Any:
        """Further attempts after a failure."""
        return self.options.retries or 0

    # Hooks, as decorators

    def on_running(self, hook: H) -> H:
        """Call a function `(task, run, state)` before each attempt; use it as a decorator, as those below."""
        return self._hooked("on_running", hook)

    def on_completion(self, hook: H) -> H:
        """Call a function `(task, run, state)` when there is a result."""
        return self._hooked("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """Call a function `(task, run, state)` when the last attempt has failed."""
        return self._hooked("on_failure", hook)

    def on_commit(self, hook: H) -> H:
        """Call a function of the transaction when the result is committed."""
        return self._hooked("on_commit", hook)

    def on_rollback(self, hook: H) -> H:
        """Call a function of the transaction when it is rolled back."""
        return self._hooked("on_rollback", hook)

    def _hooked(self, name: str, hook: H) -> H:
        self.options = declared(self.options.but, **{name: (*getattr(self.options, name), hook)})
        self.steps = Steps(self, self.fn, self.options, self.name)
        return hook

    # Calls

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any], step: int = 0, bound: Bound | None = None) -> Begun:
        """Begin a step: its outcome, or a plan and the hands to perform it; see `Steps.enter`."""
        return self.steps.enter(args, kwargs, step, bound)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run, or restore. An `async def` task returns an awaitable, a generator one a generator.

        Besides the function's own arguments there are two, as in `submit` and `map`: `wait_for`, what has to have
        succeeded before; `return_state=True` gives the `State` that it ends in, and no error of its own is raised.
        """
        steps = self.steps
        if not steps.plain or (kwargs and not _OURS.isdisjoint(kwargs)):
            return self._asked(args, kwargs, kwargs.pop("wait_for", None), kwargs.pop("return_state", False))  # type: ignore[no-any-return]
        if self._self or kwargs or not ATOMS.issuperset(map(type, args)):
            args, kwargs = resolve_futures_to_results((self._self + args, kwargs))
        outcome, plan, work = steps.enter(args, kwargs)
        if outcome is not None:
            return value_of(outcome)  # type: ignore[no-any-return]
        assert plan is not None and work is not None
        return value_of(run(plan, work.hands(), work.close))  # type: ignore[no-any-return]  # no local holds it: see `run`

    def _asked(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: Any) -> Any:
        """A call that does more than give a value."""
        args, steps = self._self + args, self.steps
        if steps.streams and not return_state:
            if self.isasync:
                return astream(partial(self._abegin, args, kwargs, wait_for))
            args, kwargs = _resolved(args, kwargs, wait_for)
            return stream(partial(steps.enter_stream, args, kwargs, steps.bind(args, kwargs)))
        if self.isasync:
            return self._await(args, kwargs, wait_for, return_state=return_state)
        run_ = TaskRun(0, self.name) if return_state else None
        try:
            args, kwargs = _resolved(args, kwargs, wait_for)
        except NotReadyError as error:
            return _given(Err(error), run_)
        outcome, plan, work = steps.enter_whole(args, kwargs, run=run_)
        if plan is None or work is None:
            return _given(outcome, run_)
        return _given(run(plan, work.hands(), work.close), run_)

    async def _await(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, *, return_state: bool) -> Any:
        run_ = TaskRun(0, self.name) if return_state else None
        if wait_for is not None or kwargs or not ATOMS.issuperset(map(type, args)):
            await ended(futures_in((args, kwargs, wait_for)))
            try:
                args, kwargs = _resolved(args, kwargs, wait_for)
            except NotReadyError as error:
                return _given(Err(error), run_)
        outcome, plan, work = self.steps.enter_whole(args, kwargs, run=run_)
        if plan is None or work is None:
            return _given(outcome, run_)
        return _given(await arun(plan, work.hands(*work.awaited()), work.awaited(), work.close), run_)

    async def _abegin(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Streams:
        await ended(futures_in((args, kwargs, wait_for)))
        return self.steps.enter_stream(*_resolved(args, kwargs, wait_for))

    @overload
    def submit(
        self, /, *args: Any, wait_for: Any = ..., return_state: Literal[False] = ..., **kwargs: Any
    ) -> Future[R]: ...
    @overload
    def submit(self, /, *args: Any, wait_for: Any = ..., return_state: bool, **kwargs: Any) -> State[R]: ...
    def submit(
        self, /, *args: Any, wait_for: Any = None, return_state: bool = False, **kwargs: Any
    ) -> Future[R] | State[R]:
        """Run on a worker; returns at once. Futures among the arguments are waited for, and passed as their values.

        What a generator yields comes as one list. `wait_for` and `return_state` are as in a call.
        """
        self._check_class(args)
        future: Future[R] = self.steps.submit(self._self + args, kwargs, wait_for)
        if not return_state:
            return future
        future.wait()
        return future.state

    @overload
    def map(
        self, /, *args: Any, wait_for: Any = ..., return_state: Literal[False] = ..., **kwargs: Any
    ) -> FutureList[R]: ...
    @overload
    def map(self, /, *args: Any, wait_for: Any = ..., return_state: bool, **kwargs: Any) -> list[State[R]]: ...
    def map(
        self, /, *args: Any, wait_for: Any = None, return_state: bool = False, **kwargs: Any
    ) -> FutureList[R] | list[State[R]]:
        """Submit one step for each item of the arguments, which go in step; `unmapped(x)` and scalars go to all.

        `wait_for` and `return_state` are as in a call.

        Raises:
            ValueError: The arguments are of different lengths, or none of them can be mapped over.
        """
        self._check_class(args)
        submit, first = self.steps.submit, self._self
        futures: FutureList[R] = FutureList(
            [submit(first + each, named, wait_for) for each, named in items(self.name, args, kwargs)]
        )
        if not return_state:
            return futures
        futures.wait()
        return [each.state for each in futures]

    # Questions

    def is_cached(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether a call with these arguments would be a hit now."""
        return self.explain(*args, **kwargs).hit

    def explain(self, /, *args: P.args, **kwargs: P.kwargs) -> "Explanation":
        """What a call with these arguments would do, and why; runs nothing."""
        slot = self.steps.place(self._self + args, kwargs, traits=True)
        if slot is None:
            return Explanation(self.name, hit=False, why="not cached", differences=())
        return explained(slot, self.steps.policy)

    def forget(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Drop what is kept for a call with these arguments; how many entries there were."""
        slot = self.steps.place(self._self + args, kwargs)
        return 0 if slot is None else slot.store.forget(slot.key)

    def clear(self) -> int:
        """Drop everything that is kept under this task's name; how many entries there were."""
        store = self.steps.store()
        return 0 if store is None else store.clear(self.name)


def _resolved(args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments without futures, once all that they and the call depend on has succeeded."""
    resolve_futures_to_results(wait_for)
    return resolve_futures_to_results((args, kwargs))  # type: ignore[no-any-return]


def _given(outcome: Outcome | None, run: TaskRun | None) -> Any:
    """What a call gives: the value or the error, or the state where that was asked for."""
    assert outcome is not None
    if run is not None:
        return run.settle(outcome)
    if isinstance(outcome, Err):
        try:
            raise outcome.error
        finally:
            del outcome  # the traceback holds this frame, which would hold the error
    return outcome.value


def _takes_class(fn: Any) -> bool:
    """Whether a function is a method of a class rather than of its instances, as far as names tell."""
    code = getattr(fn, "__code__", None)
    owner = getattr(fn, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>") and code is not None and code.co_varnames[:1] == ("cls",)


def _attribute(owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


def _again(source: Any, options: TaskOptions, of: tuple[Any, ...], kind: type = object) -> Task[..., Any]:
    """A task from a pickle: of a function, or as another task of the same function."""
    task: Task[..., Any] = Task(source.fn if isinstance(source, Task) else source, options)
    task._self, task._kind = of, kind  # noqa: SLF001 - it is one of us
    return task


@spelled_by(TaskOptions)
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: its results are kept on disk, its failures retried.

    Use it bare (`@task`) or with options (`@task(retries=3, cache_expiration="1d")`).

    >>> @task(retries=2)
    ... def letters(city):
    ...     return len(city)
    >>> letters("Oslo"), letters.is_cached("Oslo")
    (4, True)
    >>> letters.map(["Oslo", "Bergen"]).result()
    [4, 6]
    """
    if fn is not None and not options:
        return declared(Task, fn, TaskOptions())
    made = declared(TaskOptions().but, **options)
    if fn is not None:
        return declared(Task, fn, made)
    return lambda fn: declared(Task, fn, made)
