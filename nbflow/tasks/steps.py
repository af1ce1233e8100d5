"""The steps of one function: how each begins, now or when its turn has come.

`Steps.enter` is the only way into a step, for a call, a submit, a map, a coroutine: straight code up to the verdict on
the first look, then either the value or a plan to perform. So a hit runs through no generator, and nothing can drift:
the plan's own look, behind the lock, asks the same `judge`.
"""

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from nbflow import remote, world
from nbflow.context import current_flow_run, current_scope, current_tags, here
from nbflow.engine.hooks import Hooks, condition_of
from nbflow.engine.work import Work, next_step
from nbflow.errors import UnkeyableError
from nbflow.events import Began, Hit, Missed, Named, NotReady, Queued
from nbflow.futures.future import Future
from nbflow.futures.inputs import marked, resolve_futures_to_results
from nbflow.keys.handles import reaches
from nbflow.logs import warn
from nbflow.options import TaskOptions
from nbflow.runs import TaskRun
from nbflow.session import session
from nbflow.step.commands import Err, Ok, Outcome, Tell
from nbflow.step.plan import Plan, ending, plan, reason
from nbflow.step.policy import bounded, bounds, policy_of
from nbflow.step_transaction import StepTransaction
from nbflow.store import Store, serializer_of
from nbflow.tasks.call import ATOMS, Bound, TaskSlot, brief
from nbflow.tasks.generators import Resume, Streams, kind_of, streamed
from nbflow.tasks.identity import Identity, policy_in
from nbflow.tasks.jobs import begun, keep, launch, when_done
from nbflow.tasks.naming import run_name
from nbflow.tasks.streams import StreamSlot, acollected, collected, listed

__all__ = ["Begun", "Steps"]

Begun = tuple[Outcome | None, Plan | None, Work | None]
"""A step's outcome, or its plan and the hands to perform it."""


