"""Every exception that nbflow raises, split by who must act.

A user's own error passes through unchanged; none of these ever wraps it.
"""

import pickle
from typing import Any

__all__ = [
    "CancelledRun",
    "ConfigurationError",
    "CrashedRun",
    "DamagedError",
    "DurationError",
    "FailedRun",
    "InDoubt",
    "InProgress",
    "InterfaceError",
    "KeyConflict",
    "LedgerError",
    "NbflowError",
    "NotReadyError",
    "RetryExhausted",
    "StepTimeout",
    "StoreError",
    "UnfinishedRun",
    "UnkeyableError",
    "UnstorableError",
    "WorkerDied",
]


class NbflowError(Exception):
    """Base of all nbflow errors."""


# The author of a declaration must act.


class ConfigurationError(NbflowError, ValueError):
    """An option, a flag or a setting cannot be meant as it was written."""


class DurationError(ConfigurationError):
    """A duration that does not parse, or is negative, infinite or not a number."""


class UnkeyableError(NbflowError, TypeError):
    """A value has no content that a deterministic key could be made of.

    Attributes:
        what: The message without the advice, for a face that gives it in words of its own.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)
        self.what = what


# The disk must be looked at.


class StoreError(NbflowError):
    """The store could not be opened, read or written."""


class DamagedError(StoreError):
    """An entry is torn, changed, or sealed by somebody else; nothing of it was unpickled."""


class LedgerError(StoreError):
    """The ledger is damaged, or of another version: nobody knows what was done, so nothing that has effects is run."""


class UnstorableError(StoreError):
    """A result that must not or cannot be kept: its run changed an input, a part has no stored form, it is too big.

    Attributes:
        path: Where that part is, as one would write it in Python: `['model'].lock`; `""` is the result itself.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


# The caller must act.


class InDoubt(NbflowError, RuntimeError):  # noqa: N818 - a state of affairs, as those below
    """An effect may have happened or not: its call died or raised. Look, then tell by `once.resolve`."""


class InProgress(NbflowError, RuntimeError):  # noqa: N818 - as above
    """Somebody is at this effect now, perhaps the caller itself, further out."""


class KeyConflict(NbflowError, ValueError):  # noqa: N818 - as above
    """The key of an effect was used before, for another function or with other arguments."""


class UnfinishedRun(NbflowError, RuntimeError):  # noqa: N818 - Prefect's name, as those below
    """There is no result: the run has not ended, or never began."""


class NotReadyError(UnfinishedRun):
    """A step was not called because one it depends on failed."""


class FailedRun(NbflowError, RuntimeError):  # noqa: N818 - as above
    """A run ended in a failed state that holds no exception of its own; the message is the state's."""


class CrashedRun(FailedRun):
    """A run ended in a crashed state that holds no exception of its own."""


class CancelledRun(FailedRun):
    """A run ended in a cancelled state that holds no exception of its own."""


class InterfaceError(NbflowError, RuntimeError):
    """A call that makes no sense here, such as a task that waits for itself."""


class StepTimeout(NbflowError, TimeoutError):  # noqa: N818 - a TimeoutError to whoever catches one
    """A step ran past its `timeout_seconds` or `deadline_seconds`.

    Attributes:
        limit: Seconds that the attempt had.
        elapsed: Seconds after which it ended, or was given up.
        stack: Where it was then, as the text of a traceback; `""` where nobody could look.
    """

    limit: float | None = None
    elapsed: float | None = None
    stack: str = ""


class RetryExhausted(NbflowError, RuntimeError):  # noqa: N818 - as tenacity's RetryError, which says less
    """No attempt gave a result that `retry_if_result` lets pass.

    Attributes:
        value: What the last attempt returned. Where it does not pickle, a pickle of this has the name of its type.
    """

    def __init__(self, message: str, value: Any = None) -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        """With its value, if that pickles."""
        try:
            pickle.dumps(self.value)
        except Exception:  # noqa: BLE001 - whatever it is, the error itself must get through
            state = {**self.__dict__, "value": f"({type(self.value).__name__}, which does not pickle)"}
        else:
            state = self.__dict__
        return type(self), self.args, state


# The machine must be looked at.


class WorkerDied(NbflowError, RuntimeError):  # noqa: N818 - named after what happened, as Dask's KilledWorker is
    """A worker process ended while it ran a step: killed, out of memory, or by an exit of its own."""
