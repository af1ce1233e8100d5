"""The command line's own parts: words in, lines out."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pyte
import pytest

from nbflow import __version__
from nbflow.cli import document, main, tables
from nbflow.cli.paint import painted
from nbflow.cli.private import private_folder
from nbflow.cli.progress import Cell, Progress, of_cell
from nbflow.cli.screen import Lines, Live
from nbflow.events import Began, Completed, Failed, Hit, Missed, Started, Waiting
from nbflow.step.phases import Phase
from nbflow.store import open_store
from nbflow.store.row import Draft
from nbflow.trace import Fact, Trait
from nbflow.world import files, versions

# -- words in --


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "COMMAND"),
        (["frob"], "frob"),
        (["run"], "NOTEBOOK"),
        (["run", "a.ipynb", "--nope"], "--nope"),
        (["ls", "--jso"], "--jso"),
        (["export"], "nbflow export: give FILE; see"),
        (["prune", "--older"], "nbflow prune: --older needs a value; see"),
        (["expalin"], "there is no command 'expalin'; did you mean 'explain'?"),
        (["ls", "--jso"], "nbflow ls: there is no flag --jso; did you mean '--json'?"),
        (["prune", "--max=5GB"], "did you mean '--max-size'?"),
        (["stats", "fetch"], "'fetch' is one word too many"),
        (["--vresion"], "did you mean '--version'?"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(words, says, capsys):
    """Otherwise a typing error would bury its cause in a page of usage."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "none.ipynb"], "none.ipynb: there is no such file"),
        (["run", "."], "that is a folder"),
        (["run", "text.ipynb"], "not a notebook: it is not JSON"),
        (["run", "list.ipynb"], "not a notebook: its JSON is a list, not an object"),
        (["run", "r.ipynb"], "a notebook in R"),
        (["run", "good.ipynb", "--timeout", "soon"], "--timeout='soon' is not a duration"),
        (["run", "good.ipynb", "--timeout", "-1"], "is not a duration"),
        (["run", "good.ipynb", "-p", "3=4"], "write NAME=VALUE"),
        (["run", "good.ipynb", "-p", "for=4"], "write NAME=VALUE"),
        (["run", "good.ipynb", "-p", "x"], "write NAME=VALUE"),
        (["run", "good.ipynb", "-o", "none/x.ipynb"], "there is no such folder"),
        (["run", "good.ipynb", "-o", "."], "that is a folder"),
        (["prune", "--max-size", "big"], "--max-size='big' is not a size"),
        (["prune", "--max-size", "0"], "--max-size='0' is not a size"),
        (["prune", "--older", "soon"], "--older='soon' is not a duration"),
        (["import", "none.nbflow"], "none.nbflow: there is no such file"),
        (["import", "text.ipynb"], "text.ipynb is no bundle"),
        (["import", "."], "that is a folder"),
        (["trust", "none.key"], "none.key cannot be read: No such file"),
        (["trust", "--remove", "abcd"], "no such key was trusted"),
        (["trust", "--remove", ""], "no such key was trusted"),
        (["trust", "text.ipynb", "--list"], "give a key file, --list or --remove"),
        (["completion", "bsh"], "there is no script for 'bsh'; did you mean 'bash'?"),
        (["history", "--limit", "many"], "--limit many: give a whole number"),
        (["clear"], "name a task, or give --all"),
        (["clear", "fetch", "--all"], "name a task, or give --all"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(words, says, capsys, tmp_path, monkeypatch):
    """Otherwise a user would read a traceback of ours for a mistake of theirs, or a kernel would start in vain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "text.ipynb").write_text("print(1)")
    (tmp_path / "list.ipynb").write_text("[]")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "good.ipynb")
    other = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}})
    nbformat.write(other, tmp_path / "r.ipynb")
    assert main(words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.startswith("nbflow: ")
    assert said.err.count("\n") == 1
    assert not list(tmp_path.glob("*.out.ipynb"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=1", 1),
        ("x=-2.5", -2.5),
        ("x=[1, 'a']", [1, "a"]),
        ("x=None", None),
        ("x=True", True),
        ("x=New York", "New York"),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ("x=2013-07-01", "2013-07-01"),
        ("x=__import__('os')", "__import__('os')"),
    ],
)
def test_a_parameter_is_a_literal_or_text(text, value):
    """Otherwise a number would arrive as text, or text would be run as code."""
    assert document.parameter(text) == ("x", value)


def notebook(*cells):
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text, metadata={"tags": tags}) for text, *tags in cells]
    )


def test_parameters_go_behind_the_tagged_cell_and_replace_older_ones():
    """Otherwise a notebook made for papermill would run on its defaults, or on last week's values."""
    made = notebook(
        ("import os",), ("limit = 1", "parameters"), ("limit = 2", "injected-parameters"), ("print(limit)",)
    )
    document.inject(made, {"limit": 3, "name": "it's"})
    assert [cell.source for cell in made.cells] == [
        "import os",
        "limit = 1",
        '# Parameters\nlimit = 3\nname = "it\'s"',
        "print(limit)",
    ]
    nbformat.validate(made)


def test_parameters_go_first_where_no_cell_is_tagged():
    """Otherwise a parameter would be set after it was read."""
    made = notebook(("print(x)",))
    document.inject(made, {"x": 1})
    assert [cell.source for cell in made.cells] == ["# Parameters\nx = 1", "print(x)"]
    document.inject(made, {})
    assert len(made.cells) == 2


@pytest.mark.parametrize(
    ("source", "title"),
    [("\n# why\n\n  x = 1\ny", "x = 1"), ("# only this", "# only this"), ("%%task a\nb", "%%task a")],
)
def test_a_cell_is_known_by_its_first_line_of_code(source, title):
    """Otherwise progress would name a cell by a comment, or by nothing."""
    assert document.title(source) == title


def test_the_executed_notebook_lies_beside_its_source(tmp_path):
    """Otherwise a run would change the notebook it was given, or grow `.out.out.ipynb`."""
    assert document.beside(tmp_path / "a.b.ipynb") == tmp_path / "a.b.out.ipynb"
    assert document.beside(tmp_path / "a.out.ipynb") == tmp_path / "a.out.ipynb"


def test_a_notebook_is_written_whole_or_not_at_all(tmp_path):
    """Otherwise a full disk would leave half a notebook where a whole one was."""
    path = tmp_path / "out.ipynb"
    path.write_text("old")
    path.chmod(0o640)
    document.write(notebook(("x",)), path)
    assert json.loads(path.read_text())["cells"][0]["source"] == ["x"]
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError):
        document.write(notebook(("x",)), tmp_path / "none" / "out.ipynb")
    with pytest.raises(Exception):
        document.write(None, path)
    assert path.read_text().startswith("{")
    assert os.listdir(tmp_path) == ["out.ipynb"]


