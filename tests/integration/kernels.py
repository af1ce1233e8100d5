"""A real kernel, driven cell by cell, and what came out of it in a form that is easy to compare."""

import os
import re
import sys
import tempfile
from pathlib import Path

from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
ANSI = re.compile(r"\x1b\[[0-9;]*m")
SETUP = """
%load_ext nbflow
import builtins
def __wipe__():
    from nbflow.notebook.inputs import ipythons
    from nbflow.session import session
    names = get_ipython().user_ns
    for name in [name for name in names if not ipythons(name)]:
        del names[name]
    session.store.clear()
builtins.__wipe__ = __wipe__
del __wipe__, builtins
"""


class Kernel:
    """One kernel on a store of its own, with nbflow loaded.

    Args:
        store: A folder to share with another kernel; None is a new one.
        setup: Code to run first.
        load: Whether nbflow is loaded.
        folder: Where it runs; None is a new one.
    """

    def __init__(self, store=None, setup="", load=True, folder=None, **environment):
        self.folder = str(folder or tempfile.mkdtemp(prefix="nbflow-kernel-"))
        self.store = str(store or Path(self.folder) / "store")
        variables = {
            **os.environ,
            "NBFLOW_STORE": self.store,
            "PYTHONPATH": str(ROOT),
            "MPLCONFIGDIR": f"{self.folder}/mpl",
        }
        variables |= {"IPYTHONDIR": f"{self.folder}/ipython", "NBFLOW_PANEL": "off", **environment}
        variables.pop("PYTEST_CURRENT_TEST", None)
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{self.folder}/ipc")
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel(env=variables, cwd=self.folder)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(60)
        for code in (SETUP if load else "", setup):
            reply, out = self.run(code)
            if reply["status"] != "ok":
                self.close()
                raise AssertionError(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.client.stop_channels()
        measured = "COVERAGE_PROCESS_CONFIG" in os.environ  # a kernel that is killed writes nothing down
        self.manager.shutdown_kernel(now=not measured)
        self.manager.cleanup_resources()

    def fresh(self):
        """An empty namespace and an empty store in the same kernel."""
        self.run("__wipe__()")

    def start(self, code):
        return self.client.execute(code)

    def finish(self, message, timeout=60):
        """The reply to an execution, and its outputs as tuples."""
        out = []
        while True:
            got = self.client.get_iopub_msg(timeout=timeout)
            if got["parent_header"].get("msg_id") != message:
                continue
            kind, content = got["msg_type"], got["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "stream":
                if out and out[-1][:2] == ("stream", content["name"]):
                    out[-1] = ("stream", content["name"], out[-1][2] + content["text"])
                else:
                    out.append(("stream", content["name"], content["text"]))
            elif kind == "execute_result":
                out.append(
                    (kind, content["data"].get("text/plain"), sorted(content["data"]), content["execution_count"])
                )
            elif kind in ("display_data", "update_display_data"):
                plain = content["data"].get("text/plain")
                data, metadata = content["data"], content["metadata"]
                out.append((kind, plain, sorted(data), content["transient"], data, metadata))
            elif kind == "error":
                out.append((kind, content["ename"], ANSI.sub("", "\n".join(content["traceback"]))))
            elif kind == "clear_output":
                out.append((kind, content["wait"]))
        reply = self.client.get_shell_msg(timeout=timeout)
        while reply["parent_header"].get("msg_id") != message:
            reply = self.client.get_shell_msg(timeout=timeout)
        return reply["content"], out

    def run(self, code, timeout=60):
        return self.finish(self.start(code), timeout)

    def out(self, code):
        """The outputs of a cell."""
        return self.run(code)[1]

    def value(self, expression):
        """What an expression is, as `repr` has it."""
        reply, out = self.run(expression)
        assert reply["status"] == "ok", out
        return result(out)

    def hits(self, code):
        """Whether a cell was a hit."""
        return hit(self.out(code))

    def interrupt_in(self, cell, when):
        """Run a cell and interrupt it once it has printed `when`; reply and outputs."""
        message = self.start(cell)
        seen: list[str] = []
        while when not in "".join(seen):
            got = self.client.get_iopub_msg(timeout=30)
            if got["parent_header"].get("msg_id") == message:
                seen.append(str(got["content"].get("text") or got["content"].get("data", "")))
        self.manager.interrupt_kernel()
        return self.finish(message)


def text(out, stream="stdout"):
    """What was printed."""
    return "".join(each[2] for each in out if each[:2] == ("stream", stream))


def result(out):
    """The value shown as `Out`."""
    return next((each[1] for each in out if each[0] == "execute_result"), None)


def error(out):
    """The traceback."""
    return next((each[2] for each in out if each[0] == "error"), "")


def ours(each):
    """Whether an output is nbflow's own line."""
    return each[0] in ("display_data", "update_display_data") and str(each[3].get("display_id")).startswith("nbflow-")


def users(out):
    """The outputs without nbflow's own line."""
    return [each for each in out if not ours(each)]


def told(out):
    """All that nbflow's line said, in order."""
    return " | ".join(each[1] for each in out if ours(each))


def hit(out):
    """Whether nbflow's line says that it was a hit."""
    return "⚡" in told(out)
