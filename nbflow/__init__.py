"""nbflow: notebooks that restart where they stopped.

Put `%%task` before a cell or `@task` above a function: the result is kept on disk under a key made of the
code and the data that it depends on, flaky calls are retried, and a panel shows every step.

    %load_ext nbflow

    from nbflow import task

    @task(retries=5, retry_delay_seconds=[5, 10, 20], cache_expiration="1d")
    def fetch(url): ...

    fetch(url)          # runs, or comes back from disk
    fetch.map(urls)     # the same on threads; a bad item never takes the others down

What there is; `help(nbflow.task)` and so on tell all of it, `%%task?` and `%nbflow?` what there is in notebooks.

Steps
    task, flow: make one of a function; Task, Flow: what they make; TaskOptions, FlowOptions: all that they take.
    transaction, get_transaction: a group of steps that is kept, or undone, as a whole.
    tags, get_run_logger: words for the runs in a block; where a run logs to.

What is kept, and when it is a hit
    INPUTS, TASK_SOURCE, DEFAULT (both), FLOW_PARAMETERS, RUN_ID, NO_CACHE: parts of a key, for `cache_policy=`.
    task_input_hash: for `cache_key_fn=`; digest, register_digest: what a value is to a key, and how to say it.
    Explanation: what `explain` of a task gives; Store, open_store: where results are.

Retries
    Retry: raise it to try again; exponential_backoff: for `retry_delay_seconds=`; attempts: those behind an error.

Many at a time
    Future, State: what `submit` gives, and what a run came to; wait, as_completed, resolve_futures_to_results.
    unmapped, quote, allow_failure: around an argument: the same for all items, not searched, even if it failed.
    ThreadPoolTaskRunner, ConcurrentTaskRunner, ProcessPoolTaskRunner, DaskTaskRunner, SequentialTaskRunner: where.

Work that outlives a crash
    checkpoint: a loop that goes on where it stopped, a Job; once: an effect that happens once; history: what ran.

The session
    configure: its settings; panel: all its steps, live; nbflow.testing: what makes your own tests fast and certain.

Errors, all of them NbflowError
    ConfigurationError, DurationError, UnkeyableError, InterfaceError: yours to mend, where it is declared or called.
    StoreError, DamagedError, UnstorableError, LedgerError: of what is on disk.
    StepTimeout, RetryExhausted, WorkerDied, NotReadyError, FailedRun, CancelledRun, CrashedRun, UnfinishedRun: why a
    step has no result; InDoubt, InProgress, KeyConflict: why `once` calls nothing.
"""

from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.api import *  # noqa: F403 - what __getattr__ finds, for type checkers

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Find a public name, and `__all__`, when it is first used: `import nbflow` itself costs next to nothing."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
    if PathFinder.find_spec(f"nbflow.{name}", __path__):  # noqa: F405 - the import system sets it; one module of ours does not need all the others
        raise AttributeError(f"module 'nbflow.{name}' is not imported yet")
    api = import_module("nbflow.api")
    if name != "__all__" and name not in api.__all__:
        raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nbflow`: the magics, the panel."""
    import_module("nbflow.notebook").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext nbflow`: everything is put back."""
    import_module("nbflow.notebook").unload_ipython_extension(shell)
