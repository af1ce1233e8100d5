"""Every exception that nbflow raises, split by who must act.

A user's own error passes through unchanged; none of these ever wraps it.
"""

__all__ = [
    "CancelledRun",
    "ConfigurationError",
    "CrashedRun",
    "DamagedError",
    "DurationError",
    "FailedRun",
    "InterfaceError",
    "NbflowError",
    "NotReadyError",
    "StepTimeout",
    "StoreError",
    "UnfinishedRun",
    "UnkeyableError",
    "UnstorableError",
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


class UnstorableError(StoreError):
    """A result that must not or cannot be kept: its run changed an input, a part has no stored form, it is too big.

    Attributes:
        path: Where that part is, as one would write it in Python: `['model'].lock`; `""` is the result itself.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


# The caller must act.


class UnfinishedRun(NbflowError, RuntimeError):  # noqa: N818 - Prefect's name, as those below
    """There is no result: the run has not ended, or never began."""


class NotReadyError(UnfinishedRun):
    """A step was not called because one it depends on failed."""


class FailedRun(NbflowError, RuntimeError):
    """A run ended in a failed state that holds no exception of its own; the message is the state's."""


class CrashedRun(FailedRun):
    """A run ended in a crashed state that holds no exception of its own."""


class CancelledRun(FailedRun):
    """A run ended in a cancelled state that holds no exception of its own."""


class InterfaceError(NbflowError, RuntimeError):
    """A call that makes no sense here, such as a task that waits for itself."""


class StepTimeout(NbflowError, TimeoutError):  # noqa: N818 - a TimeoutError to whoever catches one
    """A step ran past its `timeout_seconds` or `deadline_seconds`."""
