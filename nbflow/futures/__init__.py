"""All about futures, in one place: what `submit` and `map` give, and what is done with it."""

from nbflow.annotations import allow_failure, opaque, quote, unmapped
from nbflow.futures.future import Future, FutureList, as_completed, blocking, wait
from nbflow.futures.inputs import futures_in, resolve_futures_to_results, resolve_futures_to_states

PrefectFuture, PrefectFutureList = Future, FutureList
"""Prefect's names, for annotations."""

__all__ = [
    "Future",
    "FutureList",
    "PrefectFuture",
    "PrefectFutureList",
    "allow_failure",
    "as_completed",
    "blocking",
    "futures_in",
    "opaque",
    "quote",
    "resolve_futures_to_results",
    "resolve_futures_to_states",
    "unmapped",
    "wait",
]
