import random

from nbflow.events import (
    Began,
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Hit,
    Logged,
    Missed,
    NotReady,
    Queued,
    Started,
    TimedOut,
    Unsaved,
    Waiting,
)
from nbflow.step.phases import ACTIVE, TERMINAL, TRANSITIONS, Phase, after

EVENTS = {
    Queued: Queued(1, 0.0, "fetch", (), None),
    Began: Began(1, 0.0, "fetch", (), None),
    Hit: Hit(1, 0.0, 1.0, 1.0, 1),
    Missed: Missed(1, 0.0, "first run", {}),
    Started: Started(1, 0.0, 1, 2),
    Waiting: Waiting(1, 0.0, 1, 1.0, "OSError"),
    Completed: Completed(1, 0.0, 1.0, 1),
    Unsaved: Unsaved(1, 0.0, "network"),
    Failed: Failed(1, 0.0, "OSError", ""),
    TimedOut: TimedOut(1, 0.0, "late", ""),
    Cancelled: Cancelled(1, 0.0, "KeyboardInterrupt"),
    Crashed: Crashed(1, 0.0, "SystemExit", ""),
    NotReady: NotReady(1, 0.0, "fetch failed"),
    Logged: Logged(1, 0.0, "INFO", "half way"),
}
ENDS = [Completed, Failed, TimedOut, Cancelled, Crashed]


def story(chance: random.Random) -> list[type]:
    """One of the orders in which an engine tells of a step."""
    told: list[type] = [Queued] if chance.random() < 0.5 else []
    if told and chance.random() < 0.2:
        return [*told, chance.choice([NotReady, Cancelled])]
    told.append(Began)
    kind = chance.random()
    if kind < 0.2:
        return [*told, Hit]
    if kind < 0.8:  # a step that runs uncached looks for nothing
        told.append(Missed)
    if kind < 0.3:  # another step stored the value meanwhile, or this one was interrupted while it waited
        return [*told, chance.choice([Hit, Cancelled])]
    told.append(Started)
    for _ in range(chance.randrange(4)):
        told += [Waiting, Started] if chance.random() < 0.8 else [Started]
    end = chance.choice(ENDS)
    if end is not Completed:
        return [*told, Waiting, end] if chance.random() < 0.3 else [*told, end]
    return [*told, *chance.choice([[Completed], [Unsaved, Completed], [Completed, Unsaved], [Waiting, Hit]])]


def test_every_order_that_the_engine_can_tell_ends_in_a_terminal_state():
    """Else a finished step would be shown as running for ever, or the panel would stop at an unknown order."""
    for chance in map(random.Random, range(500)):
        state = None
        told = story(chance)
        for number, kind in enumerate(told):
            assert (state, kind) in TRANSITIONS, f"{state} does not know {kind.__name__} in {told}"
            state = after(state, EVENTS[kind])
            assert after(state, EVENTS[Logged]) is state and (state, Logged) in TRANSITIONS
            if kind not in {Unsaved, Completed}:
                assert (state in TERMINAL) == (number == len(told) - 1)
        assert state in TERMINAL


def test_the_last_event_names_the_state():
    """Else users would read that a step failed which was cancelled, or ran which was cached."""
    ends = {
        Hit: "Cached",
        Completed: "Completed",
        Failed: "Failed",
        TimedOut: "TimedOut",
        Cancelled: "Cancelled",
        Crashed: "Crashed",
        NotReady: "NotReady",
    }
    for chance in map(random.Random, range(300)):
        told = story(chance)
        state = None
        for kind in told:
            state = after(state, EVENTS[kind])
        assert state == ends[[kind for kind in told if kind is not Unsaved][-1]]


def test_nothing_changes_after_the_end():
    """Else a runaway thread that speaks up late would turn a timed-out step into one that ran."""
    for state in TERMINAL:
        for event in EVENTS.values():
            assert after(state, event) is state


def test_a_retry_is_told_apart_from_the_first_attempt():
    """Else code that asks for Prefect's `AwaitingRetry` and `Retrying` would never see them."""
    state = None
    seen = []
    for kind in (Queued, Began, Missed, Started, Waiting, Started, Completed):
        state = after(state, EVENTS[kind])
        seen.append(str(state))
    assert seen == ["Pending", "Pending", "Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]


def test_every_state_has_an_icon_and_a_word():
    """Else somebody who cannot see colours, or whose font lacks an icon, could not tell states apart."""
    words = [state.word for state in Phase]
    assert all(words) and all(len(state.icon) == 1 for state in Phase)
    assert len(set(words)) == len(words) - 1, "only a retry that runs reads as one that runs"
    assert ACTIVE | TERMINAL == set(Phase) and not ACTIVE & TERMINAL


def test_a_state_that_is_active_can_always_end():
    """Else an interrupt in some state would leave a step that never ends."""
    for state in ACTIVE:
        for end in (Failed, TimedOut, Cancelled, Crashed):
            assert TRANSITIONS[state, end] in TERMINAL
