"""An interrupt may come at any instant: the next call has to work as if there had been none."""

import pytest

from nbflow import task
from tests.faults.interrupts import every_line

STEP = 7


@task(log_prints=True, persist_result=True)
def plain(x):
    return x


@task(persist_result=True)
def items(x):
    yield x


@task(persist_result=True, retries=1)
def outer(x):
    return plain(x)


CALLS = {
    "call": plain,
    "state": lambda x: plain(x, return_state=True),
    "generator": lambda x: list(items(x)),
    "inner": outer,
}


@pytest.mark.parametrize("kind", CALLS)
def test_an_interrupt_leaves_nothing_behind(fresh, kind):
    """After a Ctrl-C at the wrong instant the same call would wait for ever, and prints and files belong to no step."""
    call = CALLS[kind]
    call(0)
    bad, calls = every_line(call, lambda x: plain.submit(x).result(timeout=5), STEP)
    assert not bad
    assert calls > 50
