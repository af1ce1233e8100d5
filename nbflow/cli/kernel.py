"""A kernel of this very Python, cell by cell.

nbclient does the talking. Its `execute` is not used: it takes over the signal handlers, and reports a
cancelled cell as a dead kernel.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from nbflow.durations import spell

__all__ = ["CellError", "Kernel", "started"]

_GRACE: Final = 3.0
_LONGEST: Final = 90
"""Of the 104 to 108 bytes that a socket's path may have, what the folder may take."""
_SETTLE: Final = "import sys; [jobs.join() for jobs in [sys.modules.get('nbflow.tasks.jobs')] if jobs]"


class CellError(Exception):
    """A cell did not end well: `reason` in one line, `trace` as text for a terminal."""

    def __init__(self, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.reason, self.trace = reason, trace


class _ThisPython(KernelSpecManager):
    """The environment that runs nbflow runs the notebook, whatever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002 - the name does not matter
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class Kernel:
    """Runs the cells of one notebook, in order."""

    def __init__(self, client: NotebookClient, log: Path) -> None:
        self._client, self._log = client, log
        self._count = 0

    async def run(self, index: int, limit: float | None) -> None:
        """Run one cell; its outputs are then in the notebook.

        Args:
            index: Its place among all cells.
            limit: Seconds that it may take.

        Raises:
            CellError: It raised, took too long, or its kernel died.
        """
        cell = self._client.nb.cells[index]
        self._count += 1
        body = asyncio.ensure_future(self._client.async_execute_cell(cell, index, execution_count=self._count))
        try:
            await asyncio.wait({body}, timeout=limit)
            if not body.done():
                await self._stop(body)
                raise CellError(f"it took longer than {spell(limit or 0.0)}", _trace(cell))
            await body
        except CellExecutionError as error:
            raise CellError(f"{error.ename}: {error.evalue}".strip(": \n"), _trace(cell)) from None
        except DeadKernelError:
            raise CellError(f"its kernel died{_last_words(self._log)}") from None
        finally:
            await self._stop(body)

    async def _stop(self, body: "asyncio.Future[Any]") -> None:
        """Interrupt a cell that still runs, and give it a moment to say where it was."""
        if not body.done():
            await self._client.km.interrupt_kernel()
            await asyncio.wait({body}, timeout=_GRACE)
            body.cancel()
            await asyncio.gather(body, return_exceptions=True)

    async def describe(self) -> None:
        """Write into the notebook what it was run by, and the state of widgets."""
        reply = await self._client.async_wait_for_reply(self._client.kc.kernel_info())
        if reply is not None:
            self._client.nb.metadata["language_info"] = reply["content"]["language_info"]
        self._client.set_widgets_metadata()

    async def settle(self) -> None:
        """Wait for steps that were submitted and that no cell waited for."""
        await self._client.async_wait_for_reply(self._client.kc.execute(_SETTLE, silent=True, store_history=False))


def _trace(cell: Any) -> str:
    """The traceback among a cell's outputs."""
    lines = [line for output in cell.outputs if output.output_type == "error" for line in output.traceback]
    return "\n".join(lines)


def _last_words(log: Path) -> str:
    """What the kernel wrote to its own stderr at the end, such as a fatal error."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("[IPKernelApp]")]
    return ": " + "\n".join(lines[-20:]) if lines else ": it was killed, ran out of memory, or ended itself"


@asynccontextmanager
async def started(notebook: Any, folder: Path, private: Path, environ: Mapping[str, str]) -> AsyncIterator[Kernel]:
    """A kernel while the context lasts. Should this process be killed, it sees that its parent is gone and ends too.

    Args:
        notebook: What it is to run.
        folder: Where it is at work.
        private: A folder of this run: it is talked to through sockets in there, where the system has such.
        environ: Added to its environment.
    """
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_ThisPython())
    manager.connection_file = str(private / "kernel.json")
    if os.name == "posix" and len(str(private)) < _LONGEST:
        manager.transport, manager.ip = "ipc", str(private / "s")
    client = NotebookClient(notebook, km=manager, timeout=None, record_timing=False, iopub_timeout=30)
    client.reset_execution_trackers()
    log = private / "log"
    with log.open("wb") as words:  # not our own stdout: whoever reads that must see its end when we end
        await client.async_start_new_kernel(cwd=str(folder), env={**os.environ, **environ}, stdout=words, stderr=words)
    try:
        await client.async_start_new_kernel_client()
        yield Kernel(client, log)
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await manager.shutdown_kernel()
