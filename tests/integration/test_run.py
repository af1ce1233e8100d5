"""`nbflow run` on small notebooks, in real kernels: what users do with it, and what they do to it."""

import json
import os
import re
import signal
import sys

import nbformat
import pytest

from tests.integration.commands import ends, nbflow, outputs, start, write

pytestmark = pytest.mark.kernel

LOAD = "%load_ext nbflow\nfrom nbflow import task"
SQUARE = """
@task(persist_result=True)
def square(x):
    with open("calls", "a") as calls:
        print(x, file=calls)
    return x * x
"""


def calls(folder):
    """The arguments of the calls that ran, and none that came from the store."""
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def test_a_second_run_takes_everything_from_the_store(tmp_path):
    """It is what the command is for."""
    write(
        tmp_path / "n.ipynb", LOAD, SQUARE, "square.map([1, 2, 3]).result()", "%%task total\ntotal = square(4)\ntotal"
    )
    before = (tmp_path / "n.ipynb").read_bytes()
    first = nbflow(tmp_path, "run", "n.ipynb")
    assert first.returncode == 0, first.stderr
    assert "4 cells in" in first.stdout
    assert "0 hits · 5 misses" in first.stdout
    assert "[1, 4, 9]" in outputs(tmp_path / "n.out.ipynb")[2]
    second = nbflow(tmp_path, "run", "n.ipynb")
    assert second.returncode == 0, second.stderr
    assert "4 hits saved" in second.stdout
    assert "0 misses" in second.stdout
    assert "[1, 4, 9]" in outputs(tmp_path / "n.out.ipynb")[2]
    assert outputs(tmp_path / "n.out.ipynb")[3].endswith("16")
    assert sorted(calls(tmp_path)) == ["1", "2", "3", "4"]
    assert (tmp_path / "n.ipynb").read_bytes() == before
    listed = json.loads(nbflow(tmp_path, "ls", "--json").stdout)
    assert {each["task"]: each["entries"] for each in listed} == {"square": 4, "total": 1}


def test_a_run_stops_at_the_first_error_and_resumes(tmp_path):
    """Otherwise later cells would work on what is not there, and a rerun would begin at the beginning."""
    cells = [LOAD, SQUARE, "square(5)", "import os\nif 'BROKEN' in os.environ:\n    1 / 0", "square(6)"]
    write(tmp_path / "n.ipynb", *cells)
    broken = nbflow(tmp_path, "run", "n.ipynb", BROKEN="1")
    assert broken.returncode == 1
    told = broken.stderr.splitlines()
    assert told[-2:] == ["nbflow: cell 4 of 5 failed, line 3: 1 / 0", "ZeroDivisionError: division by zero"]
    assert any(line.startswith("Cell In[4], line 3") for line in told)
    assert "4 of 5 cells" in broken.stdout
    assert "ZeroDivisionError" in outputs(tmp_path / "n.out.ipynb")[3]
    assert calls(tmp_path) == ["5"]
    mended = nbflow(tmp_path, "run", "n.ipynb")
    assert mended.returncode == 0, mended.stderr
    assert "1 hit saved" in mended.stdout
    assert calls(tmp_path) == ["5", "6"]