# -- lines out --

FETCH = Cell(4, 14, "months = fetch.map(range(1, 13))")


def run_of(*steps):
    """A cell's events: name, how it went."""
    at = 0.0
    for step, how in enumerate(steps, 1):
        at += 1.0
        yield Began(step, at, "fetch", (step,), None)
        if how == "hit":
            yield Hit(step, at, 7200.0, 3.5, 2048)
            continue
        yield Missed(step, at, "clean() changed", None)
        yield Started(step, at, 1, 3)
        if how == "retry":
            yield Waiting(step, at + 0.5, 1, 2.0, "HTTPError: 503")
            yield Started(step, at + 2.5, 2, 3)
        if how == "fail":
            yield Failed(step, at + 3, "HTTPError: 503", "")
        else:
            yield Completed(step, at + 3, 0.5, 1024)


def shown(screen_of, *steps, state=Phase.COMPLETED):
    stream = io.StringIO()
    progress = Progress()
    screen = screen_of(progress, stream)
    progress.total = 14
    progress.begin()
    for event in run_of(*steps):
        progress.hear(event)
        screen.hear(event)
    screen.draw(FETCH._replace(seconds=1.0))
    progress.end(12.3)
    screen.end(FETCH._replace(state=state, seconds=12.3))
    return stream.getvalue(), progress


def test_the_summary_counts_hits_misses_retries_and_what_was_saved():
    """It is what tells a user that the second run was worth it."""
    _, progress = shown(Lines, "hit", "hit", "retry", "fail")
    assert progress.summary == "1 of 14 cells in 12.3 s · 2 hits saved 7.0 s · 2 misses · 1 retry · 1 failed"
    _, progress = shown(Lines)
    progress.total = 1
    assert progress.summary == "1 cell in 12.3 s"
    _, progress = shown(Lines, "run")
    assert "0 hits · 1 miss" in progress.summary


def test_a_log_has_a_line_for_each_retry_and_each_step_and_each_cell():
    """Otherwise the log of a scheduled run would not say what was tried, what was cached and why something ran."""
    text, _ = shown(Lines, "hit", "retry", "fail")
    lines = [line.split() for line in text.splitlines()]
    assert "\x1b" not in text
    assert all(line[:2] == ["[", "4/14]"] for line in lines)
    assert [line[2:4] for line in lines] == [
        ["⚡", "fetch(1)"],
        ["↻", "fetch(2)"],
        ["✓", "fetch(2)"],
        ["✗", "fetch(3)"],
        ["✗", "months"],
    ]
    assert "failed: HTTPError: 503; again in 2.0 s" in text
    assert "saved 3.5 s" in text
    assert "cached 2 h ago" in text
    assert "2/3" in text
    assert "miss: clean() changed" in text
    assert "1 ran · 1 cached · 1 failed" in text


def test_ten_thousand_hits_do_not_fill_a_log():
    """Otherwise a log would be megabytes of lines that say the same; failures among them still show."""
    text, _ = shown(Lines, *["hit"] * 500, "fail")
    assert len(text.splitlines()) < 80
    assert "✗ fetch(501)" in text


