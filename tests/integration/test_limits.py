"""Limits, retries and interrupts in a real kernel, of tasks and of cells: it stays alive whatever rings when."""

import pytest

from tests.integration.kernels import error, told

pytestmark = pytest.mark.kernel

TASKS = """
import asyncio, signal, time
from nbflow import Retry, attempts, task

@task(persist_result=False, timeout_seconds=0.2)
async def awaits(): await asyncio.sleep(60)

@task(persist_result=False, timeout_seconds=0.2)
async def blocks(): time.sleep(60)

@task(persist_result=False, timeout_seconds=0.2)
def sleeps(): time.sleep(60)

@task(persist_result=False, retries=3, retry_delay_seconds=60)
def fails():
    print("here", flush=True)
    raise OSError("x")

@task(persist_result=False, retries=3, retry_delay_seconds=60)
async def afails(): fails.fn()
"""
RESTS = "signal.getsignal(signal.SIGALRM) is signal.SIG_DFL, signal.getitimer(signal.ITIMER_REAL)"


@pytest.mark.parametrize(
    "cell",
    [
        "sleeps()",
        "await awaits()",
        "await blocks()",
        "await asyncio.gather(*(awaits() for _ in range(20)), blocks())",
        "%%task t --timeout 0.2\nimport time\ntime.sleep(60)",
        "%%task t --timeout 0.2\nimport asyncio\nawait asyncio.sleep(60)",
        "%%task t --timeout 0.2\nimport asyncio, time\nawait asyncio.sleep(0)\ntime.sleep(60)",
    ],
)
def test_a_limit_ends_the_cell_and_not_the_kernel(k, cell):
    """A handler that raises while an async cell awaits kills the kernel, and with it an hour of work."""
    k.out(TASKS)
    reply, out = k.run(cell)
    assert reply["ename"] == "StepTimeout", out
    assert "the attempt took more than 200 ms" in error(out)
    k.out("await asyncio.sleep(0.3)")  # nothing rings late
    assert k.value(RESTS) == "(True, (0.0, 0.0))"


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("fails()", "KeyboardInterrupt"),
        ("fails.submit().result()", "KeyboardInterrupt"),
        ("await afails()", "CancelledError"),
        ("await asyncio.gather(afails(), afails())", "CancelledError"),
    ],
)
def test_an_interrupt_ends_a_wait_at_once(k, cell, name):
    """As ipykernel hears of Ctrl-C only when its loop wakes, a wait of an hour could not be ended."""
    k.out(TASKS)
    timed = f"try:\n    {cell}\nexcept BaseException as stop:\n    print(type(stop).__name__, time.time())\n    raise"
    reply, out = k.interrupt_in(timed, "here")
    assert reply["ename"] == name, out
    assert k.value("1 + 1") == "2"


def test_which_errors_of_a_cell_are_retried(k):
    """Of a typo one would see three attempts; or an assertion that waits for a service could not be retried at all."""
    k.out("import builtins\nbuiltins.tries = 0")
    for flags, body, count in (
        ("", "assert False", 1),
        ("--retry-on AssertionError", "assert False", 3),
        ("--retry-on Exception", "assert False", 1),
        ("--retry-on UnboundLocalError", "raise UnboundLocalError", 3),
        ("--retry-on AssertionError", "undefined_name", 1),
        ("--retry-on KeyError", "from nbflow import Retry\nraise Retry(after=0.01)", 3),
    ):
        k.out("builtins.tries = 0")
        k.run(f"%%task t --retries 2 {flags}\nimport builtins\nbuiltins.tries += 1\n{body}")
        assert k.value("tries") == str(count), (flags, body)


def test_retry_in_a_cell_waits_as_asked_and_ends_with_its_cause(k):
    """One would see that a retry was asked for, and not what went wrong."""
    body = "from nbflow import Retry\ntry:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise Retry(after=0.01) from error"
    reply, out = k.run(f"%%task t --retries 2 --retry-delay 60\n{body}")
    assert reply["ename"] == "ZeroDivisionError", out
    assert "nbflow: it was raised in line 4 of the cell" in error(out) and "3 attempts" in told(out)
    assert "nbflow/" not in error(out)
    reply, out = k.run("%%task t --retries 1\nfrom nbflow import Retry\nraise Retry('not there yet', after=0.01)")
    assert (reply["ename"], reply["evalue"]) == ("Retry", "not there yet")
