"""The same function cached by each peer that is installed, with all of them as users have them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["cached"]


def cached(function: Callable[..., Any], folder: Path, **options: Any) -> dict[str, Callable[..., Any]]:
    """The function as an nbflow task and as each peer's; a peer that is missing is left out."""
    from nbflow import task

    made: dict[str, Callable[..., Any]] = {"nbflow": task(**options)(function)}
    try:
        import diskcache

        made["diskcache"] = diskcache.Cache(folder / "diskcache", size_limit=1 << 40).memoize()(function)
    except ImportError:
        print("diskcache is not installed: pip install nbflow[bench]")
    try:
        import joblib

        made["joblib"] = joblib.Memory(folder / "joblib", verbose=0).cache(function)
    except ImportError:
        print("joblib is not installed: pip install nbflow[bench]")
    return made
