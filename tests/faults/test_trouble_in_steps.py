"""The disk fails under running tasks and cells: they get their results, one line says why, and it heals by itself."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from nbflow import task
from nbflow.store import Draft, Store
from tests.faults.parts import SECRET
from tests.integration.kernels import Kernel, hit, result, text, told

SMALL, BIG = 0, 200_000
LATER = "setattr(__import__('nbflow.session').session.session.store, '_recheck', 0.0)"
"""A second passes: for that long a kernel goes on with what it has open."""


@task(persist_result=True)
def make(number, size):
    """A value that lies in the row, or in a container."""
    return np.full(size, number) if size else [number]


@pytest.fixture
def tiny(tmp_path):
    """Mounts a small file system; skips where nobody may."""
    mounted = []

    def mount(folder, options):
        folder.mkdir(parents=True)
        done = os.geteuid() == 0 and shutil.which("mount")
        if not done or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]).returncode:
            pytest.skip("needs the right to mount")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with suppress(OSError), (folder.parent / "filler").open("wb", 0) as file:
        while True:
            file.write(b"x" * 4096)


def use_up(folder):
    with suppress(OSError):
        for number in range(100_000):
            (folder.parent / f"filler{number}").touch()


def free(folder):
    for path in folder.parent.glob("filler*"):
        path.unlink()


def replace(folder):
    shutil.rmtree(folder)
    another = Store(folder, SECRET, warn=print)
    another.save(Draft("ef" * 16, "g", 1, 1.0, (), {}, 1.0))
    another.close()


def stand_in_for(name):
    def harm(folder):
        shutil.move(folder / name, folder / "kept")
        (folder / name).write_text("x")

    def cure(folder):
        (folder / name).unlink()
        shutil.move(folder / "kept", folder / name)

    return harm, cure


def be_a_folder(folder):
    shutil.move(folder / "index", folder / "kept")
    (folder / "index" / "cache.db").mkdir(parents=True)


def be_a_file(folder):
    shutil.rmtree(folder / "index")
    shutil.move(folder / "kept", folder / "index")


def rewrite(folder):
    with (folder / "index" / "cache.db").open("r+b") as file:
        file.write(b"garbage!" * 16)


def cut(folder):
    for path in folder.glob("index/cache.db*"):
        if not path.name.endswith("-shm"):  # whoever cuts that one ends any program that has SQLite open, by SIGBUS
            os.truncate(path, 0)


def deny(folder):
    for path in (folder, folder / "index", folder / "blobs"):
        path.chmod(0o555)


def allow(folder):
    for path in (folder, folder / "index", folder / "blobs"):
        path.chmod(0o700)


def nothing(folder):
    """It heals without help."""


FULL = {
    "a full disk": ("size=20m", fill, free, "the disk is full"),
    "no more files": ("size=64m,nr_inodes=60", use_up, free, "the disk is full"),
}
HARMS = {
    "the folder deleted": (shutil.rmtree, nothing, None),
    "the folder made anew by another": (replace, nothing, None),
    "a file in place of the containers": (*stand_in_for("blobs"), "a file stands in its way"),
    "a file in place of the index": (*stand_in_for("index"), "a file stands in its way"),
    "a folder in place of the database": (be_a_folder, be_a_file, "cannot be opened"),
    "the database's header overwritten": (rewrite, nothing, None),
    "the database and its log cut to nothing": (cut, nothing, None),
    "permission taken away": (deny, allow, None),  # root may write all the same
}


def check(fresh, harm, cure, said, size):
    """Go through trouble with tasks: right values, one line at most, hits again afterwards."""
    store = fresh.session.store
    assert make(1, size)[0] == 1
    assert make(1, BIG)[0] == 1  # so that there are containers
    assert make.is_cached(1, size)
    harm(store.folder)
    store._recheck = 0.0  # a second later
    for number in (1, 2, 3, 2):
        assert make(number, size)[0] == number
    lines = sorted(fresh.warned)
    assert len(lines) <= 1, lines
    assert said is None or said in "".join(lines) or (size == SMALL and not lines)
    cure(store.folder)
    store._recheck = 0.0
    make(4, size)
    assert make.is_cached(4, size)
    assert make(4, size)[0] == 4
    assert len(fresh.warned) <= 1


@pytest.mark.parametrize("size", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize(("harm", "cure", "said"), HARMS.values(), ids=HARMS)
def test_tasks_go_on(fresh, harm, cure, said, size):
    """A cache that is in trouble would cost the result that was just computed, or say so in every cell for ever."""
    check(fresh, harm, cure, said, size)


@pytest.mark.parametrize("size", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize(("options", "harm", "cure", "said"), FULL.values(), ids=FULL)
def test_tasks_go_on_without_space(fresh, tiny, options, harm, cure, said, size):
    """The same, with a disk that is full and then is not."""
    tiny(fresh.store.parent / "mounted", options)
    fresh.session.settings = type(fresh.session.settings)(store=fresh.store.parent / "mounted" / "store")
    check(fresh, harm, cure, said, size)
    fresh.session.store.close()


def test_a_store_in_memory(fresh, ram):
    """`/dev/shm`, where whoever wants the fastest store puts it, would not work."""
    fresh.session.settings = type(fresh.session.settings)(store=ram / "store")
    make(1, BIG)
    assert make.is_cached(1, BIG)
    assert fresh.session.store.stats().max_size > 0
    fresh.session.store.close()
    assert fresh.warned == set()


@pytest.mark.kernel
def test_cells_go_on():
    """A notebook would stop, or lose what a long cell computed, because of its cache."""
    cell = "%%task\nimport numpy\nvalue{0} = numpy.full(200_000, {0})\nvalue{0}[0]"
    with Kernel() as kernel:
        folder = Path(kernel.store)
        number = 0
        for name, (harm, cure, why) in HARMS.items():
            said = []
            number += 10
            for turn in range(2):
                out = kernel.out(cell.format(number))
                assert (result(out), hit(out)) == (f"np.int64({number})", turn == 1), (name, out)
            harm(folder)
            kernel.value(LATER)
            for each in (number, number + 1, number + 2):
                out = kernel.out(cell.format(each))
                assert result(out) == f"np.int64({each})", (name, out)
                assert not [line for line in out if line[0] == "error"]
                said += [line for line in text(out, "stderr").splitlines() if line]
            assert len(said) <= 1, (name, said)  # its own line says it each time
            assert why is None or why in told(out), name
            cure(folder)
            for turn in range(2):
                out = kernel.out(cell.format(number + 5))
                assert result(out) == f"np.int64({number + 5})", (name, out)
            assert hit(out), (name, out)
