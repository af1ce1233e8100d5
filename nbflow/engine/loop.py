"""The loops that perform a plan: the only place where a step meets the world.

`advance` is the loop itself. `run` and `arun` drive one step to its end; a pool's job and a cell call
`advance` again whenever what they wait for has happened. `hands` say how commands are performed; a command
that they do not have is the driver's own.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nbflow.step.commands import Command, Err, Ok, Outcome
from nbflow.step.plan import Plan

__all__ = ["Hands", "advance", "arun", "run", "value_of"]

Hands = Mapping[type, Callable[[Any], Any]]


def advance(plan: Plan, hands: Hands, answer: Any = None, error: BaseException | None = None) -> Command | Outcome:
    """Perform commands until the plan ends, or one comes that these hands leave to the driver.

    Args:
        plan: The step; each call goes on where the last one stopped.
        hands: How to perform a command, by its type.
        answer: What the driver's own command gave; None at the start.
        error: What the driver's own command raised, instead of an answer.

    Returns:
        The driver's next command, or the outcome.
    """
    try:
        command = plan.send(answer) if error is None else plan.throw(error)
        while True:
            try:
                perform = hands.get(type(command))
                if perform is None:
                    return command
                answer = perform(command)
            except BaseException as raised:  # noqa: BLE001 - the plan decides, and passes on what is not its own
                command = plan.throw(raised)
            else:
                command = plan.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def run(plan: Plan, hands: Hands, close: Callable[[], object] = lambda: None) -> Outcome:
    """Drive a step to its end in this thread, and close it; the hands have all commands."""
    try:
        try:
            # no local of ours may hold the outcome: the error's traceback reaches this frame, and would never be freed
            return advance(plan, hands)  # type: ignore[return-value]
        finally:
            close()
    except BaseException:
        close()  # an interrupt may have come while it closed; again changes nothing
        raise


async def arun(
    plan: Plan,
    hands: Hands,
    awaited: Mapping[type, Callable[[Any], Awaitable[Any]]],
    close: Callable[[], object] = lambda: None,
) -> Outcome:
    """Drive a step to its end in this event loop, and close it; `awaited` performs what the hands leave."""
    try:
        try:
            return await _arun(plan, hands, awaited)
        finally:
            close()
    except BaseException:
        close()  # as in run
        raise


async def _arun(plan: Plan, hands: Hands, awaited: Mapping[type, Callable[[Any], Awaitable[Any]]]) -> Outcome:
    state = advance(plan, hands)
    while not isinstance(state, (Ok, Err)):
        try:
            answer = await awaited[type(state)](state)
        except BaseException as error:  # noqa: BLE001 - as in advance
            state = advance(plan, hands, error=error)
        else:
            state = advance(plan, hands, answer)
            del answer
    try:
        return state
    finally:
        del state  # as in run


def value_of(outcome: Outcome) -> Any:
    """The value, or the step's own error with its own traceback; a failed state that it returned is its value."""
    if isinstance(outcome, Err):
        if outcome.state is not None:
            return outcome.state
        try:
            raise outcome.error
        finally:
            del outcome  # the traceback holds this frame, which would hold the error
    return outcome.value
