"""Flows in the cells of a real kernel: called, awaited, logged, shown, interrupted."""

import pytest

from tests.integration.kernels import Kernel, result

pytestmark = pytest.mark.kernel

SETUP = """
import asyncio
from nbflow import flow, get_run_logger, task

@task
def double(x):
    print("doubling", x)
    return 2 * x

@flow(log_prints=True)
def etl(n):
    get_run_logger().warning("begin")
    return double.map(range(n))

@flow
async def later(n):
    await asyncio.sleep(0)
    return [double(each) for each in range(n)]
"""


def shown(out):
    """The text of the panel under a cell."""
    return [
        each[1] for each in out if each[0] in ("display_data", "update_display_data") and "nbflow" in (each[1] or "")
    ]


def test_flows_in_cells():
    """A flow in a notebook would not run, not be shown as the parent of its tasks, or leave something behind."""
    with Kernel(setup=SETUP, NBFLOW_PANEL="text") as kernel:
        # a plain call: value, rows nested under their flow, the log in the panel and not on stderr
        reply, out = kernel.run("etl(3)")
        assert reply["status"] == "ok", out
        assert result(out) == "[0, 2, 4]"
        rows = shown(out)[-1].splitlines()
        flow_row = next(i for i, row in enumerate(rows) if "etl(3)" in row)
        tasks = [row for row in rows if "double(" in row]
        assert len(tasks) == 3
        assert all(
            rows.index(each) > flow_row and indent(each, "double") > indent(rows[flow_row], "etl") for each in tasks
        )
        assert not [each for each in out if each[0] == "stream"], "prints are logged, and the log is shown in the panel"

        # the same again: its tasks are hits
        _, out = kernel.run("etl(3)")
        assert "3 cached" in shown(out)[-1], shown(out)

        # a flow that is awaited at the top level of a cell, and two side by side
        assert kernel.value("await later(2)") == "[0, 2]"
        assert kernel.value("await asyncio.gather(later(1), later(3))") == "[[0], [0, 2, 4]]"

        # a state instead of an error, and an error with the user's own lines
        kernel.run("@flow\ndef broken():\n    return 1 / 0")
        assert "ZeroDivisionError" in kernel.value("broken(return_state=True).message")
        reply, out = kernel.run("broken()")
        assert reply["ename"] == "ZeroDivisionError"
        trace = next(each[2] for each in out if each[0] == "error")
        assert "return 1 / 0" in trace
        assert trace.count("/nbflow/") <= 2, trace

        # a flow in a cell that is kept itself
        _, out = kernel.run("%%task whole\ntotal = sum(etl(4))")
        assert kernel.value("total") == "12"
        kernel.run("del total")
        _, out = kernel.run("%%task whole\ntotal = sum(etl(4))")
        assert kernel.value("total") == "12"
        assert kernel.hits("%%task whole\ntotal = sum(etl(4))")

        # Ctrl-C: what is queued is cancelled at once, and the kernel lives
        kernel.run(
            "import threading, time\n"
            "from nbflow import ThreadPoolTaskRunner\n"
            "ran, futures = [], []\n"
            "@task(persist_result=False)\ndef slow(x):\n    ran.append(x); time.sleep(1)\n"
            "@flow(task_runner=ThreadPoolTaskRunner(max_workers=1))\n"
            "def hang():\n    futures.extend(slow.submit(x) for x in range(30))\n    print('go', flush=True)\n"
            "    return [each.result() for each in futures]"
        )
        reply, _ = kernel.interrupt_in("hang()", "go")
        assert reply["status"] == "error"
        assert reply["ename"] == "KeyboardInterrupt"
        assert kernel.value("sum(each.cancelled() for each in futures) >= 28") == "True"

        # nothing is left behind
        assert kernel.value("print is __import__('builtins').print and print.__module__") == "'builtins'"


def indent(row, word):
    return row.index(word)
