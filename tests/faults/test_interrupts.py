"""An interrupt may come at any instant: the next call has to work as if there had been none."""

import os
import subprocess
import sys

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


def test_stop_pressed_twice_leaves_no_cell_behind(ram):
    """Run again, the cell would wait for its own last run for ever, and what is printed would be lost."""
    environment = os.environ | {"NBFLOW_STORE": str(ram / "store"), "NBFLOW_PANEL": "off", "IPYTHONDIR": str(ram)}
    command = [sys.executable, "-m", "tests.faults.interrupts", str(STEP)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    bad, _, ends = done.stderr.splitlines()[-1].rpartition(" ")
    assert bad == "{}" and int(ends) > 10
