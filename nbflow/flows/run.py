"""One run of a flow: its step, what holds while its code runs, and the state that it ends in.

What it came to, in this order: a state that it returns; failed, where a future or a state that it returns failed, or
where a submitted step failed and nobody looked; else completed, with the value that it returns, each future in it as
its result (https://docs.prefect.io/v3/concepts/states#final-state-determination).
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from nbflow.context import FlowRun, Scope, current_flow_run, current_scope, current_tags, here
from nbflow.engine.hooks import run_hook
from nbflow.engine.loop import arun, run
from nbflow.engine.work import Work, next_step
from nbflow.events import Began
from nbflow.flows.options import FlowOptions
from nbflow.futures.endings import ajoin, first_unseen, join, worst
from nbflow.futures.inputs import futures_in, resolve_futures_to_results
from nbflow.keys.short import secret
from nbflow.session import session
from nbflow.states import Running, State, StateType, raised, state_of
from nbflow.step.commands import Err, Outcome
from nbflow.step.plan import plan
from nbflow.step.policy import bounded
from nbflow.tasks.call import brief
from nbflow.tasks.naming import run_name

__all__ = ["Flowing"]

_ENDS: Final = {
    StateType.COMPLETED: "on_completion",
    StateType.FAILED: "on_failure",
    StateType.CANCELLED: "on_cancellation",
    StateType.CRASHED: "on_crashed",
}


class Flowing:
    """One run of a flow, from its first attempt to its state.

    Args:
        flow: The flow.
        options: Its options.
        call: The function with its arguments.
        parameters: The arguments by name, with defaults.

    Attributes:
        run: What its tasks and hooks see of it.
    """

    def __init__(self, flow: Any, options: FlowOptions, call: Callable[[], Any], parameters: dict[str, Any]) -> None:
        self.flow, self.options, self.call = flow, options, call
        self.scope: Scope | None = None
        outer = current_flow_run.get()
        self.run = FlowRun(
            os.urandom(16).hex(),
            flow.name,
            parameters,
            tags=current_tags.get(),
            step=next_step(),
            parent=outer,
            task_runner=options.runner(),
            defaults=({} if outer is None else outer.defaults) | options.handed_on(),
        )
        self.run.flow = flow
        with self._here():
            self.run.name = run_name(options.flow_run_name, parameters, flow.name)
        prints = self.run.defaults.get("log_prints")
        self.work = Work(self.run.step, self._body, None, session.clock, session.bus, log_prints=prints)
        self.work.name, self.work.repeats = self.run.name, True
        self.plan = plan(self.run.step, bounded(options.policy()), keyed=False)

    def drive(self) -> Outcome:
        """Run it to its end, in this thread."""
        try:
            with self._begun():
                outcome = run(self.plan, self.work.hands(), self.work.close)
        except BaseException as error:
            self._ended(Err(error))
            raise
        return self._ended(outcome)

    async def adrive(self) -> Outcome:
        """Run it to its end, in this event loop."""
        work = self.work
        work.body = self._abody
        try:
            with self._begun():
                outcome = await arun(self.plan, work.hands(*work.awaited()), work.awaited(), work.close)
        except BaseException as error:
            self._ended(Err(error))
            raise
        return self._ended(outcome)

    def _begun(self) -> Any:
        """Tell that it began; gives its runner, to be used around all attempts."""
        parameters = self.run.parameters
        hidden = tuple(i for i, name in enumerate(parameters) if secret(name))
        arguments = brief(tuple(parameters.values()), hidden)
        session.bus.tell(Began(self.run.step, session.clock.time(), self.run.name, arguments, here.get().step))
        return self.run.task_runner or nullcontext()

    def _ended(self, outcome: Outcome) -> Outcome:
        """Give it the state that an outcome is, and call the hooks of that state."""
        if self.scope is not None and isinstance(outcome, Err):
            self.scope.stop(f"the flow run {self.run.name} has ended")
        state = state_of(outcome)
        if state.message and state.message.startswith("Task run "):  # Prefect's words for a flow
            message = state.message.replace("Task", "Flow", 1).replace("exception ", "exception: ", 1)
            state = replace(state, message=message)
        self.run.state = state
        with self._here():
            for hook in getattr(self.options, _ENDS.get(state.type, ""), ()):
                run_hook(hook, self.flow, self.run, state)
        return outcome

    # One attempt

    def _body(self) -> Any:
        with self._attempt() as scope:
            try:
                value = self.call()
                value = list(value) if inspect.isgenerator(value) else value
            except Exception:
                join(scope)
                raise
            join(scope)
            return _final(value, scope)

    async def _abody(self) -> Any:
        with self._attempt() as scope:
            try:
                value = self.call()
                value = [each async for each in value] if inspect.isasyncgen(value) else await value
            except Exception:
                await ajoin(scope)
                raise
            await ajoin(scope)
            return _final(value, scope)

    @contextmanager
    def _attempt(self) -> Iterator[Scope]:
        """Around one attempt: what is submitted belongs to it, and is cancelled where it is cut short."""
        if self.scope is not None:  # a thread that ran out of time may still be in it
            self.scope.stop(f"another attempt of the flow run {self.run.name} has begun")
        scope = self.scope = Scope(current_scope.get())
        mark = current_scope.set(scope)
        self.run.run_count += 1
        self.run.start_time, self.run.state = datetime.fromtimestamp(session.clock.time(), UTC), Running()
        try:
            with self._here():
                for hook in self.options.on_running:
                    run_hook(hook, self.flow, self.run, self.run.state)
                yield scope
        except (Exception, GeneratorExit):
            raise
        except BaseException:  # an interrupt, or the end of its time
            scope.stop(f"the flow run {self.run.name} was interrupted")
            raise
        finally:
            current_scope.reset(mark)
            scope.close()

    @contextmanager
    def _here(self) -> Iterator[None]:
        mark = current_flow_run.set(self.run)
        try:
            yield
        finally:
            current_flow_run.reset(mark)


def _final(value: Any, scope: Scope) -> Any:
    """What a flow came to that returned this: a value, or a state.

    Raises:
        BaseException: Of a submitted step that failed, and nobody looked.
    """
    if isinstance(value, State):
        return value
    returned = futures_in(value)
    failed = [each for each in returned if each.failure() is not None or each.cancelled()]
    if failed:
        if value is returned[0] and value.state.is_final():
            return value.state
        return _aggregated(len(failed), len(returned), worst(failed, len(returned)), any(e.cancelled() for e in failed))
    if isinstance(value, (list, tuple, set)) and value and all(isinstance(each, State) for each in value):
        bad = [each for each in value if not each.is_completed()]
        if bad:
            return _aggregated(len(bad), len(value), raised(bad[0]), any(each.is_cancelled() for each in bad))
    for each in returned:
        each.looked = True
    unseen = first_unseen(scope)
    if unseen is not None:
        raise unseen
    return resolve_futures_to_results(value) if returned else value


def _aggregated(bad: int, total: int, error: BaseException, cancelled: bool) -> State[Any]:  # noqa: FBT001 - of an `any`
    kind, word = (StateType.CANCELLED, "cancelled") if cancelled else (StateType.FAILED, "failed")
    return State(kind, "", f"{bad}/{total} states {word}.", error)
