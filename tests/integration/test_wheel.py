"""The wheel: what it holds, and what importing it does."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.integration.commands import ROOT

LOOK = """
import os, sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(("socket.", "subprocess.", "os.fork")) else None)
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import nbflow, threading
print(nbflow.__file__)
print(nbflow.__version__)
print(threading.active_count())
print([event for event in seen])
print([name for fd in os.listdir("/proc/self/fd") if (name := os.readlink(f"/proc/self/fd/{fd}") if os.path.lexists(f"/proc/self/fd/{fd}") else "").startswith("socket:")])
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} & {"IPython", "diskcache", "ipywidgets", "joblib", "nbclient", "numpy", "pandas", "tenacity"}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the working tree, unpacked: its names, and the folder."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
        return archive.namelist(), folder / "unpacked"


def test_the_wheel_holds_every_module_and_its_types(wheel):
    """Otherwise an installed nbflow would miss what a checkout has."""
    names, _ = wheel
    here = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nbflow").rglob("*")
        if path.suffix in {".py", ".typed", ".js", ".css"}
    }
    packed = {name for name in names if ".dist-info/" not in name}
    assert here == packed
    assert "nbflow/py.typed" in packed


def test_the_wheel_has_its_command_and_licence(wheel):
    """Otherwise `nbflow` would not be on the path, or nobody could say under which terms it may be used."""
    names, folder = wheel
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "nbflow = nbflow.cli:main" in (folder / points).read_text()
    assert any(name.endswith("LICENSE") for name in names)


def test_importing_it_starts_nothing_and_opens_nothing(wheel):
    """Otherwise a plain import would cost time and threads, or open a port behind the user's back."""
    _, folder = wheel
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-W", "error", "-c", LOOK, str(folder)]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    place, version, threads, events, sockets, heavy = ended.stdout.splitlines()
    assert place == str(folder / "nbflow" / "__init__.py")
    assert version
    assert threads == "1"
    assert events == sockets == heavy == "[]"
