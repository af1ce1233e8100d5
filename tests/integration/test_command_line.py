"""The command line as a shell and a terminal meet it: pipes that close, files that are full, keys that are pressed."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from nbflow.store import open_store
from nbflow.store.row import Draft
from nbflow.trace import Trait
from tests.integration.commands import environment, nbflow, write
from tests.integration.terminal import Terminal

COMMAND = f"{sys.executable} -m nbflow"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder with a store in which tasks have results."""
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "key"))
    store = open_store(tmp_path / "store")
    for i in range(300):
        traits = {"the code": Trait(f"{i:02x}", "")}
        store.save(Draft(f"{i:032x}", f"task number {i:03}", i, 1.5, (), traits, 1e9 + i))
    store.close()
    return tmp_path


def sh(folder, line):
    """Run a line in bash: its exit code, and all that it said."""
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (f"{COMMAND} ls >&-", 0, ""),
        (f"{COMMAND} ls > /dev/full", 1, "nbflow: No space left on device\n"),
        (f"{COMMAND} nope 2>&-", 2, ""),
        (
            f"mkdir gone && cd gone && rmdir ../gone && env -u NBFLOW_STORE {COMMAND} ls",
            1,
            "the working directory is gone",
        ),
        (f"NBFLOW_STORE=/proc/none {COMMAND} clear --all --yes", 1, ""),
        (f"NBFLOW_STORE_KEY_FILE=/proc/none/key {COMMAND} ls", 1, "there is no key"),
    ],
)
def test_what_a_shell_does_to_it_ends_in_a_line_and_an_exit_code(kept, line, code, says):
    """Otherwise `nbflow ls | head` in a script would print a traceback, or a full disk look like success."""
    ended, _, told = sh(kept, line)
    assert "Traceback" not in told and "Exception" not in told
    assert (says in told) and told.count("\n") <= 1, told
    assert ended == code


@pytest.mark.parametrize(("words", "code"), [(["ls", "--json"], 1), (["--help"], 0), (["doctor"], 1)])
def test_a_reader_that_has_gone_is_no_error_to_talk_about(kept, words, code):
    """Otherwise `nbflow ls | head` would print a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*COMMAND.split(), *words], cwd=kept, env=environment(kept), stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (code, b"")


@pytest.mark.parametrize("width", [50, 80, 200])
def test_listings_fit_the_terminal_and_pipes_get_all(kept, width):
    """Otherwise each line of a listing would wrap in a narrow window, or a script would read cut names."""
    with Terminal([*COMMAND.split(), "ls"], environment(kept), kept, (width, 24)) as terminal:
        assert terminal.end() == 0
        assert sum(line.startswith("task number ") for line in terminal.lines) == 300
        assert terminal.lines[0].split() == ["task", "results", "size", "took", "newest"]
        assert b"\x1b[1m" in terminal.raw
    with Terminal([*COMMAND.split(), "ls"], environment(kept, NO_COLOR="1"), kept, (width, 24)) as terminal:
        terminal.end()
        assert b"\x1b" not in terminal.raw
    _, out, _ = sh(kept, f"{COMMAND} ls | cat")
    assert "\x1b" not in out and "task number 299" in out


@pytest.fixture
def shell(kept):
    """A folder whose `bin` has the command, to start it by name."""
    (kept / "bin").mkdir()
    (kept / "bin" / "nbflow").write_text(f'#!/bin/sh\nexec {COMMAND} "$@"\n')
    (kept / "bin" / "nbflow").chmod(0o755)
    return kept, environment(kept, PATH=f"{kept}/bin:{os.environ['PATH']}", PS1="$ ", HISTFILE="")


def test_bash_completes_commands_flags_tasks_and_files(shell):
    """Otherwise people would have to know by heart what they may type."""
    folder, environ = shell
    write(folder / "tour of it.ipynb", "1")
    with Terminal(["bash", "--norc", "--noprofile"], environ, folder, (100, 30)) as bash:
        bash.until(lambda lines: lines)
        bash.type('eval "$(nbflow completion bash)"; clear\r')
        bash.until(lambda lines: lines == ["$"])
        for keys, shown in (
            ("nbflow expl\t", "$ nbflow explain"),
            ("task\t", "$ nbflow explain task\\ number\\"),
            ("299\t", "$ nbflow explain task\\ number\\ 299"),
            ("\x15nbflow prune --ma\t", "$ nbflow prune --max-size"),
            ("\x15nbflow run tour\t", "$ nbflow run tour\\ of\\ it.ipynb"),
            ("\x15nbflow completion f\t", "$ nbflow completion fish"),
        ):
            bash.type(keys)
            bash.until(lambda lines, shown=shown: any(line.rstrip() == shown for line in lines))


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_complete_too(shell, name):
    """Otherwise the scripts for them would rot unseen."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    folder, environ = shell
    argv, setup = {
        "zsh": (["zsh", "-f"], 'autoload -U compinit; compinit -u; eval "$(nbflow completion zsh)"; clear\r'),
        "fish": (["fish", "--no-config"], "nbflow completion fish | source; clear\r"),
    }[name]
    with Terminal(argv, {**environ, "HOME": str(folder)}, folder, (100, 30)) as terminal:
        terminal.until(lambda lines: lines)
        terminal.type(setup)
        terminal.until(lambda lines: len(lines) == 1 and "clear" not in lines[0])
        terminal.type("nbflow expl\t")
        terminal.until(lambda lines: any("nbflow explain" in line for line in lines))
        terminal.type("\x15nbflow prune --ma\t")
        terminal.until(lambda lines: any("nbflow prune --max-size" in line for line in lines))


