"""What the panel's buttons do, and what each says it did."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from nbflow.engine import controls
from nbflow.engine.slot import overdue
from nbflow.futures.future import on_their_way
from nbflow.session import session
from nbflow.step.phases import ACTIVE, FAILURES, Phase
from nbflow.widget import plain
from nbflow.widget.lines import task_of
from nbflow.widget.rows import Row
from nbflow.widget.view import Board

__all__ = ["ACTIONS", "perform"]


class _Target(NamedTuple):
    """What an action needs of a row."""

    step: int
    task: str
    name: str
    phase: Phase
    key: str


def perform(board: Board, action: str, steps: Iterable[int]) -> str:
    """Do something to steps, and say in a line what came of it.

    Args:
        board: Where their rows are.
        action: One of `ACTIONS`.
        steps: Their numbers; unknown ones are left out.
    """
    found = [board.row(step, _target) for step in steps]
    return ACTIONS[action]([each for each in found if each is not None])


def _target(row: Row) -> _Target:
    return _Target(row.step, row.task, task_of(row), row.state, row.key)


def _cancel(targets: list[_Target]) -> str:
    """End what is queued, waits, or runs where it can be interrupted."""
    came: Counter[str] = Counter()
    futures = {future.step: future for future in list(on_their_way)}  # at once: there may be ten thousand of each
    for each in targets:
        if each.phase not in ACTIVE:
            continue
        future = futures.get(each.step)
        if future is not None and future.cancel():
            came["cancelled"] += 1
        elif controls.stop(each.step):
            came["stopping"] += 1
        elif each.phase is Phase.PENDING and future is None:
            came["not begun yet: try again"] += 1
        else:
            came["still running: a thread cannot be stopped, it ends before its next attempt"] += 1
    return ", ".join(f"{count:,} {what}" for what, count in came.items()) or "nothing is left to cancel"


def _wake(targets: list[_Target]) -> str:
    """End waits before a retry."""
    woken = sum(controls.wake(each.step) for each in targets if each.phase is Phase.AWAITING_RETRY)
    return f"{plain.spell_count(woken, 'step')} tried again now" if woken else "nothing waits for a retry"


def _again(targets: list[_Target]) -> str:
    """Run what failed once more."""
    failed = [each for each in targets if each.phase in FAILURES]
    calls = [call for each in failed if (call := controls.again(each.step))]
    for call in calls:
        call()
    missing = len(failed) - len(calls)
    if not failed:
        return "nothing failed"
    lost = f"{plain.spell_count(missing, 'step')}: run the cell again" if missing else ""
    if not calls:
        return lost
    done = f"{plain.spell_count(len(calls), 'step')} started again; run the cell again to use what they return"
    return f"{done}; {lost}" if lost else done


def _refresh(targets: list[_Target]) -> str:
    """Pass over what is kept, the next time."""
    keys = {each.key for each in targets if each.key and each.phase not in ACTIVE}
    if not keys:
        return "nothing is kept of this"
    overdue.update(keys)
    return f"{_whose(targets)} will run again the next time, whatever is kept"


def _clear(targets: list[_Target]) -> str:
    """Drop what is kept."""
    dropped = 0
    for key, task in {each.key: each.task for each in targets if each.key}.items():
        store = session.store_of(task)
        if store is not None:
            dropped += store.forget(key)
    return f"{plain.spell_count(dropped, 'result')} dropped" if dropped else "nothing is kept of this"


def _whose(targets: list[_Target]) -> str:
    names = {each.name for each in targets}
    return names.pop() if len(names) == 1 else plain.spell_count(len(targets), "step")


ACTIONS: Final[dict[str, Callable[[list[_Target]], str]]] = {
    "cancel": _cancel,
    "wake": _wake,
    "again": _again,
    "refresh": _refresh,
    "clear": _clear,
}
"""What a page may ask for."""
