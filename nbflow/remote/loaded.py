"""Whether a worker has loaded the code that its caller has.

A call goes to a worker by the names of what is in modules, and what counts is what is loaded where it comes from: a
worker that is kept warm may have a module as it was before a reload, and a new one as it is since an edit. So a call
says what the code is that it reaches there, and a worker compares. Asking costs a microsecond as long as nothing was
bound anew.
"""

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from nbflow.errors import ConfigurationError, UnkeyableError
from nbflow.keys.body import unchanged
from nbflow.keys.encode import canonical
from nbflow.keys.origin import ours
from nbflow.keys.reach import Reach, reach

__all__ = ["VALUES", "Loaded", "loaded", "root"]


VALUES: Final = 16


class Loaded(NamedTuple):
    """What a thing reaches of the user's modules.

    Attributes:
        digest: Of the code, and in its last `VALUES` bytes of the globals that it reads and that can change.
        modules: Their names.
    """

    digest: bytes
    modules: tuple[str, ...]


def loaded(thing: Any) -> Loaded:
    """What a function, class or task reaches, as this process has it; nothing where that has no digest."""
    try:
        found = _reached(thing)
        if not found.modules:
            return _NOTHING
        live = canonical(found.live(), found.live_names) if found.live is not None else b""
    except (UnkeyableError, ConfigurationError):
        return _NOTHING
    return Loaded(found.code + blake2b(live, digest_size=VALUES).digest(), found.modules)


def root(function: Callable[..., Any], args: tuple[Any, ...]) -> Callable[..., Any]:
    """The user's function that a call is of, inside one of ours that takes it as its first argument."""
    while ours(getattr(function, "__module__", "")) and args and isinstance(args[0], partial):
        function, args = args[0].func, args[0].args
    return function


_NOTHING = Loaded(b"", ())
_known: dict[int, tuple["weakref.ref[Any]", Reach]] = {}


def _reached(thing: Any) -> Reach:
    known = _known.get(id(thing))
    if known is not None and known[0]() is thing and unchanged(known[1]):
        return known[1]
    found = reach(thing)
    number = id(thing)
    with suppress(TypeError):  # what cannot be referred to weakly is walked over each time
        _known[number] = weakref.ref(thing, partial(_known.pop, number)), found
    return found
