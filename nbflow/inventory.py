"""What a store holds, in the words that the command line and the notebook share: tables and single lines."""

from collections.abc import Iterable, Iterator, Sequence

from nbflow.durable.effects import DOUBT, Effect
from nbflow.durable.marks import JobStatus
from nbflow.durable.recorder import Run
from nbflow.durations import ago, seconds, spell
from nbflow.store import Info, Stats, Store, TaskStats, size_of
from nbflow.widget import plain

__all__ = [
    "Table",
    "known",
    "of_effects",
    "of_jobs",
    "of_results",
    "of_runs",
    "of_tasks",
    "pruned",
    "saved_by_tasks",
    "total",
]

Table = tuple[Sequence[str], Iterator[Sequence[str]]]
"""The names of the columns, and the rows."""


def of_tasks(tasks: Iterable[TaskStats], now: float) -> Table:
    """The tasks of which something is kept."""
    head = ("task", "results", "size", "took", "newest")
    return head, (
        (each.task, f"{each.entries:,}", plain.size(each.size), spell(each.cost), ago(now - each.newest))
        for each in tasks
        if each.entries
    )


def of_results(entries: Iterable[Info], now: float) -> Table:
    """The results of one task, newest first."""
    head = ("entry", "made", "took", "size", "used")
    return head, (
        (each.row[:12], ago(now - each.created), spell(each.cost), plain.size(each.size), ago(now - each.accessed))
        for each in sorted(entries, key=lambda entry: -entry.created)
    )


def of_runs(runs: Iterable[Run], now: float) -> Table:
    """What ran, newest first."""
    head = ("task", "began", "time", "tries", "came to", "error")
    return head, (
        (run.task, ago(now - run.began), spell(run.seconds), f"{run.attempts}", run.outcome, run.error) for run in runs
    )


def of_jobs(jobs: Iterable[JobStatus], now: float) -> Table:
    """How far jobs have come, the one that somebody last worked at first."""
    head = ("job", "done", "of", "begun")
    return head, (
        (job.name, f"{job.done:,}", "?" if job.total is None else f"{job.total:,}", ago(now - job.changed))
        for job in jobs
    )


def of_effects(effects: Iterable[Effect], now: float) -> Table:
    """Effects that are not known to be done."""
    head = ("effect", "by", "calls", "begun", "came to")
    return head, (
        (
            each.key,
            f"{each.made_by}()",
            f"{each.calls}",
            ago(now - each.began),
            f"raised {each.error}" if each.state == DOUBT else "under way, or its process died",
        )
        for each in effects
    )


def saved_by_tasks(tasks: Iterable[TaskStats]) -> Table:
    """What is kept of each task, and what that has saved."""
    head = ("task", "results", "size", "took", "hits", "saved")
    return head, (
        (
            each.task,
            f"{each.entries:,}",
            plain.size(each.size),
            spell(each.cost),
            f"{each.hits:,}",
            spell(each.saved),
        )
        for each in tasks
    )


def total(stats: Stats, store: Store) -> str:
    """How full a store is, and what it has saved, in one line."""
    kept = f"{plain.spell_count(stats.entries, 'result')}, {plain.size(stats.size)} of {plain.size(stats.max_size)}"
    return f"{kept}; {plain.spell_count(stats.hits, 'hit')} saved {spell(stats.saved)}; in {store.folder}"


def pruned(store: Store, max_size: str | None, older: str | None, task: str | None) -> str | None:
    """Drop what is too old or too much, and say how much that was; None where nothing is kept of that task.

    Args:
        store: Where.
        max_size: What may stay, such as `5GB`; None is the store's own bound.
        older: What was made longer ago goes, such as `30d`.
        task: Only its results; None: all.

    Raises:
        ConfigurationError: A size or a duration cannot be meant.
    """
    bound = None if max_size is None else size_of(max_size, "--max-size")
    age = None if older is None else seconds(older, "--older")
    before = store.stats()
    if task is not None and not any(each.task == task and each.entries for each in before.tasks):
        return None
    freed = store.prune(bound, age, task)
    after = store.stats()
    dropped = plain.spell_count(before.entries - after.entries, "result")
    left = f"{plain.spell_count(after.entries, 'result')}, {plain.size(after.size)} left in {store.folder}"
    return f"dropped {dropped}, {plain.size(max(freed, 0))}; {left}"


def known(store: Store) -> str:
    """What there is instead of what was asked for."""
    names = [each.task for each in store.stats().tasks if each.entries]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"; there is {', '.join(names[:8])}{more}" if names else f": the store {store.folder} is empty"
