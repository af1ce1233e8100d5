"""What the calls of one function are keyed by: its code with all that it reaches, and its arguments.

An identity never changes. When something that the function reaches was bound anew, its task makes another.
"""

import os
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, cast

from nbflow.cache_policies import DEFAULT, CachePolicy
from nbflow.context import current_flow_run
from nbflow.errors import ConfigurationError, UnkeyableError
from nbflow.keys.binder import binder
from nbflow.keys.edited import edited
from nbflow.keys.encode import canonical
from nbflow.keys.reach import reach
from nbflow.keys.short import secret
from nbflow.keys.traits import trait
from nbflow.logs import warn
from nbflow.options import TaskOptions
from nbflow.runs import TaskRun
from nbflow.trace import Trait, Traits
from nbflow.world import arm, may_name, rng

__all__ = ["Identity", "TaskContext", "policy_in", "task_input_hash"]

_SCHEMA = b"nbflow-1"
_NONE = Trait("", "")
_GONE = (KeyError, ValueError, AttributeError)


class TaskContext(NamedTuple):
    """What a `cache_key_fn` is called with first: the task, its parameters by name, and its run.

    Attributes:
        task: The task.
        parameters: By name, with defaults; futures as their results.
        task_run: The run that asks for the key; None where nothing is about to run.
    """

    task: Any
    parameters: dict[str, Any]
    task_run: TaskRun | None = None


def task_input_hash(context: TaskContext, parameters: dict[str, Any]) -> str | None:
    """A `cache_key_fn` for a task's code, with all that it reaches, and its parameters without those ignored.

    It is what results are keyed by anyway; a key function of your own may add to it.

    >>> from nbflow import task, task_input_hash
    >>> @task(cache_key_fn=task_input_hash, cache_expiration="1d")
    ... def rows(month): ...

    Raises:
        UnkeyableError: A parameter, or a global that the task reads, has no content.
    """
    names = tuple(name for name in parameters if name not in context.task.options.ignore)
    values = (context.task.fn, names, *(parameters[name] for name in names))
    return blake2b(canonical(values, ("the code", "names", *names)), digest_size=16).hexdigest()


def policy_in(options: TaskOptions) -> CachePolicy:
    """Which parts of a call make its key, as options say. A key function stands for itself alone."""
    if options.result_storage_key is not None:
        return CachePolicy(functions=(partial(_templated, options.result_storage_key),))
    if options.cache_key_fn is not None:
        return CachePolicy(functions=(options.cache_key_fn,))
    return DEFAULT if options.cache_policy is None else options.cache_policy


def _templated(template: str, context: TaskContext, parameters: dict[str, Any]) -> str:
    """The key that a `result_storage_key` makes."""
    run = context.task_run or TaskRun(0, context.task.name)
    try:
        return template.format(parameters=parameters, task_run=run, flow_run=run.flow_run)
    except Exception as error:
        raise UnkeyableError(f"its result_storage_key {template!r}: {type(error).__name__}: {error}") from error


