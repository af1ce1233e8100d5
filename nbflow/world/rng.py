"""Facts about the global random generators, `random` and numpy's legacy one, once the user has seeded them.

An unseeded generator is noise: a result that drew from it must hit after a restart, so it is never a fact. A seeded
one is an input of each step that draws, and where the step left it is an output, put back on a hit. A snapshot costs
10 µs for `random` and 46 µs for numpy, more than a small task, so it has to be known which of them was seeded.
"""

import _random
import random
import sys
from hashlib import blake2b
from importlib import import_module
from typing import Any

from nbflow.trace import Fact

__all__ = [
    "SETTERS",
    "Before",
    "State",
    "before",
    "broken",
    "changed",
    "digest",
    "restore",
    "rewind",
    "seeds",
    "snapshot",
]

SETTERS = frozenset({"seed", "set_state"})
"""Names that code which sets numpy's generator speaks of."""

State = dict[str, Any]
"""Where seeded generators stand, by name: plain data that pickles."""

_seeded = False
_open: "list[Before]" = []
_restored: object = None


class Before:
    """Where the seeded generators stood when a run began. Close it by `changed`."""

    __slots__ = ("fresh", "set", "state")

    def __init__(self) -> None:
        self.state = snapshot()
        self.fresh: set[str] = set()  # those that were seeded anew, before anything was drawn from them
        self.set: set[str] = set()  # those that were seeded, and may stand where they stood before
        _open.append(self)


def before() -> Before | None:
    """Note where the generators stand; None, in 0.3 µs, while none is seeded."""
    return Before() if _seeded or _numpy() is not None else None


def changed(start: Before | None) -> tuple[tuple[Fact, ...], State]:
    """What a run drew on and where it left the generators: facts and the state to restore on a hit.

    The state holds those generators alone that the run seeded or drew from; it is empty if there were none.
    A run that seeds before it draws does not depend on how it found `random`; of numpy's that is only known where
    `seeds` was told. One that seeds a generator to the state that it is in has set it all the same: of `random` that
    is heard; of numpy's it is only known that the code speaks of it, and then such a result holds where the generator
    is found like that.
    """
    if start is None:
        if not _seeded and _numpy() is None:
            return (), {}
        return (), snapshot()  # seeded in the run
    if start in _open:
        _open.remove(start)
    now = snapshot()
    set_ = start.set
    moved = {name: state for name, state in now.items() if name in set_ or not _same(state, start.state.get(name))}
    facts = [
        Fact("random", name, digest(start.state[name]))
        for name in moved
        if name in start.state and name not in start.fresh
    ]
    return tuple(facts), moved


def seeds(start: Before | None, function: object) -> None:
    """The code is about to call this function with a number: it may be what seeds numpy's generator."""
    legacy = _legacy()
    own = function is getattr(sys.modules.get("numpy.random"), "seed", None) or function == getattr(
        legacy, "seed", None
    )
    if start is None or legacy is None or not own:
        return
    start.set.add("numpy.random")
    if "numpy.random" in start.state and _same(legacy.get_state(legacy=False), start.state["numpy.random"]):
        start.fresh.add("numpy.random")


def restore(state: State) -> None:
    """Put generators back to where a run left them, and hold them for seeded."""
    global _restored  # noqa: PLW0603 - one process has one of each generator
    if "random" in state:
        random.setstate(_tuples(state["random"]))
    if "numpy.random" in state:
        numpy = import_module("numpy.random.mtrand")._rand  # noqa: SLF001 - as in `_numpy`; numpy loads it late
        numpy.set_state(state["numpy.random"])
        _restored = numpy._bit_generator  # noqa: SLF001 - as in `_numpy`


def broken(known: Fact) -> str | None:
    """Why a generator does not stand where the run found it, None if it does."""
    state = snapshot().get(known.subject)
    if state is not None and digest(state) == known.digest:
        return None
    return f"the state of {known.subject} changed"


def rewind(state: State) -> None:
    """Put generators back for another attempt. Nobody is told of a seeding: one that nobody seeded stays noise."""
    instance: Any = getattr(random, "_inst")  # noqa: B009 - as good as public: every function of the module is its method
    _, words, instance.gauss_next = state["random"]
    _random.Random.setstate(instance, words)
    numpy = _legacy()
    if "numpy.random" in state and numpy is not None:
        numpy.set_state(state["numpy.random"])


def snapshot(*, unseeded: bool = False) -> State:
    """Where the seeded generators stand, for `restore`; or all, for `rewind`: may load numpy's, which takes 10 ms."""
    state: State = {}
    if unseeded:
        getattr(sys.modules.get("numpy"), "random", None)  # asking loads it: it is lazy, and then seeds itself
    if _seeded or unseeded:
        state["random"] = random.getstate()
    numpy = _legacy() if unseeded else _numpy()
    if numpy is not None:
        state["numpy.random"] = numpy.get_state(legacy=False)
    return state


def _legacy() -> Any:
    return getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)


def _numpy() -> Any:
    """Numpy's legacy generator if it is seeded: its `seed_seq` is None exactly after `np.random.seed` (80 ns).

    So nothing is wrapped, numpy is never imported, and seeding before nbflow came is seen. `np.random.seed(None)`
    looks the same; a bare `np.random.set_state` does not count as seeding.
    """
    rand = _legacy()
    if rand is None:
        return None
    bits = rand._bit_generator  # noqa: SLF001 - the public get_state copies 2.5 KB
    return rand if getattr(bits, "seed_seq", bits) is None or bits is _restored else None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if hasattr(one, "tobytes") and hasattr(other, "tobytes"):
        return bool(one.tobytes() == other.tobytes())
    return bool(one == other)


def digest(state: Any) -> str:
    """The digest of where a generator stands."""
    if isinstance(state, dict):
        words = state["state"]
        rest = [(name, state[name]) for name in sorted(state) if name != "state"]
        state = (
            [(name, words[name].tobytes() if hasattr(words[name], "tobytes") else words[name]) for name in words],
            rest,
        )
    return blake2b(repr(state).encode(), digest_size=16).hexdigest()


def _tuples(state: Any) -> Any:
    return tuple(map(_tuples, state)) if isinstance(state, (list, tuple)) else state


class _Told(_random.Random):
    """Hears of what sets the state of `random`, which tells nothing by itself, unless before nbflow was imported.

    The module's one hidden instance gets a class whose method order is `Random`, this, C: the `super().seed(...)`
    inside `Random.seed` then passes by here. Functions taken out before (`from random import seed`) are bound to
    that instance and seen too; drawing runs the same C code as ever, and other instances are not touched.
    """

    __slots__ = ()

    def seed(self, *args: Any) -> None:
        _about_to_seed(certain=args not in ((None,), ()))
        super().seed(*args)

    def setstate(self, state: Any) -> None:
        _about_to_seed(certain=True)
        super().setstate(state)


class _Global(random.Random, _Told):
    __slots__ = ()

    def __reduce__(self) -> Any:
        return random.Random, (), self.getstate()


def _about_to_seed(*, certain: bool) -> None:
    global _seeded  # noqa: PLW0603 - as above
    for start in _open:
        start.set.add("random")
        if "random" in start.state and random.getstate() == start.state["random"]:
            start.fresh.add("random")
    _seeded = certain


def _arm() -> None:
    instance: Any = getattr(random, "_inst", None)
    if type(instance) is random.Random:
        try:
            instance.__class__ = _Global
        except TypeError:  # pragma: no cover - an interpreter that lays classes out in another way
            return


_arm()
