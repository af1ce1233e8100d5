"""What a worker finds in an order: the function and its arguments, with the code that they have at home."""

import linecache
import pickle
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from importlib import invalidate_caches
from typing import Any

from nbflow.remote.loaded import VALUES, loaded, root
from nbflow.remote.parcels import Order, unpacked

__all__ = ["opened"]


@lru_cache(32)
def _function(data: bytes) -> Any:
    return unpacked(data)


_Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def opened(order: Order) -> _Call | str:
    """What is to be called; where modules here have other code, also if they are imported anew, how they differ."""
    mark = order.function, order.things, order.modules, order.codes
    if not order.codes or mark in _alike:  # what calls have changed here since is theirs
        return _unpacked(order)
    found = _same(order)
    if isinstance(found, str) and mark not in _others:
        with _renewing:
            found = _same(order)  # it may be the work of another thread by now
            if isinstance(found, str):
                _renew(order.modules)
                found = _same(order)
    (_others if isinstance(found, str) else _alike).add(mark)
    return found


def _unpacked(order: Order) -> _Call:
    if not order.function:
        return unpacked(order.call), (), {}
    return _function(order.function), *pickle.loads(order.call)


def _same(order: Order) -> _Call | str:
    """What is to be called, if its code is that of the process that it comes from; else how it differs."""
    try:
        call = _unpacked(order)
        things = pickle.loads(order.things) if order.things else ()
    except (ImportError, AttributeError):  # what is not there yet is other code, too
        return "code"
    codes = tuple(loaded(each).digest for each in (root(*call[:2]), *things))
    if codes == order.codes:
        return call
    same = all(one[:-VALUES] == other[:-VALUES] for one, other in zip(codes, order.codes, strict=True))
    return "values" if same else "code"


_others: set[tuple[Any, ...]] = set()
"""Orders whose code importing anew did not give."""
_alike: set[tuple[Any, ...]] = set()
"""Orders whose code was found to be what is loaded here."""
_renewing = threading.Lock()


def _renew(modules: tuple[str, ...]) -> None:
    """Let modules be imported anew when they are next asked for: the caller may have reloaded them since an edit."""
    invalidate_caches()
    for name in modules:
        sys.modules.pop(name, None)
    linecache.checkcache()
    _function.cache_clear()
    _alike.clear()