class Identity:
    """The keys of one function's calls.

    Args:
        owner: The task, for its key functions.
        fn: Its function.
        options: Its options.

    Attributes:
        bind: Called as the function is, gives the value of each parameter; raises Python's own `TypeError`.
        names: All parameters, in the order of the signature.
        parameters: Those that count, in the same order.
        constants: Strings in the code reached that may name files.
        handles: Names of the types of live handles that the code reads as globals.
        packed: The function as it was sent to a worker; None: it was not yet, or has to be packed for each call.
        hidden: Places, among the parameters that count, of those that are called like a password.
    """

    def __init__(self, owner: Any, fn: Callable[..., Any], options: TaskOptions) -> None:
        policy, excluded = policy_in(options), cast("frozenset[str]", options.ignore)
        self._owner, self._functions = owner, policy.functions
        self.packed: bytes | None = None
        self.bind = binder(fn)
        self.names: tuple[str, ...] = self.bind.names
        excluded = excluded | policy.excluded if "inputs" in policy.parts else frozenset(self.names)
        self._counting = [i for i, name in enumerate(self.names) if name not in excluded]
        self.parameters = tuple(self.names[i] for i in self._counting)
        self.hidden = tuple(i for i, name in enumerate(self.parameters) if secret(name))
        self._all = len(self._counting) == len(self.names)
        arm()  # or the first look at a run would bind a reader anew that the function reaches
        reached = reach(fn)
        for file in edited(reached.modules):
            warn(f"{file} was edited after it was loaded: reload it to use the new code")
        self._unchanged = reached.unchanged
        source = "source" in policy.parts
        self._live = reached.live if source else None
        self._labels = (*reached.live_names, *self.parameters) if self._live else self.parameters
        self._inputs = [(f"input {name}", name) for name in self.parameters]
        self._traits = reached.traits if source else {}
        self._version = options.version
        name = f"{getattr(fn, '__qualname__', type(fn).__qualname__)}".encode()
        base = canonical((name, reached.code if source else b"", options.version, sorted(policy.parts)))
        self._files = cast("tuple[str, ...]", options.files)
        if self._files:  # what they hold is looked at later: an entry from before they were named knows nothing of it
            base += canonical((self._files,))
        self._base = blake2b(_SCHEMA + base, digest_size=16)
        self.constants, self.handles = tuple(filter(may_name, reached.strings)), reached.handles
        self.seeds = not rng.SETTERS.isdisjoint(getattr(getattr(fn, "__code__", None), "co_names", ()))
        self._run, self._flow = "run" in policy.parts, "flow" in policy.parts
        self._alike = policy.parts == {"flow"} and not policy.functions  # outside a flow nothing tells calls apart

    def holds(self) -> bool:
        """Whether nothing that the function reaches was bound anew: about a microsecond."""
        try:
            return self._unchanged()
        except _GONE:
            return False

    def rebound(self) -> list[str]:
        """Labels of what the function reaches and that is something else by now, however it came to be bound anew."""
        if self.holds():
            return []
        now = Identity(self._owner, self._owner.fn, self._owner.options)._traits  # noqa: SLF001 - it is one of us
        labels = sorted({*self._traits, *now})
        return [each for each in labels if self._traits.get(each, _NONE).digest != now.get(each, _NONE).digest]

    def inputs(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Those of the bound values that count."""
        return values if self._all else tuple([values[i] for i in self._counting])

    def key(self, values: tuple[Any, ...], run: TaskRun | None = None) -> str | None:
        """Hex key of a call with these bound values; None where it is not to be kept.

        Args:
            values: As bound.
            run: What asks for it, for key functions.

        Raises:
            UnkeyableError: An input, or a global that the function reads, has no content.
        """
        flow = current_flow_run.get() if self._run or self._flow else None
        if self._alike and flow is None:
            return None
        digest, live = self._base.copy(), self._live
        inputs = values if self._all else self.inputs(values)
        digest.update(canonical(inputs if live is None else live() + inputs, self._labels))
        if self._functions:
            made = self._made(values, run)
            if any(each is None for each in made):
                return None
            digest.update(canonical(made))
        if self._run:  # outside a flow, each run is its own
            digest.update(os.urandom(16) if flow is None else flow.id.encode())
        if self._flow and flow is not None:
            names = tuple(flow.parameters)
            digest.update(canonical((names, *flow.parameters.values()), ("names", *names)))
        return digest.hexdigest()

    def _made(self, values: tuple[Any, ...], run: TaskRun | None = None) -> tuple[str | None, ...]:
        if run is not None and run.keys is not None:
            return run.keys
        context = TaskContext(self._owner, dict(zip(self.names, values, strict=True)), run)
        made: list[str | None] = []
        for function in self._functions:
            name = getattr(function, "__qualname__", type(function).__qualname__)
            try:
                key = function(context, context.parameters)
            except UnkeyableError:
                raise
            except Exception as error:
                raise UnkeyableError(f"its cache_key_fn {name}() raised {type(error).__name__}: {error}") from error
            if key is not None and not isinstance(key, str):
                raise ConfigurationError(f"cache_key_fn {name}() returned {key!r}: give text, or None for no key")
            made.append(key)
        if run is not None:
            run.keys = tuple(made)
        return tuple(made)

    def globals(self) -> tuple[tuple[str, Any], ...]:
        """Label and value, now, of each mutable global, closure cell and default that the code reads."""
        if self._live is None:
            return ()
        return tuple(zip(self._labels, self._live(), strict=False))

    def _flowing(self) -> list[tuple[str, Any]]:
        """Label and value of what the key has of the flow run."""
        flow = current_flow_run.get() if self._run or self._flow else None
        if flow is None:
            return []
        run = [("flow run", flow.id)] if self._run else []
        return run + [(f"flow parameter {name}", value) for name, value in flow.parameters.items() if self._flow]

    def traits(self, values: tuple[Any, ...], handles: list[str] | None = None, run: TaskRun | None = None) -> Traits:
        """What the key is made of, part by part: `explain` compares it with other entries.

        Args:
            values: As bound.
            handles: Receives the names of the types of live handles among them.
            run: What asked for the key.
        """
        traits = {**self._traits}
        for (label, name), value in zip(self._inputs, self.inputs(values), strict=True):
            traits[label] = trait(value, name, handles)
        named = [*self.globals(), *self._flowing()]
        if self._version is not None:
            named.append(("version", self._version))
        if self._files:
            named.append(("files", self._files))
        if self._functions:
            made = self._made(values, run)
            named.append(("the key", made[0] if len(made) == 1 else made))
        for label, value in named:
            traits[label] = trait(value, label, handles)
        return traits
