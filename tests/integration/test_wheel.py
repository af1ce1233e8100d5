"""Wheel and sdist: what they hold, that they are the same each time, and what importing the wheel does."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

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
def dist(tmp_path_factory):
    """The wheel and the sdist of the working tree."""
    pytest.importorskip("hatchling")
    return built(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist, tmp_path_factory):
    """The wheel, unpacked: its names, and the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(dist[0]) as archive:
        archive.extractall(folder)
        return archive.namelist(), folder


def built(project, folder):
    """Wheel and sdist of a project, as `pip` and a release would have them."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return *folder.glob("*.whl"), *folder.glob("*.tar.gz")


@pytest.mark.apart
def test_a_build_from_the_sdist_is_the_build_from_the_checkout(dist, tmp_path):
    """Otherwise nobody could check that what is published is what stands in the source."""
    with tarfile.open(dist[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (project,) = tmp_path.iterdir()
    for path in project.rglob("*"):
        os.utime(path, (2e9, 2e9))  # another day
    again = built(project, tmp_path / "again")
    assert [Path(path).name for path in again] == [Path(path).name for path in dist]
    assert [Path(path).read_bytes() for path in again] == [Path(path).read_bytes() for path in dist]


def test_what_is_built_can_be_published(dist):
    """A release whose description cannot be drawn, or whose data is incomplete, is refused when it is too late."""
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("PASSED") == 2, ended.stdout


def test_the_sdist_brings_the_tests(dist):
    """Whoever packs nbflow for a distribution wants to see it pass from what was published."""
    with tarfile.open(dist[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        ".ci/run",
        "tests/__main__.py",
    }
    assert wanted | {"nbflow/py.typed", "notebooks/01-tour.ipynb", "notebooks/flights_api.py"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".out.ipynb")) or ".nbflow/" in name]


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