def test_what_was_finished_survives_kill_9(tmp_path):
    """Otherwise a machine that goes down at the last cell would cost the whole night."""
    os.mkfifo(tmp_path / "gate")
    wait = "import os\nopen('pid', 'w').write(str(os.getpid()))\nif 'WAIT' in os.environ:\n    open('gate').read()"
    cells = [LOAD, SQUARE, "square.map([1, 2]).result()", "%%task total\ntotal = square(3)", wait, "square(4)"]
    write(tmp_path / "n.ipynb", *cells)
    with start(tmp_path, "run", "n.ipynb", WAIT="1") as run:
        assert next(line for line in run.stdout if line.startswith("[4/6] "))
        with open(tmp_path / "gate", "w"):  # opens when the cell opens it to read, which then waits for us
            kernel = int((tmp_path / "pid").read_text())
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
            assert ends(kernel), "the kernel outlives the command"
    assert sorted(calls(tmp_path)) == ["1", "2", "3"]
    again = nbflow(tmp_path, "run", "n.ipynb")
    assert again.returncode == 0, again.stderr
    assert sorted(calls(tmp_path)) == ["1", "2", "3", "4"]
    assert "3 hits saved" in again.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_the_run_and_its_kernel(tmp_path, number, code):
    """Otherwise an interrupted run would leave a kernel behind, or lose the outputs so far."""
    os.mkfifo(tmp_path / "gate")
    wait = "import os\nopen('pid', 'w').write(str(os.getpid()))\nopen('gate').read()"
    write(tmp_path / "n.ipynb", "print('so far')", wait)
    with start(tmp_path, "run", "n.ipynb") as run, open(tmp_path / "gate", "w"):
        run.send_signal(number)
        out, told = run.communicate(timeout=60)
        assert run.returncode == code, told
        assert ends(int((tmp_path / "pid").read_text()))
    assert "nbflow: interrupted" in told
    assert "Traceback" not in told
    assert outputs(tmp_path / "n.out.ipynb") == ["so far", "KeyboardInterrupt:"]


def test_a_cell_may_not_take_longer_than_its_timeout(tmp_path):
    """Otherwise one call that hangs would hold a scheduled run for ever."""
    os.mkfifo(tmp_path / "gate")
    write(tmp_path / "n.ipynb", "x = 1", "y = 2\nopen('gate').read()", "z = 3")
    ended = nbflow(tmp_path, "run", "n.ipynb", "--timeout", "1s")
    assert ended.returncode == 1
    assert "nbflow: cell 2 of 3 failed, line 2: open('gate').read()\nit took longer than 1.0 s\n" in ended.stderr


def test_a_kernel_that_dies_is_told(tmp_path):
    """Otherwise a run would wait for a dead kernel."""
    write(tmp_path / "n.ipynb", "import os\nos._exit(3)", "x = 1")
    ended = nbflow(tmp_path, "run", "n.ipynb")
    assert ended.returncode == 1
    assert "nbflow: cell 1 of 2 failed\nits kernel died" in ended.stderr


