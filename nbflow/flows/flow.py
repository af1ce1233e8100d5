"""`@flow`: a function that runs tasks, waits for what it submitted, and ends in a state.

A flow is a step as a task is, with the same plan and the same hands: it is retried, bounded and shown alike, as the
parent of its tasks. It is not kept itself. Its tasks are, so one that failed, or whose kernel died, goes on where it
stopped when it is called again.

Where Prefect gives the states of returned futures, this gives their results: a flow that returns a `map` gives a list.
And a step that was submitted and failed fails its flow, unless somebody asked for its result, its error or its state.
"""

import inspect
import sys
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from nbflow.declaring import FN, declared, spell
from nbflow.engine.hooks import Hook
from nbflow.engine.loop import value_of
from nbflow.errors import ConfigurationError
from nbflow.flows.options import FlowOptions
from nbflow.flows.run import Flowing
from nbflow.futures.inputs import resolve_futures_to_results
from nbflow.keys.binder import Binder, binder
from nbflow.states import State

__all__ = ["Flow", "flow"]

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A function that runs tasks, with its options. Made by `@flow`; called as the function is.

    Attributes:
        fn: The bare function: no retries, no events; its tasks are tasks all the same.
        options: How it is named, retried and bounded.
        name: Its label in panels and listings.
    """

    def __init__(self, fn: Callable[P, R], options: FlowOptions | None = None) -> None:
        self._kind: type = type(fn) if isinstance(fn, (staticmethod, classmethod)) else object
        fn = fn.__func__ if isinstance(fn, (staticmethod, classmethod)) else fn
        if not callable(fn):
            raise ConfigurationError(f"@flow stands above a function, not above a {type(fn).__name__}")
        update_wrapper(self, fn)
        self.fn, self.options = fn, options or FlowOptions()
        label = str(getattr(fn, "__name__", type(fn).__name__))
        self.name = self.options.name or label.replace("_", "-")
        self.description = self.options.description or inspect.getdoc(fn)
        self.version = self.options.version
        self.isasync = any(_awaits(each) for each in (fn, getattr(fn, "__call__", None)))  # noqa: B004 - its kind is asked for
        self._self: tuple[Any, ...] = ()
        self._bind: Binder = binder(fn)
        for name in {"return_state", "wait_for"} & set(self._bind.names):
            raise ConfigurationError(
                f"{self.name}() has a parameter {name!r}, which is a name of nbflow's own: rename it"
            )

    def __repr__(self) -> str:
        """`<Flow etl>`."""
        return f"<Flow {self.name}>"

    def __nbflow_digest__(self) -> object:
        """As a value it is what it does."""
        return self.fn, self._self

    def __get__(self, instance: Any, owner: type | None = None) -> "Flow[..., R]":
        """A method: its object is the first argument."""
        if self._kind is classmethod:
            instance = owner or type(instance)
        if instance is None or self._self or self._kind is staticmethod:
            return self
        bound: Flow[..., R] = Flow.__new__(Flow)
        bound.__dict__ |= self.__dict__ | {"_self": (instance,)}
        return bound

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By its import path if that leads here, else its function and options: cloudpickle takes any function."""
        module, path = getattr(self.fn, "__module__", ""), getattr(self.fn, "__qualname__", "")
        found: Any = None if module == "__main__" else sys.modules.get(module)
        for name in path.split("."):
            found = getattr(found, name, None)
        return path if found is self else (_again, (self.fn, self.options, self._self, self._kind))

    def with_options(self, **changes: Any) -> "Flow[P, R]":
        """The same function with some options changed; those not named stay.

        Raises:
            ConfigurationError: There is no such option, or it cannot have this value.
        """
        changed = Flow(self.fn, self.options.but(**changes))
        changed._self, changed._kind = self._self, self._kind
        return changed

    # Calls

    def __call__(self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any) -> Any:
        """Run it. An `async def` flow returns an awaitable.

        Args:
            args: The function's own, as `kwargs`. Futures among them are waited for, and passed as their values.
            return_state: Give the final state, and do not raise what the flow raised.
            wait_for: Futures that must have succeeded before it begins.
            kwargs: The function's own.

        Raises:
            NotReadyError: A future that it was given, or waits for, failed.
        """
        args = self._self + args
        if self.isasync:
            return self._await(args, kwargs, wait_for, return_state=return_state)
        run = self._run(args, kwargs, wait_for)
        outcome = run.drive()
        found = run.run.state if return_state else value_of(outcome)
        return found.result() if type(found) is State and not return_state else found

    async def _await(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, *, return_state: bool) -> Any:
        run = self._run(args, kwargs, wait_for)
        outcome = await run.adrive()
        found = run.run.state if return_state else value_of(outcome)
        return found.result() if type(found) is State and not return_state else found

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Flowing:
        _, args, kwargs = resolve_futures_to_results((wait_for, args, kwargs))
        parameters = dict(zip(self._bind.names, self._bind(*args, **kwargs), strict=True))
        return Flowing(self, self.options, partial(self.fn, *args, **kwargs), parameters)

    # Hooks

    def _hook(self, option: str, hook: Hook) -> Hook:
        self.options = self.options.but(**{option: (*getattr(self.options, option), hook)})
        return hook

    def on_completion(self, hook: Hook) -> Hook:
        """Decorates a function of `(flow, flow_run, state)` that is called when a run has completed."""
        return self._hook("on_completion", hook)

    def on_failure(self, hook: Hook) -> Hook:
        """The same for runs that failed, after all retries."""
        return self._hook("on_failure", hook)

    def on_cancellation(self, hook: Hook) -> Hook:
        """The same for runs that were cancelled."""
        return self._hook("on_cancellation", hook)

    def on_crashed(self, hook: Hook) -> Hook:
        """The same for runs that were ended by something that is no error of theirs."""
        return self._hook("on_crashed", hook)

    def on_running(self, hook: Hook) -> Hook:
        """The same for the start of each attempt."""
        return self._hook("on_running", hook)


def _again(fn: Callable[..., Any], options: FlowOptions, of: tuple[Any, ...], kind: type) -> Flow[..., Any]:
    made: Flow[..., Any] = Flow(fn, options)
    made._self, made._kind = of, kind  # noqa: SLF001 - it is one of us
    return made


def _awaits(fn: Any) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(fn: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a flow of a function. Use it bare (`@flow`) or with options (`@flow(retries=1, log_prints=True)`).

    >>> from nbflow import task
    >>> letters = task(len)
    >>> @flow
    ... def report(cities):
    ...     return sum(letters.map(cities).result())
    >>> report(["Oslo", "Bergen"])
    10
    """
    made = declared(FlowOptions().but, **options)
    return declared(Flow, fn, made) if fn is not None else lambda fn: declared(Flow, fn, made)


spell(flow, FlowOptions, FN)
