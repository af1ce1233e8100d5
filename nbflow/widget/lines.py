"""What a panel says, in words: lines and a headline as values.

All renderings, static, plain and live, lay out these same words, so that they cannot disagree.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final, NamedTuple

from nbflow.durations import ago, spell
from nbflow.keys.short import redacted
from nbflow.step.phases import ACTIVE, FAILURES, Phase
from nbflow.widget import plain
from nbflow.widget.rows import Row, Segment, Tally

__all__ = ["Line", "View", "line_of", "line_of_group", "reason_of", "spell_counts", "task_of"]

_NAME: Final = 96
_REASON: Final = 160
_TRACE: Final = 8192
_DEEPEST: Final = 6
_ORDER: Final = (
    Phase.RUNNING,
    Phase.RETRYING,
    Phase.AWAITING_RETRY,
    Phase.PENDING,
    Phase.COMPLETED,
    Phase.CACHED,
    Phase.ROLLED_BACK,
    Phase.FAILED,
    Phase.TIMED_OUT,
    Phase.CRASHED,
    Phase.CANCELLED,
    Phase.NOT_READY,
)


class Line(NamedTuple):
    """One line of a panel: a step, or all steps of one task.

    Attributes:
        word: The state in words; with `state.icon` before it, it never needs colour.
        name: The task with its arguments.
        reason: Why it ran, was cached, waits or failed.
        tries: `2/3`, or `""` when there is nothing to retry.
        segments: Where it stands on the timeline.
        time: How long it took, or what it saved.
        size: What is stored.
        trace: Its traceback.
        log: What it printed and logged, a line each.
        depth: How many of the lines above it belong to.
        steps: How many steps this line stands for.
    """

    state: Phase
    word: str
    name: str
    reason: str = ""
    tries: str = ""
    segments: tuple[Segment, ...] = ()
    time: str = ""
    size: str = ""
    trace: str = ""
    log: tuple[str, ...] = ()
    depth: int = 0
    steps: int = 1


class View(NamedTuple):
    """A moment of a panel.

    Attributes:
        now: When it was taken, in seconds since the epoch.
        began: Where the timeline begins.
        ended: When the last step ended, None while one is active.
        counts: How many steps are in each state.
        saved: Seconds that hits saved.
        lines: In the order in which the steps began.
        left_out: Steps that no line stands for.
        left: Seconds until all steps have ended, as far as earlier runs tell; None where they do not.
    """

    now: float = 0.0
    began: float = 0.0
    ended: float | None = 0.0
    counts: Mapping[Phase, int] = {}
    saved: float = 0.0
    lines: tuple[Line, ...] = ()
    left_out: int = 0
    left: float | None = None

    @property
    def total(self) -> int:
        """How many steps there are."""
        return sum(self.counts.values())

    @property
    def active(self) -> int:
        """How many steps have not ended."""
        return sum(self.counts.get(state, 0) for state in ACTIVE)

    @property
    def until(self) -> float:
        """Where the timeline ends."""
        return max(self.began, self.now if self.ended is None else self.ended)

    @property
    def state(self) -> Phase:
        """All steps in one word."""
        return _overall(self.counts)

    @property
    def headline(self) -> str:
        """The counts in a line: `8/14 steps · 2 cached (saved 1 min 23 s) · 1 failed · 1 min 5 s`."""
        parts = [self.summary]
        if self.total:
            parts.append(spell(self.until - self.began))
        if self.active and self.left:  # one that takes longer than ever may end at any time
            parts.append(f"about {spell(self.left)} left")
        return " · ".join(parts)

    @property
    def summary(self) -> str:
        """The headline without its clocks."""
        total, active = self.total, self.active
        parts = [
            f"{total - active:,}/{plain.spell_count(total, 'step')}" if active else plain.spell_count(total, "step")
        ]
        if cached := self.counts.get(Phase.CACHED, 0):
            parts.append(f"{cached:,} cached" + (f" (saved {spell(self.saved)})" if self.saved >= 0.001 else ""))
        bad = (*FAILURES, Phase.CANCELLED, Phase.NOT_READY)
        parts += [f"{self.counts[state]:,} {state.word}" for state in _ORDER if state in bad and self.counts.get(state)]
        return " · ".join(parts)

    @property
    def receipt(self) -> str:
        """One line for a run that only took results from the store: `load · cached 2 h ago · saved 41.2 s · 1.8 MB`."""
        if self.total == 1 and len(self.lines) == 1:
            line = self.lines[0]
            return " · ".join(part for part in (line.name, line.reason, line.time, line.size) if part)
        saved = f" · saved {spell(self.saved)}" if self.saved >= 0.001 else ""
        return f"{plain.spell_count(self.total, 'step')} cached{saved}"


def line_of(row: Row, now: float, depth: int = 0) -> Line:
    """A step in words; `now` makes its clocks run."""
    state = row.state
    word = state.word
    if state is Phase.AWAITING_RETRY:
        word = f"retry in {_countdown(row.retry_at - now)}"
    return Line(
        state,
        word,
        _name(row),
        plain.line(reason_of(row), _REASON),
        f"{row.attempt}/{row.attempts}" if row.attempt and row.attempts > 1 else "",
        row.segments or _tick(row),
        _time(row, now),
        plain.size(row.size) if row.size else "",
        plain.block(row.trace, _TRACE) if row.trace else "",
        tuple(row.log or ()),
        min(depth, _DEEPEST),
    )


def line_of_group(tally: Tally, now: float) -> Line:
    """All steps of one task in a line: `fetch ×480 · 471 ran · 6 cached · 3 failed`."""  # noqa: RUF002 - a multiplication sign is meant
    state = _overall(tally.counts)
    failed, active = (sum(tally.counts[each] for each in some) for some in (FAILURES, ACTIVE))
    ended = None if active else tally.ended
    bar = Phase.RUNNING if active else Phase.CACHED if state is Phase.CACHED else Phase.COMPLETED
    if state is Phase.CACHED:
        time = f"saved {spell(tally.saved)}" if tally.saved >= 0.001 else ""
    else:
        time = spell(max(0.0, (now if ended is None else ended) - tally.began))
    return Line(
        state,
        f"{failed:,} failed" if failed else state.word,
        f"{plain.line(tally.task, _NAME)} ×{tally.total:,}",  # noqa: RUF001 - as above
        spell_counts(tally.counts),
        segments=(Segment(tally.began, ended, bar),),
        time=time,
        size=plain.size(tally.size) if tally.size else "",
        steps=tally.total,
    )


def spell_counts(counts: Mapping[Phase, int]) -> str:
    """Counts by word: `471 ran · 6 cached · 3 failed`."""
    words: dict[str, int] = {}
    for state in _ORDER:
        if count := counts.get(state):
            words[state.word] = words.get(state.word, 0) + count
    return " · ".join(f"{count:,} {word}" for word, count in words.items())


def _overall(counts: Mapping[Phase, int]) -> Phase:
    """The state that matters most: something failed, something runs, something was cancelled, all was cached."""
    if any(counts.get(state) for state in FAILURES):
        return Phase.FAILED
    if any(counts.get(state) for state in ACTIVE - {Phase.PENDING}):
        return Phase.RUNNING
    # Of a queue whose first steps have ended the next is about to run.
    if counts.get(Phase.PENDING):
        return Phase.RUNNING if counts[Phase.PENDING] < sum(counts.values()) else Phase.PENDING
    for state in (Phase.NOT_READY, Phase.CANCELLED, Phase.ROLLED_BACK, Phase.COMPLETED):
        if counts.get(state):
            return state
    return Phase.CACHED if counts.get(Phase.CACHED) else Phase.COMPLETED


def _countdown(left: float) -> str:
    """Seconds in one unit: short, and of a width that does not jump about."""
    if left < 100:
        return f"{max(0, ceil(left))} s"
    return f"{left / 60:.0f} min" if left < 6000 else f"{left / 3600:.0f} h"


def task_of(row: Row) -> str:
    """A step's label, printable."""
    return plain.line(row.task, _NAME)


