"""After an attempt: is its result taken, is there another attempt, and when. No clock, no sleep, no code of the user's.

Conditions go from cheap to dear: the count, classes of errors, the user's questions, then the wait and who else has a
word in it (`Retry`, a server), at last the deadline. The first that says no ends the step with the user's own error.
"""

from collections.abc import Generator, Sequence
from math import exp, isfinite, log, log2
from typing import Any, Final, NamedTuple

from nbflow.durations import spell
from nbflow.errors import RetryExhausted
from nbflow.step.commands import Ask, Command, Draw, Err, Ok, Outcome
from nbflow.step.hints import Retry, asked_by_server, behind, explicit
from nbflow.step.history import reason
from nbflow.step.policy import Policy
from nbflow.step.waits import Question, Tried

__all__ = ["Again", "Over", "again", "jittered", "matches", "retryable"]

_PATIENCE: Final = 60.0
"""Seconds that a server may ask for, where neither a deadline nor a delay of the options says that more is fine."""
_LONGEST: Final = 366 * 86400.0
"""Seconds that any wait takes at most: no clock counts as far as doubling does."""


class Again(NamedTuple):
    """There is another attempt `wait` seconds from now; `why` in a line."""

    wait: float
    why: str


class Over(NamedTuple):
    """The step has come to `outcome`; `why` it was not retried in words, where that needs any."""

    outcome: Outcome
    why: str = ""


class _No(NamedTuple):
    """There is no further attempt, `why` in words."""

    why: str


Deciding = Generator[Command, Any, Again | Over]


def again(policy: Policy, tried: Tried, now: float) -> Deciding:
    """What follows an attempt.

    Args:
        policy: Whether and how to retry.
        tried: The attempt. An error that is no `Exception` (an interrupt, a cancellation) is never retried.
        now: Seconds since the epoch.
    """
    outcome = tried.outcome
    if isinstance(outcome, Ok):
        if policy.unfit is None:
            return Over(outcome)
        try:
            unfit = yield Ask(policy.unfit, (tried,))
        except Exception as raised:  # noqa: BLE001 - as if the step itself had said it
            return Over(Err(raised))
        if not unfit:
            return Over(outcome)
        why = f"retry_if_result does not accept the {type(outcome.value).__name__} that it returned"
    else:
        why = reason(outcome.error)
    verdict = yield from _retried(policy, tried, now, why)
    return verdict if isinstance(verdict, Again) else Over(_last(outcome, why), verdict.why)


def _last(outcome: Outcome, why: str) -> Outcome:
    """What a step without a further attempt has come to."""
    if isinstance(outcome, Ok):
        return Err(RetryExhausted(why, outcome.value))
    error = outcome.error
    return Err(behind(error) or error) if isinstance(error, Retry) else outcome


def _retried(policy: Policy, tried: Tried, now: float, why: str) -> Generator[Command, Any, Again | _No]:
    """Whether there is another attempt after one that failed."""
    if policy.attempts and tried.attempt >= policy.attempts:
        return _No("")
    error = None if isinstance(tried.outcome, Ok) else tried.outcome.error
    wanted = [] if error is None else explicit(error)
    after = max((each.after for each in wanted if each.after is not None), default=None)
    said: float | _No | None = after
    floor = 0.0
    if error is not None and not wanted:
        said = (yield from _conditions(policy, tried)) if retryable(policy, error) else _No("")
    if isinstance(said, _No):
        return said
    if error is not None and after is None:
        floor = yield from _floor(error, now)
    draw = yield Draw()
    delay = (yield from _delay(policy, tried, draw)) if said is None else said
    if isinstance(delay, _No):
        return delay
    spread = jittered(delay, policy.jitter, draw) if after is None else _later(delay, policy, draw)
    wait = max(spread, _later(floor, policy, draw))
    refused = _too_long(policy, tried.elapsed, wait, floor, delay)
    refused = refused or (yield from _stopped(policy, tried._replace(wait=wait)))
    if refused is not None:
        return refused
    return Again(min(wait, _LONGEST), f"{why} · the server asks to wait {spell(floor)}" if floor else why)


def _later(wait: float, policy: Policy, draw: float) -> float:
    """A wait that somebody asked for, spread: it is never shortened."""
    return wait * (1 + policy.jitter * draw)


def _delay(policy: Policy, tried: Tried, draw: float) -> Generator[Command, Any, float | _No]:
    """Seconds that the options say."""
    try:
        delay = yield Ask(policy.wait, (tried.attempt, tried.outcome[0], tried.elapsed, draw))
    except Exception as raised:  # noqa: BLE001 - the user's own error is the one to know
        return _No(f"retry_delay_seconds raised {reason(raised)}")
    return delay if _is_wait(delay) else _No(f"retry_delay_seconds gave {delay!r}: give seconds, 0 or more")


