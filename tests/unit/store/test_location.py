"""Where the store lies, and how it is set."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbflow.errors import ConfigurationError, StoreError
from nbflow.store import Draft, Store, locate, open_store, size_of, storage_of
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
    link = home.parent / "link"
    link.symlink_to(home)
    folder = home.resolve() / "work"  # as the kernel of a mounted home has it
    assert locate(folder, {"HOME": str(link)}) == folder / ".nbflow"


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


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_anybody_could_write_is_refused(tmp_path, mode):
    """Whoever shares the machine could change results, or crash the kernel that has them mapped."""
    tmp_path.chmod(mode)
    with pytest.raises(StoreError, match=r"anybody could write .*chmod o-w.*NBFLOW_STORE"):
        prepare(tmp_path)
    assert not list(tmp_path.iterdir())
    tmp_path.chmod(0o770)  # a group's is fine
    prepare(tmp_path)
    store = Store(tmp_path, b"s" * 32, warn=print)
    store.save(Draft("ab" * 16, "f", 1, 1.0, (), {}, 1.0))
    store.close()
    tmp_path.chmod(mode)
    with pytest.raises(StoreError, match="anybody could write"):
        store.find("ab" * 16)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    """Its owner could change results, or delete them, while they are in use."""
    os.chown(tmp_path, 4242, -1)
    with pytest.raises(StoreError, match=r"another user \(number 4242\), who could.*NBFLOW_STORE.*nbflow import"):
        prepare(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "size"),
    [(5, 5), ("5", 5), ("5 b", 5), ("5GB", 5 << 30), ("1.5k", 1536), (" 2 MiB ", 2 << 20), ("1tb", 1 << 40)],
)
def test_sizes_as_people_write_them(given, size):
    """`max-size = "5GB"` would be refused, or mean 5 bytes."""
    assert size_of(given) == size


@pytest.mark.parametrize("given", ["", "GB", "5 XB", "-1", "0", 0, -5, True, 2.5, None, "5e3", "inf"])
def test_what_is_no_size_is_refused(given):
    """A typo would empty the store."""
    with pytest.raises(ConfigurationError, match="max_size=.* is not a size"):
        size_of(given, "max_size")


def test_settings_of_a_store_in_order(home, monkeypatch):
    """What a user asks for in code would be overruled by a file of the project's."""
    work = home / "work"
    (work / "pyproject.toml").write_text("[tool.nbflow]\nverify = 'sealed'\nmax-size = '5GB'")
    monkeypatch.chdir(work / "notebooks")
    environ = {"HOME": str(home), "NBFLOW_STORE_KEY_FILE": str(home / "key")}

    def opened(name, environ=environ, **options):
        store = open_store(home / name, environ=environ, **options)
        return store._verify, store.stats().max_size

    assert opened("a") == ("sealed", 5 << 30)
    assert opened("b", {**environ, "NBFLOW_VERIFY": "full", "NBFLOW_MAX_SIZE": "1GB"}) == ("full", 1 << 30)
    assert opened("c", {**environ, "NBFLOW_MAX_SIZE": "1GB"}, max_size="2GB") == ("sealed", 2 << 30)
    assert opened("c", max_size="3GB") == ("sealed", 3 << 30), "the same store, asked for anew"
    assert opened("c") == ("sealed", 3 << 30)
    (work / "pyproject.toml").unlink()
    assert opened("d")[0] == "full"
    for wrong in ({"verify": "none"}, {"max_size": "big"}):
        with pytest.raises(ConfigurationError):
            open_store(home / "e", environ=environ, **wrong)


def test_a_setting_that_cannot_be_meant_is_told_and_ends_nothing(home, monkeypatch):
    """A typo in a file that others own would end every step."""
    (home / "work" / "pyproject.toml").write_text("[tool.nbflow]\nverify = 'twice'\nmax-size = true")
    monkeypatch.chdir(home / "work")
    environ = {"HOME": str(home), "NBFLOW_STORE_KEY_FILE": str(home / "key"), "NBFLOW_MAX_SIZE": "lots"}
    said = []
    assert open_store(home / "x", warn=said.append, environ=environ)._verify == "full"
    assert [text.partition("=")[0].rpartition(" ")[2] for text in said] == ["verify", "NBFLOW_MAX_SIZE"]
    assert all(text.endswith("it is not followed") and "\n" not in text for text in said)


def test_where_a_task_may_keep_its_results(tmp_path):
    """A program written for Prefect would have to be changed."""
    store = Store(tmp_path / "s", b"s" * 32, warn=print)
    assert storage_of(store) is store
    for given in (str(tmp_path), tmp_path, SimpleNamespace(basepath=str(tmp_path))):
        assert storage_of(given) == tmp_path
        assert storage_of(SimpleNamespace(result_storage=given)) == tmp_path
    assert storage_of("~/x") == Path("~/x").expanduser()
    for wrong in (5, "", object(), ["x"]):
        with pytest.raises(ConfigurationError, match="result_storage="):
            storage_of(wrong)


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
