"""One step, from its first miss to its outcome, as a generator: no clock, no disk, no thread, no sleep.

A driver performs the commands it yields and sends the answers in. Calls, coroutines, pools and cells
have different drivers and this one plan. A hit on the first look never gets here: whoever enters a step
looks and asks `judge`, and the plan, which looks once more behind the lock, asks the same `judge`.
"""

import traceback
from collections.abc import Generator
from typing import Any

from nbflow import events
from nbflow.durations import ago, spell
from nbflow.errors import NbflowError, StepTimeout, StoreError
from nbflow.step.commands import Call, Claim, Command, Enter, Err, Load, Look, Now, Ok, Outcome, Save, Seen, Sleep, Tell
from nbflow.step.history import Attempt, note, reason, remember
from nbflow.step.policy import Policy
from nbflow.step.retry import Again, again
from nbflow.step.waits import Tried

__all__ = ["STALE", "Plan", "ending", "judge", "plan", "reason", "unfit"]

_FRAMES, _SHOWN = 64, 8192  # the last frames of a traceback, and its last bytes: steps in steps would format it anew

STALE = "a stale result"
"""What a step touches when a step inside it returned an old result in place of an error."""

_NOW, _CLAIM, _LOOK, _ENTER = Now(), Claim(), Look(), Enter()

Plan = Generator[Command, Any, Outcome]
Part = Generator[Command, Any, Any]


def judge(  # noqa: PLR0913, PLR0917 - what a look found, and what the event says of it
    step: int, seen: Seen, now: float, policy: Policy, traits: Any = None, key: str = ""
) -> events.Hit | events.Missed:
    """The reader's verdict on what a look found.

    An entry from the future (a clock set back) is as old as one of now.
    """
    if policy.refresh:
        return events.Missed(step, now, "refresh asked", traits, key)
    if seen.lack:
        return events.Missed(step, now, seen.lack, traits, key)
    age = max(0.0, now - seen.created)
    if policy.max_age is not None and age >= policy.max_age:
        return events.Missed(step, now, f"expired: {spell(age)} old, {spell(policy.max_age)} allowed", traits, key)
    return events.Hit(step, now, age, seen.cost, seen.size, "", key)


def plan(step: int, policy: Policy, *, keyed: bool, limited: bool = False) -> Plan:
    """From a miss to an outcome.

    Args:
        step: The number that its events carry.
        policy: How it is kept, retried and bounded.
        keyed: Whether it has a key; without one nothing is looked up, claimed or saved.
        limited: Whether only so many steps with its tags may run at a time.
    """
    try:
        stored: Outcome | None
        seen = Seen("no key")
        if keyed:
            seen, stored = yield from _behind_the_lock(step, policy)
            if stored is not None:
                return stored
        outcome: Outcome
        outcome, why, cost, now = yield from _attempts(step, policy, limited=limited)
        if isinstance(outcome, Err):
            stored = yield from _instead(step, policy, seen, outcome.error)
            if stored is not None:
                return stored
            yield Tell(ending(step, now, outcome.error, why))
            return outcome
        size = (yield from _save(step, policy, outcome, cost)) if keyed else 0
        yield Tell(events.Completed(step, now, cost, size))
    except GeneratorExit:
        raise
    except BaseException as error:  # an interrupt, a cancellation, an exit: told, never retried, passed on
        now, _ = yield _NOW
        yield Tell(ending(step, now, error))
        raise
    return outcome


def _behind_the_lock(step: int, policy: Policy) -> Part:
    """Wait until this step alone may run its key; what there is then, and its value if someone has just stored it."""
    yield _CLAIM
    seen: Seen = yield _LOOK
    if seen.lack:
        return seen, None
    now, _ = yield _NOW
    verdict = judge(step, seen, now, policy)
    if isinstance(verdict, events.Missed):
        return seen, None
    return seen, (yield from _served(seen, verdict))


def _served(seen: Seen, hit: events.Hit) -> Part:
    """The value of an entry, and the event that tells of it; None where it cannot be had."""
    try:
        value = yield Load(seen.entry)
    except StoreError:
        return None
    yield Tell(hit)
    return Ok(value)