def _stopped(policy: Policy, tried: Tried) -> Generator[Command, Any, _No | None]:
    """Ask whether this was enough."""
    if policy.stop is None:
        return None
    answer = yield from _answer("retries", policy.stop, tried)
    return answer if isinstance(answer, _No) else _No("retries says so") if answer else None


def _floor(error: BaseException, now: float) -> Generator[Command, Any, float]:
    """Seconds that a server asks for, at least."""
    try:
        return (yield Ask(asked_by_server, (error, now))) or 0.0
    except Exception:  # noqa: BLE001 - headers of whatever kind are nothing that could fail the step
        return 0.0


def _conditions(policy: Policy, tried: Tried) -> Generator[Command, Any, float | _No | None]:
    """Ask the user's conditions: after how many seconds, None where they do not say, or that there is no retry."""
    delay: float | _No | None = None
    if policy.retry_if is not None:
        delay = _meant((yield from _answer("retry_on", policy.retry_if, tried)))
    if policy.condition is not None and not isinstance(delay, _No):
        answer = yield from _answer("retry_condition_fn", policy.condition, tried)
        if isinstance(answer, _No):
            return answer
        return delay if answer else _No("")
    return delay


def _meant(answer: Any) -> float | _No | None:
    """What a function that stands as `retry_on` said: yes, no, or after how many seconds."""
    if isinstance(answer, _No):
        return answer
    if answer is None or (type(answer) in {int, float} and not _is_wait(answer)):
        return _No(f"retry_on gave {answer!r}: give True, False or seconds, 0 or more")
    if type(answer) in {int, float}:
        return float(answer)
    return None if answer else _No("")


def _answer(option: str, question: Question, tried: Tried) -> Generator[Command, Any, Any]:
    """What the user's code says; a question that fails is no reason to lose the user's own error."""
    try:
        return (yield Ask(question, (tried,)))
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is told
        return _No(f"{option} raised {reason(raised)}")


def _is_wait(delay: Any) -> bool:
    try:
        return isfinite(delay) and delay >= 0
    except (TypeError, OverflowError):
        return False


def _too_long(policy: Policy, elapsed: float, wait: float, floor: float, delay: float) -> _No | None:
    """Whether a wait is too long, and why."""
    asks = f"the server asks to wait {spell(floor)}" if floor else f"the next attempt would begin in {spell(wait)}"
    if policy.deadline is None:
        asked_too_much = floor > max(_PATIENCE, delay)
        return _No(f"{asks}; deadline_seconds says how long may be waited") if asked_too_much else None
    left = policy.deadline - elapsed
    if left <= 0:
        return _No(f"the deadline of {spell(policy.deadline)} has passed")
    return _No(f"{asks}, the deadline is in {spell(left)}") if wait >= left else None


def retryable(policy: Policy, error: BaseException, covered: bool = False) -> bool:  # noqa: FBT001, FBT002 - of a group, for its leaves
    """Whether the classes of an error let it be retried; of a group each leaf must.

    Args:
        policy: Whose `retry_on` and `give_up_on` count.
        error: What was raised.
        covered: `retry_on` has named what it is a part of.
    """
    if isinstance(error, Retry):
        return True
    if not isinstance(error, Exception) or matches(error, policy.give_up_on):
        return False
    covered = covered or not policy.retry_on or matches(error, policy.retry_on)
    if isinstance(error, ExceptionGroup):
        return all(retryable(policy, leaf, covered) for leaf in error.exceptions)
    return covered


def jittered(wait: float, factor: float, draw: float) -> float:
    """A wait spread around its mean: never above wait * (1 + factor).

    Drawn from an exponential distribution clamped so that the mean stays `wait`, as Prefect's
    `clamped_poisson_interval` does, so that clients that failed together do not come back together.

    >>> jittered(10, 0, 0.5), 7.5 < jittered(10, 0.3, 0.0) < jittered(10, 0.3, 0.999) < 13
    (10, True)
    """
    if factor <= 0 or wait <= 0:
        return wait
    most = 2.0 ** (1 + min(factor, 40.0))
    low, high = (1 - exp(-log2(most / (most - 1)))), (1 - exp(-(1 + factor)))
    return min(-wait * log(1 - (low + draw * (high - low))), wait * (1 + factor))


def matches(error: BaseException, errors: Sequence[type[Exception] | str]) -> bool:
    """Whether an error is of one of these classes; a name matches a class's own name or its full one."""
    return any(
        isinstance(error, each) if isinstance(each, type) else any(_named(base, each) for base in type(error).__mro__)
        for each in errors
    )


def _named(kind: type, name: str) -> bool:
    return name == kind.__name__ or (
        name.rpartition(".")[2] == kind.__name__ and kind.__module__.partition(".")[0] == name.partition(".")[0]
    )
