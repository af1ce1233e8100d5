"""Where results are kept, in Prefect's words: `result_storage=LocalFileSystem(basepath="results")`."""

import os
from dataclasses import dataclass

__all__ = ["LocalFileSystem"]


@dataclass(frozen=True, slots=True)
class LocalFileSystem:
    """A folder of this machine; a store is made in it when a result is kept.

    Attributes:
        basepath: The folder.
    """

    basepath: str | os.PathLike[str] | None = None