def _instead(step: int, policy: Policy, seen: Seen, error: BaseException) -> Part:
    """What was there before the first attempt and was passed over, now that all of them failed; None: the error counts.

    The same code worked on the same inputs when that was made, so whatever the error is, the world is to blame for it.
    A cancellation is no failure.
    """
    if not policy.stale or seen.lack or _is_cancelled(error):
        return None
    now, _ = yield _NOW
    age = max(0.0, now - seen.created)
    old = policy.max_age is not None and age >= policy.max_age
    why = f"expired {ago(age - (policy.max_age or 0.0))}" if old else "refresh failed" if policy.refresh else ""
    words = [f"{spell(age)} old" + (f", {why}" if why else ""), reason(error)]
    return (yield from _served(seen, events.Hit(step, now, age, 0.0, seen.size, " · ".join(words))))


def _attempts(step: int, policy: Policy, *, limited: bool) -> Part:
    """Call until it works or the policy gives up.

    Returns:
        The outcome, why there was no further attempt, the seconds its last attempt ran, and when it ended.
    """
    attempt, began = 0, None
    history: list[Attempt] = []
    while True:
        attempt += 1
        if limited:
            yield _ENTER
        at, start = yield _NOW
        began = start if began is None else began
        yield Tell(events.Started(step, at, attempt, policy.attempts))
        outcome: Outcome = yield Call(attempt, _limit(policy, start - began), policy.attempts)
        now, end = yield _NOW
        if isinstance(outcome, Ok) and policy.unfit is None:
            return outcome, "", end - start, now
        verdict = yield from again(policy, Tried(attempt, outcome, end - began), now)
        del outcome  # and all that its frames hold, before the next attempt makes it anew
        if not isinstance(verdict, Again):
            if isinstance(verdict.outcome, Err):
                history.append(Attempt(attempt, at, end - start, reason(verdict.outcome.error)))
                _tell_of(history, verdict.outcome.error, end - began, verdict.why)
            return verdict.outcome, verdict.why, end - start, now
        history.append(Attempt(attempt, at, end - start, verdict.why, verdict.wait))
        yield Tell(events.Waiting(step, now, attempt, verdict.wait, verdict.why))
        yield Sleep(verdict.wait)


def _tell_of(history: list[Attempt], error: BaseException, elapsed: float, why: str) -> None:
    """Let an error say how often it was tried, and why not once more."""
    if len(history) > 1:
        note(error, f"nbflow: {len(history)} attempts in {spell(elapsed)}")
    if why:
        note(error, f"nbflow: not retried: {why}")
    remember(error, history)


def _limit(policy: Policy, elapsed: float) -> float | None:
    """Seconds that the next attempt may take."""
    if policy.deadline is None:
        return policy.timeout
    left = max(policy.deadline - elapsed, 0.001)
    return left if policy.timeout is None else min(left, policy.timeout)


def _save(step: int, policy: Policy, outcome: Ok, cost: float) -> Part:
    """Bytes stored. Whatever goes wrong costs the entry, never the result."""
    why = unfit(policy, outcome)
    if not why:
        try:
            size: int = yield Save(outcome, cost)
        except Exception as error:  # noqa: BLE001 - the result stands, whatever became of its entry
            why = str(error) if isinstance(error, NbflowError) else reason(error)
        else:
            return size
    now, _ = yield _NOW
    yield Tell(events.Unsaved(step, now, why))
    return 0


def unfit(policy: Policy, outcome: Ok) -> str:
    """Why a result is not kept, `""` if it is.

    Nobody asked to keep it, and the step ran for its effects or for fresh data: to skip it next time would be wrong. Or
    it was made from what is stale already: kept, it would pass for fresh.
    """
    if STALE in outcome.touched:
        return f"a step in it returned {STALE}"
    if policy.keep == "always":
        return ""
    if outcome.touched:
        return f"{', '.join(sorted(outcome.touched))}; give cache_expiration= or persist_result=True"
    return "it returned None; give persist_result=True" if outcome.value is None else ""


def ending(step: int, now: float, error: BaseException, why: str = "") -> events.Event:
    """The event that tells how a step ended without a value, and why it was not retried where that needs words."""
    words = reason(error) + (f" · not retried: {why}" if why else "")
    if _is_cancelled(error):
        return events.Cancelled(step, now, words)
    kind = events.TimedOut if isinstance(error, StepTimeout) else events.Failed
    return (kind if isinstance(error, Exception) else events.Crashed)(step, now, words, _trace(error))


def _is_cancelled(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError"  # asyncio's or the futures'


def _trace(error: BaseException) -> str:
    """The last part of its traceback, at most 8 KB."""
    try:
        return "".join(traceback.format_exception(error, limit=-_FRAMES))[-_SHOWN:]
    except Exception:  # noqa: BLE001 - its text or a part of it cannot be shown
        return reason(error)
