"""The random generators that everyone shares, put back to where they were between two attempts.

Seeded or not: an attempt that failed must not make the next one draw other numbers. Nobody is told of a seeding by
this, so a generator that nobody seeded stays noise, as `nbflow.world.rng` has it.
"""

import _random
import random
import sys
from typing import Any

__all__ = ["rewind", "snapshot"]


def snapshot() -> tuple[Any, Any]:
    """Where `random` and numpy's shared generator stand; 60 µs, and 10 ms where numpy's has to be loaded first."""
    getattr(sys.modules.get("numpy"), "random", None)  # asking loads it: it is lazy, and then seeds itself
    numpy = _numpy()
    return random.getstate(), numpy.get_state(legacy=False) if numpy is not None else None


def rewind(state: tuple[Any, Any]) -> None:
    """Put them back there."""
    own, numpys = state
    instance: Any = getattr(random, "_inst")  # noqa: B009 - as good as public: every function of the module is its method
    _random.Random.setstate(instance, own[1])
    instance.gauss_next = own[2]
    numpy = _numpy()
    if numpy is not None and numpys is not None:
        numpy.set_state(numpys)


def _numpy() -> Any:
    return getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