def _name(row: Row) -> str:
    if row.name:
        return plain.line(row.name, _NAME)
    task = task_of(row)
    if not row.arguments:
        return task
    return plain.line(f"{task}({', '.join(plain.line(redacted(part), 40) for part in row.arguments[:8])})", _NAME)


def reason_of(row: Row) -> str:
    """Why it ran, was cached, waits or failed."""
    if row.state is Phase.CACHED:
        return f"stale: {row.stale}" if row.stale else f"cached {ago(row.age)}"
    done = "" if row.progress is None else _share(*row.progress)
    if row.error:
        return f"{done} · {row.error}" if done else row.error
    if done:
        return done
    if row.note:
        return f"not cached: {row.note}"
    return f"miss: {row.why}" if row.why else ""


def _share(done: int, total: int | None) -> str:
    return f"{done:,}/{total:,}" if total is not None else f"{done:,} done"


def _time(row: Row, now: float) -> str:
    if row.state is Phase.CACHED:
        return f"saved {spell(row.saved)}" if row.saved >= 0.001 else ""
    if row.state is Phase.COMPLETED and row.attempt <= 1:
        return spell(row.cost)
    if not row.segments:
        return ""
    return spell(max(0.0, (now if row.ended is None else row.ended) - row.since))


def _tick(row: Row) -> tuple[Segment, ...]:
    """A step that never ran still has a place on the timeline once it has ended."""
    return () if row.ended is None else (Segment(row.ended, row.ended, row.state),)