def on_terminal(text, width=80, height=24):
    """The lines that a terminal shows."""
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_is_drawn_over(monkeypatch, width):
    """Otherwise a live run would scroll its own past drawings away, eat the lines above it, or wrap in a narrow window."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")
    text, _ = shown(Live, "hit", "retry", state=Phase.FAILED)
    first = on_terminal("$ nbflow run\n" + text.partition("\x1b[?2026l")[0], width)
    last = on_terminal("$ nbflow run\n" + text, width)
    assert [line[:9].split()[-1] for line in first[1:4]] == ["◐", "⚡", "✓"]
    assert "0 of 14 cells" in first[4]
    assert [line[:9].split()[-1] for line in last[1:]] == ["✗", "⚡", "✓"]
    assert first[0] == last[0] == "$ nbflow run"
    assert all(len(line) < width for line in last)
    assert ("2/3" in last[3], "saved 3.5 s" in last[2], "changed" in last[3]) == (True, width > 40, width > 80)


def test_what_did_not_change_is_not_drawn_again():
    """Otherwise a terminal would flicker, and a run over ssh would be slow."""
    stream, progress = io.StringIO(), Progress()
    screen = Live(progress, stream)
    for event in run_of(*["hit"] * 5):
        progress.hear(event)
    screen.draw(FETCH._replace(seconds=1.0))
    whole = len(stream.getvalue())
    screen.draw(FETCH._replace(seconds=1.0))
    assert len(stream.getvalue()) == whole
    screen.draw(FETCH._replace(seconds=2.0))
    again = stream.getvalue()[whole:]
    assert "fetch(" not in again
    assert "2.0 s" in again
    assert len(on_terminal(stream.getvalue())) == 7


def test_a_window_that_was_made_narrower_is_drawn_anew(monkeypatch):
    """Otherwise what the terminal wrapped would stay behind as rubbish."""
    stream, progress = io.StringIO(), Progress()
    screen = Live(progress, stream)
    monkeypatch.setenv("COLUMNS", "80")
    screen.draw(FETCH)
    monkeypatch.setenv("COLUMNS", "30")
    before = len(stream.getvalue())
    screen.draw(FETCH)
    assert stream.getvalue()[before:].startswith("\x1b[?2026h\x1b[?7l\x1b[4F\x1b[J")  # 49 and 42 columns in lines of 30


def test_a_terminal_never_gets_more_lines_than_it_has(monkeypatch):
    """Otherwise drawing over a long fan-out would repeat its first lines for ever."""
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    text, _ = shown(Live, *["hit"] * 40)
    drawing = text.partition("\x1b[?7h")[0]
    assert drawing.count("\n") <= 9


def test_a_cell_without_steps_has_its_line():
    """Most cells of a notebook are ordinary ones."""
    text, _ = shown(Lines)
    assert text == f"[ 4/14] ✓ {'months = fetch.map(range(1, 13))':56}      12.3 s\n"


def test_a_step_belongs_to_the_cell_that_began_it():
    """Otherwise a step that nobody waited for would appear to be the next cell's."""
    progress = Progress()
    late = list(run_of("run"))
    progress.begin()
    for event in late[:-1]:
        progress.hear(event)
    progress.begin()
    progress.hear(late[-1])
    assert progress.view().total == 0


# -- the store --


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("NBFLOW_STORE", str(tmp_path / "kept"))
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "key"))
    store = open_store()
    for i, task in enumerate(["fetch", "fetch", "clean"]):
        traits = {"the code": Trait("00", "")}
        store.save(
            Draft(
                key=f"{i:032x}", tag=task, value=i, cost=1.5, facts=(), traits=traits, created=1e9 + i, serializer=None
            )
        )
    yield store
    store.close()


