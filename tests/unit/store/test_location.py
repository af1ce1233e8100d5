"""Where the store lies."""

from pathlib import Path

import pytest

from nbflow.store import locate, open_store
from nbflow.store.folder import prepare
from nbflow.store.mounts import network_mount


@pytest.fixture
def home(tmp_path):
    """A home directory with a project in it."""
    (tmp_path / "home" / "work" / "notebooks" / "deep").mkdir(parents=True)
    return tmp_path / "home"


def where(home, below, **environ):
    return str(locate(home / below, {"HOME": str(home), **environ}).relative_to(home.parent))


def test_the_nearest_project_from_any_folder_in_it(home):
    """A notebook run from another folder would not find its own results."""
    assert where(home, "work/notebooks/deep") == "home/work/notebooks/deep/.nbflow"
    (home / "work" / ".git").mkdir()
    for below in ("work", "work/notebooks", "work/notebooks/deep"):
        assert where(home, below) == "home/work/.nbflow"
    (home / "work" / "notebooks" / "pyproject.toml").write_text("")
    assert where(home, "work/notebooks/deep") == "home/work/notebooks/.nbflow"
    (home / "work" / "notebooks" / "deep" / ".nbflow").mkdir()
    assert where(home, "work/notebooks/deep") == "home/work/notebooks/deep/.nbflow"


def test_a_worktree_is_a_project(home):
    """In a git worktree, where `.git` is a file, results would land beside each notebook."""
    (home / "work" / ".git").write_text("gitdir: elsewhere")
    assert where(home, "work/notebooks") == "home/work/.nbflow"


def test_never_the_home_directory_itself(home):
    """One stray `.git` at home would throw the results of all projects together."""
    for name in (".git", ".nbflow"):
        (home / name).mkdir()
    (home / "pyproject.toml").write_text("[tool.nbflow]\nstore = 'x'")
    assert where(home, "work/notebooks") == "home/work/notebooks/.nbflow"


def test_settings_come_before_the_place_and_the_environment_before_both(home):
    """A team could not keep its store where it wants it."""
    (home / "work" / "pyproject.toml").write_text("[tool.nbflow]\nstore = 'cache/here'")
    (home / "work" / "notebooks" / ".nbflow").mkdir()
    assert where(home, "work/notebooks/deep") == "home/work/cache/here"
    assert where(home, "work/notebooks/deep", NBFLOW_STORE=str(home / "else")) == "home/else"
    assert where(home, "work/notebooks", NBFLOW_STORE="../near") == "home/work/near"


@pytest.mark.parametrize("text", ["not toml [", "[tool]\nnbflow = 3", "[tool.nbflow]\nstore = 5", "tool = 1"])
def test_a_broken_pyproject_still_marks_the_project(home, text):
    """A typo in a file that others own would end every step."""
    (home / "work" / "pyproject.toml").write_text(text)
    assert where(home, "work/notebooks") == "home/work/.nbflow"


def test_one_object_for_a_folder(tmp_path):
    """Two objects on one folder would not see each other's claims."""
    environ = {"NBFLOW_STORE_KEY_FILE": str(tmp_path / "key"), "NBFLOW_STORE": str(tmp_path / "a")}
    store = open_store(environ=environ)
    assert open_store(tmp_path / "b" / ".." / "a", environ=environ) is store
    assert open_store(str(tmp_path / "b"), environ=environ) is not store
    assert store.folder == tmp_path / "a"
    assert not store.folder.exists()


def test_the_folder_is_private_and_kept_out_of_git(tmp_path):
    """Results would be committed by accident, backed up, or readable by everybody."""
    folder = tmp_path / "a" / ".nbflow"
    prepare(folder)
    prepare(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:9 - nfs4 server:/home rw
31 30 0:41 / /home/me/local rw - ext4 /dev/vdb rw
32 22 0:42 / /mnt/my\\040share rw - fuse.sshfs me@host: rw
33 22 0:43 / /mnt/disk rw - fuseblk /dev/sdb1 rw
34 22 0:44 / /homely rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/x", ""),
        ("/home/me/project", "nfs4"),
        ("/home", "nfs4"),
        ("/home/me/local/x", ""),
        ("/mnt/my share/x", "fuse.sshfs"),
        ("/mnt/disk/x", ""),
        ("/homely/x", ""),
    ],
)
def test_network_mounts_are_known(folder, kind):
    """On a JupyterHub home, SQLite's log would lose data and mapped files kill kernels."""
    assert network_mount(Path(folder), MOUNTS) == kind


def test_the_real_table_of_mounts_is_understood(tmp_path):
    """Every store would be taken for a slow one."""
    assert network_mount(tmp_path) == ""
