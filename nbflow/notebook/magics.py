"""The magics."""

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Load."""


def unload_ipython_extension(shell: Any) -> None:
    """Unload."""