def test_a_notebook_needs_no_nbflow(tmp_path):
    """Otherwise the command would be no drop-in for others that execute notebooks."""
    write(tmp_path / "n.ipynb", "1 + 1", "", "import sys\n[name for name in sys.modules if name.startswith('nbflow')]")
    ended = nbflow(tmp_path, "run", "n.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2].startswith("2 cells in ")
    assert outputs(tmp_path / "n.out.ipynb") == ["2", "", "[]"]
    assert not (tmp_path / "store").exists()


def test_the_kernel_is_this_python_whatever_the_notebook_names(tmp_path):
    """Otherwise a notebook would run in another environment than the one nbflow was installed in."""
    kernel = {"name": "no-such-kernel", "display_name": "Mine", "language": "python"}
    write(tmp_path / "n.ipynb", "import sys\nprint(sys.executable)\nimport os\nprint(os.getcwd())", kernelspec=kernel)
    ended = nbflow(tmp_path.parent, "run", tmp_path / "n.ipynb", "-o", tmp_path / "done.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert outputs(tmp_path / "done.ipynb") == [f"{sys.executable}\n{tmp_path}"]
    assert nbformat.read(tmp_path / "done.ipynb", as_version=4).metadata.kernelspec.name == "no-such-kernel"


def test_parameters_change_what_depends_on_them(tmp_path):
    """Otherwise a run with another parameter would show the results of the last one."""
    write(tmp_path / "n.ipynb", LOAD, SQUARE, "%%task total\ntotal = square(x)\ntotal")
    for x, ran in ((3, ["3"]), (4, ["3", "4"]), (3, ["3", "4"])):
        ended = nbflow(tmp_path, "run", "n.ipynb", "-p", f"x={x}")
        assert ended.returncode == 0, ended.stderr
        assert outputs(tmp_path / "n.out.ipynb")[-1].endswith(str(x * x))
        assert calls(tmp_path) == ran


def test_an_edited_helper_runs_again_and_says_why_a_comment_does_not(tmp_path):
    """It is the promise that lets people trust what comes from the store."""
    helper = "def clean(x):\n    return x + {}\n"
    cell = "%%task cleaned\nopen('calls', 'a').write('ran ')\ncleaned = clean(1)\ncleaned"

    def run(text):
        write(tmp_path / "n.ipynb", LOAD, text, cell)
        ended = nbflow(tmp_path, "run", "n.ipynb")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout, len(calls(tmp_path)), outputs(tmp_path / "n.out.ipynb")[-1][-1]

    assert run(helper.format(1))[1:] == (1, "2")
    assert run("# a comment\n" + helper.format("(1)  # and another"))[1:] == (1, "2")
    told, ran, shown = run(helper.format(2))
    assert (ran, shown) == (2, "3")
    assert "clean() changed" in told
    assert run(helper.format(1))[1:] == (2, "2")


def test_retries_show_and_one_failure_leaves_the_others(tmp_path):
    """Otherwise a flaky service would look like a slow one, and one bad item would cost the good ones."""
    flaky = """
from nbflow import unmapped
@task(persist_result=True, retries=2, ignore=["tries"])
def fetch(x, tries):
    tries[x] = tries.get(x, 0) + 1
    if x == 3 or tries[x] < 2:
        raise OSError(f"no {x} today")
    return x
"""
    write(tmp_path / "n.ipynb", LOAD, flaky, "fetch.map([1, 2, 3, 4], unmapped({})).result()")
    ended = nbflow(tmp_path, "run", "n.ipynb")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "OSError: no 3 today"
    assert "5 retries · 1 failed" in ended.stdout
    assert re.search(r"fetch\(3.*\)  2/3  failed: OSError: no 3 today", ended.stdout)
    listed = json.loads(nbflow(tmp_path, "ls", "--json").stdout)
    assert [each["entries"] for each in listed] == [3]


def test_submitted_steps_are_waited_for(tmp_path):
    """Otherwise what the last cell submitted would be lost with its kernel."""
    slow = "@task(persist_result=True)\ndef slow(x):\n    import threading\n    threading.Event().wait(7)\n    return x"
    write(tmp_path / "n.ipynb", LOAD, slow, "future = slow.submit(1)")
    ended = nbflow(tmp_path, "run", "n.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert "0 hits · 1 miss" in ended.stdout
    assert json.loads(nbflow(tmp_path, "ls", "--json").stdout)[0]["entries"] == 1


def test_outputs_are_static(tmp_path):
    """Otherwise GitHub and nbconvert would show an empty place where the panel was."""
    write(tmp_path / "n.ipynb", LOAD, SQUARE, "square.map([1, 2]).result()", "import nbflow\nnbflow.panel()")
    assert nbflow(tmp_path, "run", "n.ipynb").returncode == 0
    made = nbformat.read(tmp_path / "n.out.ipynb", as_version=4)
    shown = [output.data for cell in made.cells for output in cell.outputs if "data" in output]
    assert "square" in made.cells[3].outputs[0].data["text/html"]
    assert all({"text/html", "text/plain"} & set(data) for data in shown)


def test_an_output_that_cannot_be_written_is_one_line_and_an_exit_code(tmp_path):
    """Otherwise a run would seem to have been saved."""
    write(tmp_path / "n.ipynb", "1")
    (tmp_path / "n.out.ipynb").mkdir()
    ended = nbflow(tmp_path, "run", "n.ipynb")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


def test_python_m_nbflow_is_the_same_command(tmp_path):
    """Otherwise it could not be started where scripts are not on the path."""
    ended = nbflow(tmp_path, "--version")
    assert ended.stdout.startswith("nbflow ")
    assert ended.returncode == 0
