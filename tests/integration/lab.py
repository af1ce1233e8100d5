"""A private JupyterLab, which is a Notebook 7 too, and a private Chromium, and a notebook open in them."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import BrowserContext, Locator, Page, Request, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever is not here cannot be reached
]
SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "doNotDisturbMode": True, "fetchNews": "false"},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
PATIENCE = 60_000  # ms: a page or a kernel takes seconds of processor time to start, and others may want it too
NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"
ASK = """async ([code]) => {
    const w = [...window.jupyterapp.shell.widgets('main')].find(w => w.sessionContext?.session);
    let out = '';
    const asked = w.sessionContext.session.kernel.requestExecute({code, store_history: false});
    asked.onIOPub = m => { out += m.content.text ?? m.content.evalue ?? ''; };
    await asked.done;
    return out;
}"""


class Lab:
    """A JupyterLab server that reads and writes nothing of the user's."""

    def __init__(self, base: Path, theme: str = "JupyterLab Light") -> None:
        self.notebooks = base / "notebooks"
        self.notebooks.mkdir(parents=True)
        self.token = secrets.token_hex(16)
        for name, values in {**SETTINGS, "apputils-extension/themes": {"theme": theme}}.items():
            path = base / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self._runtime = tempfile.mkdtemp(
            prefix="nbflow-lab-"
        )  # short: sockets in files have names of 107 bytes at most
        homes = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": self._runtime,
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "NBFLOW_STORE": "store",
        }
        environment = {**os.environ, **{name: str(base / folder) for name, folder in homes.items()}}
        environment["PYTHONPATH"] = str(ROOT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"]
        command += [f"--ServerApp.root_dir={self.notebooks}", "--ServerApp.terminals_enabled=False"]
        # A port that was chosen for a kernel can be taken by any other process until the kernel listens there, about a
        # second later; then the kernel dies, and the page goes on connecting to it.
        command += ["--KernelManager.transport=ipc"]
        command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
        self._log = (base / "server.log").open("w")
        self._server = subprocess.Popen(
            command, env=environment, cwd=self.notebooks, stdout=self._log, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 3 * PATIENCE / 1000
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=1).read()
                return
            except OSError:
                if self._server.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError((base / "server.log").read_text()[-3000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(5)
        self._log.close()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def page(self, browser: BrowserContext) -> Page:
        """JupyterLab without a notebook; loading it takes longer than most of what is then done with it."""
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{self.url}/lab?reset&token={self.token}")
        page.wait_for_function("() => window.jupyterapp?.restored")
        page.evaluate("async () => { await window.jupyterapp.restored }")
        return page


@contextmanager
def chromium(profile: Path) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, headless=True, args=FLAGS, viewport={"width": 1280, "height": 900}
        )
        try:
            yield context
        finally:
            context.close()


class Note:
    """A notebook of its own, with a kernel of its own, open in JupyterLab or in Notebook 7.

    Args:
        browser: Where; or JupyterLab's page in it, with no other notebook open.
        lab: The server.
        name: Of its file.
        cells: Sources.
        outputs: What the cells hold already.
        place: `lab/tree` or `notebooks`, of a page of its own.

    Attributes:
        foreign: What was asked for that is not on this machine.
    """

    def __init__(
        self,
        browser: BrowserContext | Page,
        lab: Lab,
        name: str,
        cells: list[str],
        outputs: list | None = None,
        place: str = "lab/tree",
    ):
        self.path = lab.notebooks / f"{name}.ipynb"
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        for cell, output in zip(made, outputs or [], strict=False):
            cell.outputs = output
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel}), self.path)
        self._here = (lab.url, lab.url.replace("http", "ws"), "data:", "blob:")
        self.foreign: list[str] = []
        self._guest = isinstance(browser, Page)
        self.page = browser if isinstance(browser, Page) else browser.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", self._note_request)
        if self._guest:
            self.command("docmanager:open", path=self.path.name)
        else:
            self.page.goto(f"{lab.url}/{place}/{self.path.name}?reset&token={lab.token}")
        self._ready()

    def _ready(self) -> None:
        self.page.wait_for_function(
            f"() => window.jupyterapp && {NOTEBOOK}?.sessionContext.session?.kernel?.connectionStatus === 'connected'"
        )
        self._with("await w.context.ready; await w.sessionContext.ready;")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="visible")

    def run(self) -> None:
        """Start all cells; returns at once."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")

    def reload(self) -> None:
        """Save and load the page anew; the kernel goes on."""
        self._with("await w.context.save();")
        self.page.reload()
        self._ready()

    def restart(self) -> None:
        self._with("await w.sessionContext.session.kernel.restart();")

    def ask(self, code: str) -> str:
        """Run code in the kernel, which must be idle, beside the notebook; what it printed."""
        return self.page.evaluate(ASK, [code])

    def command(self, name: str, **args: str) -> None:
        self.page.evaluate(
            "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args) }", [name, args]
        )

    def output(self, cell: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea")

    def saved(self) -> nbformat.NotebookNode:
        """The notebook as it is on disk after saving."""
        self._with("await w.context.save();")
        return nbformat.read(self.path, 4)

    def close(self) -> None:
        self.page.remove_listener("request", self._note_request)
        self._with("await w.sessionContext.shutdown();")
        if self._guest:
            self.page.evaluate("() => { for (const w of [...window.jupyterapp.shell.widgets('main')]) w.dispose() }")
        else:
            self.page.close()

    def _with(self, script: str) -> None:
        self.page.evaluate(f"async () => {{ const w = {NOTEBOOK}; {script} }}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(self._here):
            self.foreign.append(request.url)
