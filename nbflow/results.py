"""Where results are kept, in Prefect's words: `result_storage=ResultStore(result_storage=...)`."""

from dataclasses import dataclass
from typing import Any

__all__ = ["ResultStore"]


@dataclass(frozen=True, slots=True)
class ResultStore:
    """A place for results; what reads and writes there is the store in that folder.

    Attributes:
        result_storage: A folder, a `Store`, or a `LocalFileSystem`.
    """

    result_storage: Any = None