class Steps:
    """The steps of one function.

    Args:
        owner: The task, for its key functions, hooks and conditions.
        fn: The function.
        options: Its options.
        name: Its label.

    Attributes:
        policy: How they are kept, retried and bounded.
        kind: `sync`, `async`, `generator` or `async generator`.
    """

    def __init__(self, owner: Any, fn: Callable[..., Any], options: TaskOptions, name: str) -> None:
        self.owner, self.fn, self.options, self.name = owner, fn, options, name
        self.policy = policy_of(options, condition_of(owner, options.retry_condition_fn))
        self.kind = kind_of(fn)
        self.isasync = self.kind.startswith("async")
        self.streams = self.kind.endswith("generator")
        self.plain = self.kind == "sync"
        self._serializer = None if options.result_serializer is None else serializer_of(options.result_serializer)
        self._storage: Path | Store | None = options.result_storage
        self._placed: Store | None = None
        self._identity: Identity | None = None
        self._tags = cast("frozenset[str]", options.tags)
        self._hooks = Hooks.of(options)
        self._names = bool(options.task_run_name or policy_in(options).functions or (self._hooks and self._hooks.hits))
        """Whether a run is asked for even where it turns out to be a hit."""
        self._first = self
        self._others: dict[tuple[Any, ...], Steps] = {}

    def here(self) -> "Steps":
        """The same steps with the defaults that hold here for options that the task does not spell out.

        A flow's come before the session's. Raises where nothing may begin here any more.
        """
        if scope := current_scope.get():
            scope.check()
        flow = current_flow_run.get()
        defaults = session.defaults if flow is None else session.defaults | flow.defaults
        given = {name: value for name, value in defaults.items() if getattr(self.options, name, 0) is None}
        if self.policy.keep != "pure":  # it was said by another option
            given.pop("persist_result", None)
        if not given:
            return self
        mark = tuple((name, id(value)) for name, value in given.items())  # the values live as long as the options do
        found = self._others.get(mark)
        if found is None:
            found = self._others[mark] = Steps(self.owner, self.fn, self.options.but(**given), self.name)
            found._first = self
        return found

    @property
    def identity(self) -> Identity:
        """What calls are keyed by now; another one when something that the function reaches was bound anew."""
        if self._first is not self:
            return self._first.identity
        identity = self._identity
        if identity is None or not identity.holds():
            identity = self._identity = Identity(self.owner, self.fn, self.options)
        return identity

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """A call's arguments as the function takes them.

        Raises:
            TypeError: They do not fit; the message is Python's own.
        """
        identity = self.identity
        values = identity.bind(*args, **kwargs)
        return identity, values, brief(identity.inputs(values), identity.hidden)

    def enter(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        step: int = 0,
        bound: Bound | None = None,
        run: TaskRun | None = None,
    ) -> Begun:
        """Begin a step: its outcome if there is a fresh entry, else a plan and the hands to perform it.

        Args:
            args: Given by position.
            kwargs: Given by name.
            step: The number of a step that was queued; 0 is a new one.
            bound: What they were bound to when it was queued.
            run: What hears of the step; None makes one where it is needed.
        """
        alone = not session.defaults and current_scope.get() is None and current_flow_run.get() is None
        these = self if alone else self.here()
        if these is not self:
            return these.enter(args, kwargs, step, bound, run)
        time, tell, policy = session.clock.time, session.bus.tell, self.policy
        policy = policy if bounds.get() is None else bounded(policy)
        known, step = bool(step), step or next_step()
        try:
            if bound is None or not bound[0].holds():
                bound = self.bind(args, kwargs)
            identity, values, arguments = bound
            tell(Began(step, time(), self.name, arguments, here.get().step))
            known = True
            if self._names or run is not None:
                run = self.run(step, identity, values, run)
            slot = None if policy.keep == "never" else self.slot(identity, values, run)
            handles: list[str] = []
            if slot is not None:
                verdict, value = slot.first_look(step, policy)
                if isinstance(verdict, Hit):
                    if run is not None:
                        return self._found(verdict, value, run)
                    tell(verdict)
                    return Ok(value), None, None
                slot.traits = identity.traits(values, handles, run)
                tell(Missed(step, verdict.at, verdict.why, slot.traits, slot.key))
            work = self._work(args, kwargs, step, slot, run or self.run(step, identity, values))
            self._watched(work, identity, values, handles)
        except BaseException as error:
            if known:  # a step that was told of ends for whoever shows it
                tell(ending(step, time(), error))
            raise
        return None, plan(step, policy, keyed=slot is not None, limited=work.turn is not None), work

    def _watched(self, work: Work, identity: Identity, values: tuple[Any, ...], handles: list[str]) -> None:
        """What of the world counts for a step, where its result or that of one around it may be kept."""
        work.identity = identity
        if work.slot is None and not world.watched():
            return
        named = [value for _, value in identity.globals()]
        work.mentions = (*identity.constants, *named, *identity.inputs(values))
        work.seeds = identity.seeds
        work.files = self.options.files  # type: ignore[assignment]  # a tuple by now
        work.touching = {kind for handle in (*identity.handles, *handles) if (kind := reaches(handle))}

    def _found(self, hit: Hit, value: Any, run: TaskRun) -> Begun:
        """A hit that a run hears of; a plan where hooks do, too, for whoever performs plans can await."""
        if self._hooks is None or not self._hooks.hits:
            session.bus.tell(hit)
            run.hear(hit)
            return Ok(value), None, None
        work = Work(hit.step, lambda: value, None, session.clock, session.bus)
        work.run, work.hooks, work.outcome = run, self._hooks.bound(self.owner, run), Ok(value)
        return None, _told(hit, value), work

    def _work(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], step: int, slot: TaskSlot | None, run: TaskRun
    ) -> Work:
        """The hands of a step that runs."""
        body: Callable[[], Any] = partial(self.fn, *args, **kwargs)
        work = Work(step, body, slot, session.clock, session.bus, log_prints=self.options.log_prints)
        work.again = partial(self.submit, args, kwargs)
        work.keep, work.run, work.name = self.policy.keep, run, self.name
        if self._hooks is not None:
            work.hooks = self._hooks.bound(self.owner, run)
        work.transaction = StepTransaction.of(run, slot, self.options.on_commit, self.options.on_rollback)
        if self.options.isolate is not None:
            work.away = remote.isolated()
        if session.limits.places:
            work.turn = session.limits.turn(run.tags)
        return work

    def run(self, step: int, identity: Identity, values: tuple[Any, ...], run: TaskRun | None = None) -> TaskRun:
        """A step's run, with its name; of step 0, which is a question, nobody hears.

        Raises:
            TypeError: A function that names runs gave no text.
        """
        run = run or TaskRun(step, self.name)
        run.step, run.names, run.values = step, identity.names, values
        run.flow_run, run.tags = current_flow_run.get(), self._tags | current_tags.get()
        naming = self.options.task_run_name
        if naming is not None:
            mark = here.set(here.get()._replace(run=run))
            try:
                run.name = run_name(naming, run.parameters, self.name)
            finally:
                here.reset(mark)
            if run.name != self.name and step:
                session.bus.tell(Named(step, session.clock.time(), run.name))
        return run

    def slot(self, identity: Identity, values: tuple[Any, ...], run: TaskRun | None = None) -> TaskSlot | None:
        """The step's place in the store; None where it runs uncached."""
        if self.policy.keep == "never" or not session.caching:
            return None
        store = session.store_or_none() if self._storage is None else self.store()
        if store is None:
            return None
        try:
            key = identity.key(values) if run is None else identity.key(values, run)
        except UnkeyableError as error:
            if session.strict:
                raise
            warn(f"{self.name}() runs uncached: {error}")
            return None
        if key is None:
            return None
        if self.streams:
            return StreamSlot(store, key, self.name, identity, values, self._serializer)
        slot = TaskSlot(store, key, self.name, identity, values)
        if self._serializer is not None:
            slot.serializer = self._serializer
        return slot

    def place(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, traits: bool = False) -> TaskSlot | None:
        """The place that a call would have, for questions; with what its key is made of, if asked."""
        identity = self.identity
        values = identity.bind(*args, **kwargs)
        run = self.run(0, identity, values) if self._names else None
        slot = self.slot(identity, values, run)
        if slot is not None and traits:
            slot.traits = identity.traits(values, run=run)
        return slot

    def store(self) -> Store | None:
        """The store of its own, or the session's; None where there is none that works."""
        if self._storage is None:
            return session.store_or_none()
        if self._placed is None:
            self._placed = session.place(self.name, self._storage)
        return self._placed

    def enter_stream(self, args: tuple[Any, ...], kwargs: dict[str, Any], bound: Bound | None = None) -> Streams:
        """Begin a step whose items are asked for one by one."""
        outcome, steps, work = self.enter(args, kwargs, bound=bound)
        if steps is None or work is None:
            assert isinstance(outcome, Ok)
            return Streams(outcome.value)
        hands: dict[type, Callable[[Any], Any]] = {**(work.awaited() if self.isasync else work.hands())}
        hands[Resume] = Resume.perform
        leaves = hands if self.isasync else ()
        restart = self.options.retry_after_yield
        commands = streamed(steps, work, *leaves, restart=restart, serializer=self._serializer)
        return Streams(None, commands, lambda command: hands[type(command)](command), work.close)

    # Later, on a worker

    def enter_whole(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], step: int = 0, bound: Bound | None = None, run: Any = None
    ) -> Begun:
        """As `enter`, but what a generator yields comes as one list."""
        outcome, steps, work = self.enter(args, kwargs, step, bound, run)
        if not self.streams:
            return outcome, steps, work
        if isinstance(outcome, Ok):
            return Ok(list(outcome.value)), steps, work
        assert steps is not None and work is not None
        collect = acollected if self.isasync else collected
        work.body = partial(collect, work.body, self._serializer, work.slot is not None)
        return None, listed(steps), work

    def submit(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any = None) -> Future[Any]:
        """Begin when all that it depends on has ended and a worker is free; returns at once."""
        step = next_step()
        try:
            bound = self.bind(args, kwargs)
            arguments = bound[2]
        except TypeError:  # they do not fit the function, as the step will say
            bound, arguments = None, brief((*args, *kwargs.values()))
        future: Future[Any] = Future(self.name, arguments)
        future.step, future.run = step, TaskRun(step, self.name)
        session.bus.tell(Queued(step, session.clock.time(), self.name, arguments, here.get().step))
        plain = wait_for is None and ATOMS.issuperset(map(type, chain(args, kwargs.values())))
        upstream = [] if plain else marked((args, kwargs, wait_for))
        if upstream:
            keep(future)
            futures = [each for each in upstream if isinstance(each, Future)]
            when_done(futures, partial(copy_context().run, self._start_after, future, args, kwargs, wait_for))
        else:
            self._start(future, args, kwargs, bound)
        return future

    def _start(
        self, future: Future[Any], args: tuple[Any, ...], kwargs: dict[str, Any], bound: Bound | None = None
    ) -> None:
        enter = self.enter_whole if self.streams else self.enter
        begin = partial(enter, args, kwargs, future.step, bound, future.run)
        launch(future.step, future, begin, awaits=self.isasync)

    def _start_after(self, future: Future[Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> None:
        """All that it depends on has ended: start, or be not ready."""
        try:
            resolve_futures_to_results(wait_for)
            args, kwargs = resolve_futures_to_results((args, kwargs))
        except Exception as error:  # noqa: BLE001 - an upstream failure is this step's outcome
            if begun(future.step, future):
                session.bus.tell(NotReady(future.step, session.clock.time(), reason(error)))
                future.settle(Err(error))
        else:
            self._start(future, args, kwargs)


def _told(hit: Hit, value: Any) -> Plan:
    yield Tell(hit)
    return Ok(value)