def test_ls_lists_tasks(store, capsys):
    """Otherwise nobody could see what takes the space."""
    assert main(["ls"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[1:3]] == [["clean", "1"], ["fetch", "2"]]
    assert lines[3][:2] == ["3", "results,"]
    assert main(["ls", "--json"]) == 0
    clean, fetch = json.loads(capsys.readouterr().out)
    assert (clean["task"], clean["entries"], clean["cost"], clean["newest"]) == ("clean", 1, 1.5, 1e9 + 2)
    assert (fetch["task"], fetch["entries"], fetch["cost"]) == ("fetch", 2, 3.0)
    assert fetch["size"] > 0


def test_ls_lists_the_results_of_a_task(store, capsys):
    """Otherwise nobody could tell one result from another."""
    assert main(["ls", "fetch", "--json"]) == 0
    newest, oldest = json.loads(capsys.readouterr().out)
    assert (newest["task"], newest["created"], newest["cost"]) == ("fetch", 1e9 + 1, 1.5)
    assert oldest["entry"].startswith(f"{0:032x}.")
    assert main(["ls", "fetch"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_ls_names_what_there_is_when_asked_for_what_there_is_not(store, capsys):
    """Otherwise a misspelled task would look like an empty one."""
    assert main(["ls", "fetsh"]) == 1
    assert "there is clean, fetch" in capsys.readouterr().err


def test_ls_of_no_store_makes_none(tmp_path, monkeypatch, capsys):
    """Otherwise looking around would litter folders."""
    monkeypatch.setenv("NBFLOW_STORE", str(tmp_path / "none"))
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "key"))
    assert main(["ls"]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert main(["clear", "fetch"]) == 1
    assert not (tmp_path / "none").exists()


def test_clear_drops_one_task(store, capsys):
    """Otherwise there would be no way to drop a result but all of them."""
    assert main(["clear", "fetch"]) == 0
    assert "dropped 2 results" in capsys.readouterr().out
    assert [each.tag for each in store.entries()] == ["clean"]
    assert main(["clear", "fetch"]) == 1


def test_clear_all_asks_first(store, capsys, monkeypatch):
    """Otherwise one slip would drop weeks of work."""
    assert main(["clear", "--all"]) == 2
    assert "--yes" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for answer in ("no\n", ""):  # the end of input is no consent
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert main(["clear", "--all"]) == 1
    assert len(list(store.entries())) == 3
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(["clear", "--all"]) == 0
    assert not list(store.entries())


def test_clear_all_yes_asks_nobody(store):
    """Otherwise no script could clear a store."""
    assert main(["clear", "--all", "--yes"]) == 0
    assert not list(store.entries())


def test_what_a_task_is_not_kept_of_is_told_with_what_there_is(store, capsys, tmp_path):
    """Otherwise a misspelled task would look like an empty one, or leave an empty bundle."""
    for words in (["show", "fetsh"], ["prune", "fetsh"], ["export", str(tmp_path / "x"), "fetch", "fetsh"]):
        assert main(words) == 1
        said = capsys.readouterr()
        assert "'fetsh'" in said.err and "there is clean, fetch" in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_stats_tell_what_caching_was_good_for(store, capsys):
    """Otherwise nobody could say whether it is worth its disk."""
    store.load(store.find(f"{0:032x}")[0])
    store.load(store.find(f"{0:032x}")[0])
    store.stats()  # of this process: written down
    assert main(["stats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["task", "clean", "fetch", "3"]
    assert lines[2].split()[-3:] == ["2", "3.0", "s"]
    assert "2 hits saved 3.0 s" in lines[3]
    assert main(["stats", "--json"]) == 0
    full = json.loads(capsys.readouterr().out)
    assert (full["entries"], full["hits"], full["saved"]) == (3, 2, 3.0)
    assert [each["task"] for each in full["tasks"]] == ["clean", "fetch"]


def test_show_tells_what_a_result_is(store, capsys):
    """Otherwise nobody could say what an entry stands for before dropping it."""
    row = next(store.entries("clean")).row
    for what in ("clean", row, row[:12], row[:33]):
        assert main(["show", what, "--json"]) == 0
        [entry, *more] = json.loads(capsys.readouterr().out)
        if what in ("clean", row):
            assert (entry["task"], entry["cost"], entry["serializer"], more) == ("clean", 1.5, "pickle", [])
            assert entry["key"] == {"the code": "00"}
    assert main(["show", "clean"]) == 0
    out = capsys.readouterr().out
    assert row in out and "the code" in out and "1.5 s" in out
    assert main(["show", ""]) == 1


def test_prune_drops_what_is_old(store, capsys):
    """Otherwise the only way to make room would be to drop everything."""
    assert main(["prune", "clean", "--older", "1d"]) == 0
    assert "dropped 1 result" in capsys.readouterr().out
    assert {each.tag for each in store.entries()} == {"fetch"}
    assert main(["prune"]) == 0
    assert "dropped 0 results" in capsys.readouterr().out
    assert main(["prune", "--max-size", "1"]) == 0
    assert not list(store.entries())


def test_verify_fails_until_it_repaired(store, capsys):
    """Otherwise a scheduled check would be green over a broken store."""
    assert main(["verify"]) == 0
    assert "3 results sound, 0 damaged" in capsys.readouterr().out
    store._index.run(lambda execute: execute("UPDATE Cache SET value = x'00' WHERE tag = 'clean'"))
    assert main(["verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "sound": 2, "damaged": 1, "foreign": 0, "repaired": False, "index": [], "orphans": {}, "quarantine": {},
    }  # fmt: skip
    assert main(["verify"]) == 1
    assert "--repair" in capsys.readouterr().err
    assert main(["verify", "--repair"]) == 0
    assert main(["verify"]) == 0


def test_results_go_from_store_to_store_and_need_trust(store, capsys, tmp_path, monkeypatch):
    """Otherwise results could not be handed to a colleague, or would come in from anybody."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    bundle = str(tmp_path / "fetch.nbflow")
    assert main(["export", bundle, "fetch"]) == 0
    assert "exported 2 results" in capsys.readouterr().out
    monkeypatch.setenv("NBFLOW_STORE", str(tmp_path / "theirs"))
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "their.key"))
    assert main(["import", bundle]) == 1
    said = capsys.readouterr()
    assert (
        "imported 0 results" in said.out and "2 results are sealed" in said.err and "nbflow trust KEYFILE" in said.err
    )
    assert main(["trust", str(tmp_path / "key")]) == 0
    key = capsys.readouterr().out.split()[0]
    assert main(["import", bundle]) == 0
    assert "imported 2 results" in capsys.readouterr().out
    assert main(["import", bundle]) == 0
    assert "2 were here already" in capsys.readouterr().out
    assert main(["trust", "--json"]) == 0
    listed = {each["key"]: each for each in json.loads(capsys.readouterr().out)}
    assert (listed[key]["entries"], listed[key]["standing"]) == (2, "trusted")
    assert [each["standing"] for each in listed.values()].count("yours") == 1
    assert main(["trust", "--remove", key[:6]]) == 0
    assert main(["trust", "--list"]) == 0
    assert "not trusted" in capsys.readouterr().out
    assert main(["verify"]) == 0
    assert "2 sealed with a key that is not trusted" in capsys.readouterr().out
    assert main(["trust", str(tmp_path / "their.key")]) == 0
    assert "your own key" in capsys.readouterr().out
    open_store(tmp_path / "theirs").close()


def test_a_part_of_a_bundle_is_told_by_the_exit_code(store, capsys, tmp_path):
    """Otherwise a script would take half of the results for all."""
    bundle = tmp_path / "x"
    assert main(["export", str(bundle)]) == 0
    bundle.write_bytes(bundle.read_bytes()[:3000])
    capsys.readouterr()
    assert main(["import", str(bundle)]) == 1
    assert "cut short" in capsys.readouterr().err


def test_tables_fit_the_terminal(monkeypatch, capsys):
    """Otherwise a long name would wrap each line of a listing."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    for out, longest in ((Terminal(), 30), (io.StringIO(), 93)):
        monkeypatch.setattr("sys.stdout", out)
        tables.table(("task", "took"), [("x" * 80, "2.5 s"), ("short", "1 ms")])
        assert max(map(len, out.getvalue().splitlines())) <= longest
        assert ("x" * 80 in out.getvalue()) == (longest > 30)


def test_wide_letters_keep_columns_straight(monkeypatch):
    """Otherwise a name in Japanese would push the figures behind it out of line."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    tables.table(("task", "took", "why"), [("価格", "2.5 s", "miss"), ("café", "1 ms", "")], words=("why",))
    assert out.getvalue().splitlines() == ["task   took  why", "価格  2.5 s  miss", "café   1 ms"]


def test_columns_that_have_no_room_go_from_the_right(monkeypatch):
    """Otherwise a terminal of 30 columns would show a table that nobody can read."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "24")
    tables.table(
        ("a task", "took", "size", "why it ran"), [("x" * 40, "2.5 s", "10.0 KB", "y" * 40)], words=("why it ran",)
    )
    assert sys.stdout.getvalue() == f"a task     took     size\n{'x' * 7}…  2.5 s  10.0 KB\n"


def test_colours_are_for_terminals_and_for_those_who_want_them(monkeypatch):
    """Otherwise logs would be full of escape codes, or people would read colours that they asked not to see."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert painted("ok", "green", Terminal()) == "\x1b[32mok\x1b[0m"
    assert painted("ok", "green", io.StringIO()) == "ok"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("ok", "green", Terminal()) == "ok"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert painted("ok", "green", Terminal()) == "ok"


@pytest.mark.parametrize(
    "words",
    [
        ["ls"],
        ["ls", "fetch"],
        ["stats"],
        ["show", "clean"],
        ["explain", "fetch"],
        ["verify"],
        ["trust"],
        ["config"],
        ["doctor"],
        ["jobs"],
    ],
    ids=" ".join,
)
def test_a_pipe_gets_plain_text_and_json_is_json(store, words, capsys, monkeypatch, tmp_path):
    """Otherwise a script would read colours, or words among its data."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out and "\x1b" not in out
    assert main([*words, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_help_tells_the_exit_codes(capsys):
    """Otherwise a script would have to find them by trying."""
    for words in ([], ["verify"], ["import"]):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        assert "Exit code" in capsys.readouterr().out


def keep(store, number, task="fetch", facts=(), **traits):
    store.save(
        Draft(
            key=f"{number:032x}",
            tag=task,
            value=number,
            cost=1.5,
            facts=facts,
            traits={name.replace("_", " "): Trait(*each) for name, each in traits.items()},
            created=1.1e9 + number,
            serializer=None,
        )
    )


def test_explain_compares_the_newest_two_and_tells_no_secret(store, capsys, tmp_path):
    """Otherwise nobody could say why a task ran again last night, or the answer would give a password away."""
    data = tmp_path / "data.csv"
    data.write_text("1")
    token, pandas = Fact("environment", "TOKEN", "ab" * 16), Fact("distribution", "pandas", "01", "2.2.1")
    keep(store, 1, facts=(token, pandas), the_code=("00", ""), input_month=("01", "3"), input_key=("02", "str of 8"))
    keep(
        store,
        2,
        facts=(
            token._replace(digest="cd" * 16),
            pandas._replace(digest="02", hint="2.2.2"),
            Fact("file", str(data), "00"),
        ),
        the_code=("00", ""),
        input_month=("03", "4"),
        input_key=("04", "str of 8"),
    )
    assert main(["explain", "fetch"]) == 0
    out = capsys.readouterr().out
    told = [line.strip() for line in out.partition("differs in 5 parts:\n")[2].splitlines()]
    assert told == [
        "input key changed",
        "input month 3 → 4",
        "package pandas 2.2.1 → 2.2.2",
        "variable TOKEN changed",
        f"file {data} is new",
    ]
    assert f"✗ file {data}" in out
    assert "cdcd" not in out
    assert main(["explain", "fetch", "--json"]) == 0
    found = capsys.readouterr().out
    assert "cdcd" not in found and "abab" not in found
    assert [each["of"] for each in json.loads(found)["differences"]] == ["key", "key", "fact", "fact", "fact"]
    assert main(["explain", "clean"]) == 0
    assert "there is no other result" in capsys.readouterr().out
    assert main(["explain", "fetsh"]) == 1


def test_explain_passes_over_siblings_of_the_same_map(store, capsys):
    """Otherwise an edit that made a hundred calls run again would be told as `input month 11 → 12`."""
    for number, code, month in ((1, "00", "11"), (2, "00", "12"), (3, "01", "11"), (4, "01", "12")):
        keep(store, number, the_code=(code, ""), input_month=(month, month))
    assert main(["explain", "fetch"]) == 0
    told = capsys.readouterr().out.partition("the nearest before it")[2]
    assert "the code changed" in told and "input month" not in told


def test_a_path_that_counts_from_another_folder_is_not_judged(store, capsys, tmp_path, monkeypatch):
    """Otherwise `nbflow show` in the folder above a notebook would call each of its results a miss."""
    below = tmp_path / "notebooks"
    below.mkdir()
    (below / "data.csv").write_text("1")
    monkeypatch.chdir(below)
    fact = files.fact(str(below / "data.csv"), "data.csv")
    keep(store, 3, "load", (fact, Fact("listing", "parts/*.csv", "00")), the_code=("00", ""))
    assert main(["show", "load"]) == 0
    assert "✓ file data.csv" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main(["show", "load"]) == 0
    out = capsys.readouterr().out
    assert "· file data.csv  is not below this folder" in out and "· folder parts/*.csv  is not below" in out
    assert main(["show", "load", "--json"]) == 0
    assert [each["holds"] for each in json.loads(capsys.readouterr().out)[0]["facts"]] == [None, None]
    (tmp_path / "data.csv").write_text("2")
    assert main(["show", "load"]) == 0
    assert "✗ file data.csv" in capsys.readouterr().out


def test_show_tells_which_facts_hold_here_and_now(store, capsys, tmp_path):
    """Otherwise nobody could say beforehand whether the next run will be a hit."""
    data = tmp_path / "data.csv"
    facts = (Fact("file", str(data), ""), Fact("random", "numpy", "00"), Fact("touched", "network", ""))
    keep(store, 3, "load", facts, the_code=("00", ""))
    assert main(["show", "load"]) == 0
    out = capsys.readouterr().out
    assert (
        f"✓ file {data}" in out and "· random numbers numpy" in out and "touched what no check can see: network" in out
    )
    data.write_text("1")
    assert main(["show", "load", "--json"]) == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert [(each["kind"], each["holds"]) for each in entry["facts"]] == [
        ("file", False),
        ("random", None),
        ("touched", None),
    ]


def test_config_tells_where_each_setting_was_made(store, capsys, tmp_path, monkeypatch):
    """Otherwise nobody could find out why a setting is not followed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\nverify = 'sealed'\n")
    assert main(["config", "--json"]) == 0
    found = {each["name"]: (each["value"], each["source"]) for each in json.loads(capsys.readouterr().out)}
    assert found["store"][1] == "NBFLOW_STORE"
    assert found["verify"] == ("sealed", str(tmp_path / "pyproject.toml"))
    assert found["panel"] == ("auto", "default")
    assert found["key file"] == (str(tmp_path / "key"), "NBFLOW_STORE_KEY_FILE")


def doctor(capsys):
    """The exit code, and what is not well: name, state, said, todo."""
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    return code, [(each["name"], each["state"], each["said"], each["todo"]) for each in found if each["state"] != "ok"]


def test_doctor_finds_what_is_wrong_and_says_what_to_do(store, capsys, tmp_path, monkeypatch):
    """Otherwise users would meet each of these as a rerun, a warning or a missing panel, one at a time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    code, found = doctor(capsys)
    assert (code, [each for each in found if each[0] in {"folder", "key", "index", "variable", "project"}]) == (0, [])

    def finds(name, state, said, todo):
        code, found = doctor(capsys)
        assert any(each[:2] == (name, state) and said in each[2] and todo in each[3] for each in found), found
        assert code == (state == "fail")

    (tmp_path / "kept").chmod(0o755)
    finds("folder", "warn", "others can look into", "chmod 700")
    (tmp_path / "kept").chmod(0o777)
    finds("folder", "fail", "anybody can write", "chmod 700")
    (tmp_path / "kept").chmod(0o700)
    (tmp_path / "key").chmod(0o644)
    finds("key", "fail", "others can read", "chmod 600")
    (tmp_path / "key").chmod(0o600)
    monkeypatch.setenv("NBFLOW_CASHE", "off")
    finds("variable", "warn", "nobody reads NBFLOW_CASHE; did you mean 'NBFLOW_CACHE'?", "unset")
    monkeypatch.delenv("NBFLOW_CASHE")
    monkeypatch.setenv("NBFLOW_VERIFY", "fully")
    finds("variable", "fail", "NBFLOW_VERIFY='fully': give full or sealed", "unset or correct")
    monkeypatch.delenv("NBFLOW_VERIFY")
    monkeypatch.setenv("NBFLOW_TAG_LIMITS", "api")
    finds("variable", "fail", "NBFLOW_TAG_LIMITS='api': give how many", "unset or correct")
    monkeypatch.delenv("NBFLOW_TAG_LIMITS")
    monkeypatch.setenv("NBFLOW_RETRIES", "3")
    finds("variable", "warn", "nobody reads NBFLOW_RETRIES", "unset")
    monkeypatch.delenv("NBFLOW_RETRIES")
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\ntag-limits = {api = 2}\n")
    assert not [each for each in doctor(capsys)[1] if each[0] == "project"]
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\nmax_size = '5GB'\n")
    finds("project", "warn", "nobody reads 'max_size' in [tool.nbflow]; did you mean 'max-size'?", "correct")
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\nmax-size = 'big'\n")
    finds("project", "fail", "'big' is not a size", "correct")
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow\n")
    finds("project", "fail", "cannot be read", "correct it")
    (tmp_path / "pyproject.toml").unlink()
    keep(store, 9, "late")
    store._index.run(
        lambda execute: execute("UPDATE Cache SET store_time = ? WHERE tag = 'late'", (time.time() + 3600,))
    )
    finds("clock", "warn", "60 minutes from now", "NTP")
    store.clear("late")
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "kept" / "key"))
    finds("key", "fail", "it lies in the store", "move it out")


def test_doctor_looks_into_the_store(store, capsys, tmp_path, monkeypatch):
    """Otherwise files that nobody needs, and results that nobody here can use, would be seen only as a full disk."""
    kept = tmp_path / "kept"
    for stray in (kept / "blobs" / "ab" / f"{'a' * 16}-{'0' * 16}.nbf", kept / "quarantine" / "ab-damaged.nbf"):
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"x" * 1000)
        os.utime(stray, (time.time() - 7200,) * 2)
    code, found = doctor(capsys)
    told = {each[0]: each for each in found}
    assert code == 0
    assert told["orphans"][1:] == (
        "warn",
        "1 file, 1000 B",
        "`nbflow verify --repair` deletes what killed processes left",
    )
    assert told["quarantine"][1] == "warn" and told["quarantine"][2] == "1 file, 1000 B"
    monkeypatch.setenv("NBFLOW_STORE", str(kept / "quarantine" / "ab-damaged.nbf"))
    code, found = doctor(capsys)
    assert code == 1 and any(each[0] == "folder" and "is a file" in each[2] for each in found)


def test_doctor_compares_versions(store, capsys, tmp_path, monkeypatch):
    """Otherwise an old package, or a kernel that has no nbflow, would be met as a traceback or as a panel that never comes."""
    packages, jupyter, settings = (tmp_path / name for name in ("site-packages", "jupyter", "settings"))
    for name in ("nbflow-0.1.0", "xxhash-0.1", "dask-2020.1.0", "distributed-2020.2.0", "jupyterlab-3.6.1"):
        (packages / f"{name}.dist-info").mkdir(parents=True)
    needs = "Requires-Dist: no-such-thing>=2\nRequires-Dist: xxhash>=3.0\nRequires-Dist: never; extra == 'test'\n"
    (packages / "nbflow-0.1.0.dist-info" / "METADATA").write_text(f"Name: nbflow\nVersion: 0.1.0\n{needs}")
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setattr(versions, "_known", {})
    for name, script in {"bare": "exit 1", "old": "echo 0.0.1", "same": f"echo {__version__}"}.items():
        (jupyter / "kernels" / name).mkdir(parents=True)
        python = jupyter / name
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        spec = {"argv": [str(python), "-m", "ipykernel_launcher"], "display_name": name, "language": "python"}
        (jupyter / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    (jupyter / "bare").rename(jupyter / "elsewhere")
    (jupyter / "kernels" / "ours").mkdir()
    ours = {"argv": ["python", "-m", "ipykernel_launcher"], "display_name": "ours", "language": "python"}
    (jupyter / "kernels" / "ours" / "kernel.json").write_text(json.dumps(ours))
    (settings / "labconfig").mkdir(parents=True)
    (settings / "labconfig" / "page_config.json").write_text('{"disabledExtensions": {"anywidget": true}}')
    monkeypatch.setenv("JUPYTER_PATH", str(jupyter))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(settings))
    code, found = doctor(capsys)
    expected = {
        ("no-such-thing", "fail"): ("is not installed", "pip install 'no-such-thing>=2'"),
        ("xxhash", "fail"): ("0.1 is too old", "pip install 'xxhash>=3.0'"),
        ("Dask", "warn"): ("dask 2020.1.0, distributed 2020.2.0: they should be of one version", "nbflow[dask]"),
        ("front end", "warn"): ("jupyterlab 3.6.1 is older than what is tested", "pip install -U jupyterlab"),
        ("extension", "warn"): ("anywidget is disabled", "jupyter labextension enable anywidget"),
        ("kernel bare", "warn"): ("cannot be asked: FileNotFoundError", "jupyter kernelspec remove bare"),
        ("kernel old", "warn"): (f"has nbflow 0.0.1, not {__version__}", "pip install -U nbflow"),
    }
    told = {each[:2]: each[2:] for each in found if each[:2] in expected}
    assert told.keys() == expected.keys(), found
    for name, (said, todo) in expected.items():
        assert said in told[name][0] and todo in told[name][1], told[name]
    assert code == 1 and "never" not in {each[0] for each in found}
    assert not {"kernel same", "kernel ours"} & {each[0] for each in found}
    (jupyter / "elsewhere").rename(jupyter / "bare")
    [bare] = [each for each in doctor(capsys)[1] if each[0] == "kernel bare"]
    assert "bare has no nbflow" in bare[2] and "-m pip install nbflow" in bare[3]


def test_doctor_looks_at_a_damaged_index_and_leaves_it_alone(store, capsys, tmp_path):
    """Otherwise looking for damage would change what is looked at."""
    store.close()
    index = tmp_path / "kept" / "index" / "cache.db"
    index.write_bytes(b"rubbish" * 5000)
    code, found = doctor(capsys)
    assert code == 1
    assert any(each[0] == "index" and "not a database" in each[2] and "nbflow ls" in each[3] for each in found)
    assert index.read_bytes() == b"rubbish" * 5000


def test_doctor_names_a_stopped_process_that_holds_a_lock(store, capsys, tmp_path):
    """Otherwise a notebook would wait for one that somebody suspended, and nobody would know for which."""
    hold = f"import fcntl; f = open({str(tmp_path / 'kept' / 'locks')!r}, 'r+'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 77); print()"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        os.kill(other.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, other.pid, os.WSTOPPED)
        _, found = doctor(capsys)
        os.kill(other.pid, signal.SIGCONT)
        other.communicate("\n")
    assert any(each[0] == "locks" and f"kill -CONT {other.pid}" in each[3] for each in found), found


def test_doctor_of_nothing_makes_nothing(capsys, tmp_path, monkeypatch):
    """Otherwise to look whether all is well would leave a store and a key behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBFLOW_STORE", str(tmp_path / "none"))
    monkeypatch.setenv("NBFLOW_STORE_KEY_FILE", str(tmp_path / "key"))
    assert main(["doctor"]) == 0
    assert "is made with the first result" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ex"], ["explain", "export"]),
        (["--v"], ["--version"]),
        (["show", ""], ["clean", "fetch"]),
        (["prune", "--"], ["--max-size", "--older", "--help"]),
        (["prune", "--older", ""], []),
        (["prune", "--older", "3d", "f"], ["fetch"]),
        (["ls", "fetch", ""], []),
        (["ls", "--json", "--j"], []),
        (["export", "x", "fetch", "c"], ["clean"]),
        (["run", ""], ["files"]),
        (["run", "x.ipynb", "-o", ""], ["files"]),
        (["completion", "z"], ["zsh"]),
        (["show", "'fe"], []),
        (["none", ""], []),
    ],
)
def test_a_shell_is_told_what_a_word_may_become(store, capsys, words, found):
    """Otherwise names of tasks, which are long, would have to be typed, and flags to be remembered."""
    assert main(["completion", "bash", "--", *words]) == 0
    assert capsys.readouterr().out.split() == found


def test_a_killed_run_is_tidied_up_by_the_next(tmp_path):
    """Otherwise a night of killed runs would fill the folder for temporary files."""
    code = "import sys\nfrom nbflow.cli.private import private_folder\nwith private_folder() as f:\n print(f, flush=True); input()"
    start = [sys.executable, "-c", code]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environ}
    with subprocess.Popen(start, **pipes) as killed, subprocess.Popen(start, **pipes) as lives:
        left, held = killed.stdout.readline().strip(), lives.stdout.readline().strip()
        killed.kill()
        killed.wait()
        young = tmp_path / "nbflow-run-young"
        young.mkdir()
        for folder in (left, held):
            os.utime(folder, (1e9, 1e9))
        swept = subprocess.run(start, input="\n", capture_output=True, text=True, env=environ, check=True)
        assert sorted(os.listdir(tmp_path)) == sorted([os.path.basename(held), "nbflow-run-young"]), swept
        lives.communicate("\n")
    assert os.listdir(tmp_path) == ["nbflow-run-young"]
    assert private_folder


def test_a_parameter_that_the_notebook_does_not_ask_for_is_told():
    """Otherwise a misspelled parameter would run the notebook on its defaults."""
    made = notebook(("month = 1\nlimit: int = 2", "parameters"))
    [line] = document.unasked(made, {"mnoth": 3, "limit": 4})
    assert "mnoth" in line and "did you mean 'month'?" in line
    assert document.unasked(notebook(("x",)), {"y": 1}) == []
    assert document.unasked(notebook(("%matplotlib inline\nmonth = 1", "parameters")), {"y": 1}) == []


def test_a_title_is_one_printable_line():
    """Otherwise a cell's first line could move the cursor or wrap over the next lines."""
    line = str(of_cell(Cell(1, 2, "x = '\x1b[2J' + " + "y" * 500), Progress().view()))
    assert "\x1b" not in line
    assert len(line) < 90