STEPS = """
%load_ext nbflow
from nbflow import task
@task(persist_result=True, retries=2, ignore=["tries"])
def fetch(x, tries):
    tries[x] = tries.get(x, 0) + 1
    if x == 3 and tries[x] < 2:
        raise OSError("no answer from 日本 today")
    return x
"""


@pytest.mark.kernel
@pytest.mark.parametrize("size", [(80, 24), (120, 12)])
def test_a_live_run_on_a_terminal(tmp_path, size):
    """Otherwise the first thing that people see of a run would wrap, flicker, or eat the lines above it."""
    write(
        tmp_path / "n.ipynb", STEPS, "from nbflow import unmapped\nfetch.map(range(9), unmapped({})).result()", "1 + 1"
    )
    argv = [*COMMAND.split(), "run", "n.ipynb"]
    with Terminal(argv, environment(tmp_path), tmp_path, size) as terminal:
        terminal.until(lambda lines: any("a kernel starts" in line for line in lines), 120)
        assert "0 of 3 cells" in terminal.lines[-1]
        assert terminal.end() == 0, terminal.lines
        lines = terminal.lines
        assert [line[:5] for line in lines if line.startswith("[")] == ["[1/3]", "[2/3]", "[3/3]"]
        assert sum("fetch(" in line for line in lines) == 9
        assert all("ran" in line for line in lines if "fetch(" in line)
        assert lines[-2].startswith("3 cells in ") and "0 hits · 9 misses · 1 retry" in lines[-2]
        assert not any("━" in line or "kernel starts" in line for line in lines)
        assert b"\x1b[32m" in terminal.raw
        assert not terminal.screen.cursor.hidden
    with Terminal(argv, environment(tmp_path, NO_COLOR="1"), tmp_path, size) as terminal:
        assert terminal.end() == 0
        assert any("9 cached · saved" in line for line in terminal.lines)
        assert len(terminal.lines) == 5  # what all came from the store is one line
        assert not re.search(rb"\x1b\[\d*m", terminal.raw)
    piped = nbflow(tmp_path, "run", "n.ipynb")
    assert "\x1b" not in piped.stdout and "━" not in piped.stdout
