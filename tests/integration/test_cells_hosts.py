"""`%%task` in other hosts than JupyterLab: a terminal, nbclient, papermill, nbconvert, other front ends' cell ids."""

import subprocess
import sys

import nbclient
import nbformat
import pytest

from tests.integration.commands import environment, outputs
from tests.integration.kernels import ROOT, error, result, told

pytestmark = pytest.mark.kernel

SCRIPT = r"""
import sys
from IPython.terminal.interactiveshell import TerminalInteractiveShell
shell = TerminalInteractiveShell.instance(simple_prompt=True, colors="NoColor")
shell.run_line_magic("load_ext", "nbflow")
def show(name, code):
    print(f"<<{name}>>")
    ran = shell.run_cell(code, store_history=True)
    sys.stdout.flush()
    print("<<end>>", ran.success)
body = "%%task t\nimport asyncio\nprint('before')\nawait asyncio.sleep(.01)\nx = 4\nx * 2"
show("one", body)
show("two", body)
show("sync", "%%task\nimport asyncio\nasync def c(): return 5\ngot = asyncio.run(c())\ngot")
show("error", "%%task\na = 1\n1/0")
show("display", "%%task d\nfrom IPython.display import display\ndisplay('d')\nprint('p')")
show("display2", "%%task d\nfrom IPython.display import display\ndisplay('d')\nprint('p')")
show("retry", "%%task --retries 1\nprint('try')\nopen('/nonexistent/x')")
left = [k for o in (sys.stdout, sys.stderr, shell.display_pub, shell.displayhook) for k in vars(o)]
print("LEFT", [k for k in left if k in ("publish", "clear_output", "compute_format_data", "write_format_data")])
"""


def test_in_a_terminal(tmp_path):
    """`ipython` in a shell runs notebooks' cells too: await, Out, errors, and nothing printed twice."""
    environment = {
        "NBFLOW_STORE": str(tmp_path / "s"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
        "PATH": "",
    }
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=120)
    parts = {}
    for part in ran.stdout.split("<<end>>"):
        name, _, shown = part.partition("<<")[2].partition(">>\n")
        parts[name] = shown
    assert parts["one"].split()[:3] == ["before", "Out[1]:", "8"], ran
    assert parts["two"].split()[-3:] == ["before", "Out[2]:", "8"]
    assert "⚡ t" in parts["two"]
    assert "Out[3]: 5" in parts["sync"]
    assert "----> 3 1/0" in parts["error"]
    assert "nbflow/" not in parts["error"]
    assert parts["display"].split()[:2] == ["'d'", "p"]
    assert parts["display2"].count("'d'") == 1
    assert parts["display2"].split()[-1] == "p"
    assert parts["retry"].count("try\n") == 2
    assert "LEFT []" in ran.stdout


def test_under_nbclient(tmp_path, monkeypatch):
    """Papermill and nbconvert execute through nbclient: what they save must read well, and errors must stop them."""
    for name, value in {
        "NBFLOW_STORE": str(tmp_path / "s"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    flaky = (
        "%%task flaky --retries 2\nimport builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\n"
        "print('attempt', builtins.n)\nif builtins.n < 3: raise OSError('busy')\nbuiltins.n"
    )
    sources = ("%load_ext nbflow", flaky, flaky, "%%task\n1/0", "never = 1")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    with pytest.raises(nbclient.exceptions.CellExecutionError) as raised:
        nbclient.NotebookClient(book, kernel_name="python3", timeout=60).execute(cwd=str(tmp_path))
    assert raised.value.ename == "ZeroDivisionError"
    assert book.cells[4].execution_count is None
    shown = [[each.get("text") or each.data.get("text/plain") for each in cell.outputs] for cell in book.cells[1:3]]
    assert shown[0][1:] == ["attempt 3\n", "3"], "only the last attempt is left in the notebook"
    assert shown[0][0].startswith("✓ flaky · ran in ")
    assert shown[1][1:] == ["attempt 3\n", "3"]
    assert shown[1][0].startswith("⚡ flaky · cached ")


def test_parameters_of_papermill_and_nbconvert(tmp_path):
    """A report for another rate computes what follows from the rate; a nightly nbconvert computes nothing again."""
    sources = (
        "rate = 1\nyear = 2020",
        "%load_ext nbflow",
        "%%task\nbase = year * 2\nprint('based')",
        "%%task\nscaled = base * rate\nscaled",
        "%%task\nother = base + 1\nother",
    )
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "book.ipynb")

    def ran(module, *words):
        """The first line of each task's output, and its result."""
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        shown = [each.splitlines() for each in outputs(tmp_path / "out.ipynb")[-3:]]
        return [(each[0].partition(" · ")[0], each[0].rpartition(" · ")[2], each[-1]) for each in shown]

    papermill = ("papermill", "book.ipynb", "out.ipynb", "--no-progress-bar")
    assert [each[0] for each in ran(*papermill, "-p", "rate", "1")] == ["✓ base", "✓ scaled", "✓ other"]
    second = ran(*papermill, "-p", "rate", "5")
    assert [each[0] for each in second] == ["⚡ base", "✓ scaled", "⚡ other"]
    assert second[1][1:] == ("miss: input rate 1 → 5", "20200")
    third = ran("nbconvert", "book.ipynb", "--execute", "--to", "notebook", "--output", "out.ipynb")
    assert [(each[0], each[2]) for each in third] == [("⚡ base", "based"), ("⚡ scaled", "4040"), ("⚡ other", "4041")]


def test_cell_ids_of_front_ends(k):
    """A notebook begun in VS Code or Colab and gone on with in JupyterLab, or run by a script, is one notebook."""

    def run(code, **metadata):
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = k.client.session.msg("execute_request", {**content, "user_expressions": {}}, metadata=metadata)
        k.client.shell_channel.send(message)
        return k.finish(message["header"]["msg_id"])

    ids = [
        "1f0c7a3e-4a3b",
        "vscode-notebook-cell:/home/me/a.ipynb#W0sZmlsZQ%3D%3D",
        "W3sdnNjb2RlLXJlbW90ZQ==",
        "Zx9_kQ",
    ]
    seen = [run("%%task\nv = 7\nv", **metadata)[1] for metadata in ({}, *({"cellId": each} for each in ids))]
    assert [told(out)[0] for out in seen] == ["▸", *"⚡" * len(ids)]
    assert {result(out) for out in seen} == {"7"}
    traces = [run("%%task\nw = 1\n1/0", **metadata)[1] for metadata in ({}, *({"cellId": each} for each in ids))]
    assert all("----> 3 1/0" in error(out) and "nbflow/" not in error(out) for out in traces)
