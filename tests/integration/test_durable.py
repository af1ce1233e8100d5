"""Durable work in real kernels: a kernel dies in a job and Run All goes on; and the lesson about it."""

import json
import re
import shutil

import nbformat
import pytest

from tests.integration.commands import ROOT, nbflow, needs_lessons, outputs, write
from tests.integration.kernels import Kernel

pytestmark = pytest.mark.kernel

LESSON = ROOT / "notebooks" / "05-durable.ipynb"
STORY = [
    "Writing worker.py",
    "ended by SIGKILL",
    "365 days, at least 99 of them done: True - and not all: True",
    "days begun: 365 - begun twice, at most one: True",
    "'365/365'",
    "new: 13 1",
    "there was no such day | nbflow: item 60 of 61, slowest(tuple of 2), failed",
    "[851.0, 368.0, 285.0, 276.0, 308.0]",
    "sending to ann@example.org",
    "receipt for ann@example.org",
    "receipt for ann@example.org",
    "the key 'mail:1' was used before for send() with other arguments",
    "Writing dies.py",
    "1 payment",
    "'paid, as the bank says'",
    "Writing orders.py",
    *["killed; entered twice: 0"] * 4,
    "all orders are entered",
    "(100, 100)",
    "[('slowest', 60), ('delays', 366)]",
    "['delays', 'slowest']",
]
"""What the cells of the lesson print, without tables, panels and what depends on the clock."""

IMPORT = "%load_ext nbflow\nfrom nbflow import checkpoint, history, once, task"
STEP = """
@task(persist_result=True)
def load(n):
    print("loading")
    return list(range(n))
items = load(20)
"""
JOB = """
import os
def kill_at(n):
    if n == 7 and not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), 9)
def mail(n):
    with open("mails", "a") as file:
        print(n, file=file)
with checkpoint("square", items) as job:
    for n in job:
        print("at", n)
        once(f"mail:{n}", mail, n)
        kill_at(n)
        job.save(n * n)
    print(sum(job.results()), job.progress)
"""


def test_run_all_goes_on_after_a_kernel_has_died(tmp_path):
    """A kernel that ran out of memory at item 8,314 of 10,000 would cost all of them, and every mail be sent twice."""
    environ = {"store": tmp_path / "store", "load": False}
    with Kernel(folder=tmp_path, **environ) as kernel:
        for cell in (IMPORT, STEP):
            assert kernel.run(cell)[0]["status"] == "ok"
        kernel.start(JOB)
        kernel.manager.provisioner.process.wait(60)
    with Kernel(folder=tmp_path, **environ) as kernel:
        assert kernel.run(IMPORT)[0]["status"] == "ok"
        assert "loading" not in str(kernel.out(STEP))
        assert kernel.value("str(checkpoint('square', items).progress)") == "'7/20'"
        printed = "".join(out[2] for out in kernel.out(JOB) if out[0] == "stream")
        assert [int(n) for n in re.findall(r"at (\d+)", printed)] == list(range(7, 20))
        assert f"{sum(n * n for n in range(20))} 20/20" in printed
        assert sorted(map(int, (tmp_path / "mails").read_text().split())) == list(range(20))
        listed = "".join(out[2] for out in kernel.out("%nbflow ls --jobs") if out[0] == "stream")
        assert re.search(r"square\s+20\s+20", listed)
        assert "load" in str(kernel.out("%nbflow history"))
        failing = "for n in checkpoint('sends', items):\n    if n == 3: raise ValueError('no')"
        assert kernel.run(failing)[0]["ename"] == "ValueError"
        assert kernel.value("list(checkpoint('sends', items))[0]") == "3"  # while the traceback is kept


def test_nbflow_run_goes_on_too(tmp_path):
    """A notebook that runs at night would begin anew after a crash of its kernel."""
    write(tmp_path / "job.ipynb", IMPORT, STEP, JOB)
    first = nbflow(tmp_path, "run", "job.ipynb")
    assert first.returncode != 0
    second = nbflow(tmp_path, "run", "job.ipynb")
    assert second.returncode == 0, second.stderr
    last = outputs(tmp_path / "job.out.ipynb")[-1]
    assert "20/20" in last
    assert "at 6" not in last
    assert "at 7" in last
    assert json.loads(nbflow(tmp_path, "jobs", "--json").stdout)["jobs"][0]["done"] == 20
    runs = json.loads(nbflow(tmp_path, "history", "load", "--json").stdout)
    assert [run["outcome"] for run in runs] == ["Completed"]


def lines(path):
    """What the cells print."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            if "text/html" not in output.get("data", {}):
                found += [line for line in text.splitlines() if line and "is in doubt" not in line]
    return found


def test_the_lesson_tells_its_story(tmp_path):
    """A lesson whose cells say something else than the text around them teaches mistrust."""
    needs_lessons()
    shutil.copy(LESSON, tmp_path)
    ended = nbflow(tmp_path, "run", LESSON.name, "-o", "out.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert lines(tmp_path / "out.ipynb") == STORY


def test_it_is_shipped_as_it_runs():
    """GitHub shows what is in the file: outputs that are missing, or other ones, cannot be read there."""
    assert lines(LESSON) == STORY
    assert "/tmp" not in LESSON.read_text()
    assert "widget-view" not in LESSON.read_text()
    code = [cell for cell in json.loads(LESSON.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
