"""Which paths never count, and how a counted one is named."""

import os
import subprocess
import sys
import sysconfig

import pytest

from nbflow.world import paths


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    paths.prepare()
    yield str(tmp_path / "home")
    monkeypatch.undo()
    paths.prepare()


@pytest.mark.parametrize(
    "path",
    [
        os.__file__,
        sysconfig.get_path("purelib"),
        sysconfig.get_path("purelib") + "/pandas/data.csv",
        os.path.realpath(sys.executable),
        "/proc/self/stat",
        "/dev/null",
        "/etc/hosts",
        "/usr/share/zoneinfo/UTC",
        "/work/__pycache__/a.cpython-311.pyc",
        "/work/a-1.dist-info/METADATA",
    ],
)
def test_never_counted(path):
    """Each run would depend on the machine that it ran on."""
    assert paths.excluded(path)


@pytest.mark.parametrize(
    "path", ["/data/a.csv", "/usr/src/app/a.csv", "/srv/etc/a", "/tmp/a.csv", "/", "/run/media/me/a.csv"]
)
def test_counted(path):
    """A user's own data would be ignored."""
    assert not paths.excluded(path)


def test_mounted_disk(monkeypatch):
    """On one that a desktop mounts, steps around others would be seen to write a database, and never be kept."""
    monkeypatch.setattr(paths, "_own", ())
    paths.exclude("/run/media/me/work/store")
    assert paths.excluded("/run/media/me/work/store/index/cache.db")
    assert not paths.excluded("/run/media/me/work/a.csv")


def test_above_a_linked_folder(tmp_path):
    """The folder beside the link would be listed, not the one above what it leads to."""
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert os.path.realpath(paths.absolute("link/..", str(tmp_path))) == str(tmp_path / "far")


def test_dot_folders_of_the_home_directory(home, monkeypatch):
    """Caches and settings of programs would be facts; a project kept in such a folder would have none."""
    assert paths.excluded(home + "/.cache/matplotlib/fonts.json")
    assert paths.excluded(home + "/.netrc")
    assert not paths.excluded(home + "/notes/.hidden")
    os.makedirs(home + "/.local/notes")
    monkeypatch.chdir(home + "/.local/notes")
    assert not paths.excluded(home + "/.local/notes/a.csv")
    assert paths.excluded(home + "/.cache/x")


@pytest.mark.parametrize(
    ("written", "subject"),
    [("a.csv", "a.csv"), ("./x/../a.csv", "a.csv"), ("../a.csv", "../a.csv"), ("/base/a.csv", "/base/a.csv")],
)
def test_subject(written, subject):
    """A moved project would miss, or another project's file hit."""
    path = paths.absolute(written, "/base")
    assert paths.subject_of(path, written, "/base") == subject


def test_environment_made_in_the_project(tmp_path):
    """After `python -m venv .` neither data nor modules of the project would count."""
    (tmp_path / "pyvenv.cfg").touch()
    source = (
        "import os; from nbflow.world import paths; paths.prepare(); names = %r; print(*map(paths.excluded, names))"
    )
    names = [str(tmp_path / name) for name in ("data/a.csv", "lib/python3/site-packages/a/b.csv")]
    prefix = f"import sys; sys.prefix = sys.exec_prefix = {str(tmp_path)!r}; "
    ran = subprocess.run([sys.executable, "-c", prefix + source % names], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]


def test_whose_code():
    """What libraries read of the environment would count, or what users read would not."""
    assert paths.users(test_whose_code.__code__)
    assert paths.users(compile("1", "<string>", "exec"))
    assert paths.users(compile("1", "/tmp/ipykernel_1/5.py", "exec"))
    assert not paths.users(compile("1", "<frozen os>", "exec"))
    assert not paths.users(os.path.join.__code__)
    assert not paths.users(pytest.fixture.__code__)
    assert not paths.users(paths.users.__code__)
