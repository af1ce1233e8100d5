"""Files that a run reads, looks for in vain, writes, appends to, renames and removes."""

import glob
import linecache
import os
import runpy
import shutil
import tempfile
import traceback
from pathlib import Path

import pytest

from nbflow.trace import Fact
from nbflow.world import broken, exclude, files, watch

YEAR = 365 * 24 * 3600 * 10**9


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def seen(run, *args):
    with watch() as sight:
        run(*args)
    return {(fact.kind, fact.subject): fact for fact in sight.facts()}, sight.touched


def only(run, *args):
    facts, _ = seen(run, *args)
    (fact,) = facts.values()
    return fact


def holds(facts):
    return [broken(fact) for fact in facts.values() if broken(fact)]


def test_changed_content_breaks():
    """A result made from old data would be served after the data changed."""
    Path("data.csv").write_text("1")
    fact = only(Path("data.csv").read_text)
    assert (fact.kind, fact.subject) == ("file", "data.csv")
    assert broken(fact) is None
    Path("data.csv").write_text("2")
    assert broken(fact) == "data.csv changed"
    Path("data.csv").unlink()
    assert broken(fact) == "data.csv is gone"


@pytest.mark.parametrize("change", ["touch", "chmod", "copy"])
def test_same_content_holds(change):
    """`git checkout`, `touch` and `cp -r` would cost a rerun although nothing changed."""
    Path("data.csv").write_text("1")
    fact = only(Path("data.csv").read_text)
    if change == "touch":
        os.utime("data.csv", ns=(1, 1))
    elif change == "chmod":
        os.chmod("data.csv", 0o600)
    else:
        shutil.copy("data.csv", "copy")
        os.replace("copy", "data.csv")
    assert broken(fact) is None


def test_same_size_and_time_but_other_content():
    """An editor or sync tool that keeps the time would hide a change."""
    Path("data.csv").write_text("1")
    stat = os.stat("data.csv")
    fact = files.fact("data.csv", "data.csv", now=stat.st_ctime_ns + YEAR)
    assert broken(fact) is None
    Path("data.csv").write_text("2")
    os.utime("data.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert os.stat("data.csv").st_mtime_ns == stat.st_mtime_ns
    assert broken(fact) == "data.csv changed"


def test_settled_file_is_not_read_again():
    """A hit on 100 GB of inputs would read them all, each time."""
    Path("data.csv").write_text("1")
    fact = files.fact("data.csv", "data.csv", now=os.stat("data.csv").st_ctime_ns + YEAR)
    assert broken(fact._replace(digest="0" * 32)) is None


def test_young_file_is_read_again():
    """A change within one tick of the file system's clock would go unnoticed."""
    Path("data.csv").write_text("1")
    now = os.stat("data.csv").st_ctime_ns + files.MARGIN
    fact = files.fact("data.csv", "data.csv", now=now)
    assert broken(fact._replace(digest="0" * 32)) == "data.csv changed"
    assert broken(fact) is None


def test_fact_survives_json():
    """An entry that comes back from the store would never be trusted unread."""
    import json

    Path("data.csv").write_text("1")
    fact = files.fact("data.csv", "data.csv", now=os.stat("data.csv").st_ctime_ns + YEAR)
    again = Fact(*json.loads(json.dumps(fact)))
    assert broken(again) is None
    assert again.hint == fact.hint


def test_absent_file_is_a_fact():
    """A configuration file that appears later would be ignored."""

    def run():
        with pytest.raises(FileNotFoundError):
            open("settings.ini")

    fact = only(run)
    assert fact.digest == ""
    assert broken(fact) is None
    Path("settings.ini").write_text("x")
    assert broken(fact) == "settings.ini is there now"


def test_relative_paths_move_with_the_project(folder, monkeypatch):
    """A project that is copied to another machine would run everything again."""
    (folder / "one" / "data").mkdir(parents=True)
    (folder / "one" / "notes").mkdir()
    (folder / "one" / "data" / "x.csv").write_text("1")
    monkeypatch.chdir(folder / "one" / "notes")
    fact = only(Path("../data/x.csv").read_text)
    assert fact.subject == "../data/x.csv"
    shutil.move(folder / "one", folder / "two")
    monkeypatch.chdir(folder / "two" / "notes")
    assert broken(fact) is None


def test_out_of_a_linked_folder():
    """The system goes up from where a link leads: of another path nothing would be known, and the hit be stale."""
    os.makedirs("real/below")
    Path("real/a.csv").write_text("1")
    os.symlink("real/below", "link")
    fact = only(Path("link/../a.csv").read_text)
    assert broken(fact) is None
    Path("real/a.csv").write_text("2")
    assert broken(fact) == f"{fact.subject} changed"


def test_lock_files_count_when_they_are_read():
    """A report on `uv.lock` would be stale; to hold a lock would be an effect."""
    Path("uv.lock").write_text("1")
    assert only(Path("uv.lock").read_text).subject == "uv.lock"
    facts, touched = seen(lambda: os.close(os.open("x.lock", os.O_RDWR | os.O_CREAT | os.O_TRUNC)))
    assert (facts, touched) == ({}, frozenset())


def test_absolute_paths_stay(folder, monkeypatch):
    """The same absolute path from another folder would be a miss."""
    (folder / "x.csv").write_text("1")
    fact = only((folder / "x.csv").read_text)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert broken(fact) is None


def test_a_run_that_changes_folder(folder):
    """Files read after `os.chdir` would be looked for in the wrong place."""
    (folder / "below").mkdir()
    (folder / "below" / "x.csv").write_text("1")

    def run():
        os.chdir("below")
        Path("x.csv").read_text()

    facts, _ = seen(run)
    os.chdir(folder)
    assert ("file", "below/x.csv") in facts
    assert holds(facts) == []


def test_written_file_must_be_there():
    """After a hit, the file that the step is known to write would be missing."""
    facts, touched = seen(lambda: Path("out.csv").write_text("1"))
    assert touched == {"files"}
    assert holds(facts) == []
    Path("out.csv").write_text("other")
    assert holds(facts) == ["out.csv changed"]
    Path("out.csv").unlink()
    assert holds(facts) == ["out.csv is gone"]


def test_reading_back_what_was_written_is_no_input():
    """A step that writes a file and checks it would miss for ever."""
    Path("out.csv").write_text("old")

    def run():
        Path("out.csv").write_text("new")
        Path("out.csv").read_text()

    facts, _ = seen(run)
    assert holds(facts) == []


def test_read_then_overwritten_never_holds():
    """Normalising a file in place would be skipped though the file is another one."""
    Path("data.csv").write_text("1")

    def run():
        text = Path("data.csv").read_text()
        Path("data.csv").write_text(text + "2")

    with watch() as sight:
        run()
    assert len(sight.facts()) == 2
    assert [broken(fact) for fact in sight.facts()] == ["data.csv changed", None]
    Path("data.csv").write_text("1")
    assert [broken(fact) for fact in sight.facts()] == [None, "data.csv changed"]


def test_log_is_no_fact():
    """Every later line in a log would make its step run again."""

    def run():
        with open("run.log", "a") as log:
            log.write("ran\n")

    facts, touched = seen(run)
    assert facts == {}
    assert touched == {"files"}


def test_update_in_place_is_no_fact():
    """A database file would be digested after each run and never hold."""
    Path("table.bin").write_text("12")

    def run():
        with open("table.bin", "r+") as table:
            table.write("3")

    facts, touched = seen(run)
    assert facts == {}
    assert touched == {"files"}


def test_atomic_replace_counts_as_writing():
    """A file written by temporary file and rename would not be missed."""

    def run():
        handle, name = tempfile.mkstemp(dir=".")
        os.write(handle, b"1")
        os.close(handle)
        os.replace(name, "out.csv")

    facts, touched = seen(run)
    assert [subject for _, subject in facts] == ["out.csv"]
    assert touched == {"files"}
    Path("out.csv").unlink()
    assert holds(facts) == ["out.csv is gone"]


def test_moved_in_from_where_nothing_counts(folder):
    """All that was written before would be forgotten: a hit would not mind that it is gone."""
    os.mkdir("cache-of-mine")
    exclude(folder / "cache-of-mine")
    Path("cache-of-mine/x").write_text("1")

    def run():
        Path("out.csv").write_text("1")
        os.rename("cache-of-mine/x", "b.csv")

    facts, touched = seen(run)
    assert {subject for _, subject in facts} == {"out.csv", "b.csv"}
    assert touched == {"files"}


def test_renamed_folder_takes_its_files_along():
    """What was written below a folder that is renamed last would be looked for at its old place."""

    def run():
        os.mkdir("part")
        Path("part/a.csv").write_text("1")
        os.rename("part", "whole")

    facts, _ = seen(run)
    assert {subject for _, subject in facts} == {"whole", "whole/a.csv"}
    assert holds(facts) == []


def test_temporary_files_do_not_count():
    """Pure work that needs scratch space would count as writing files."""

    def run():
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "a").write_text("1")
            Path(scratch, "a").read_text()
            os.listdir(scratch)
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"1")
        with tempfile.TemporaryFile() as file:
            file.write(b"1")
        Path("scratch").write_text("1")
        Path("scratch").unlink()

    facts, touched = seen(run)
    assert facts == {}
    assert touched == frozenset()


def test_removing_a_file_is_an_effect():
    """A clean-up step would be skipped."""
    Path("old.csv").write_text("1")
    _, touched = seen(os.remove, "old.csv")
    assert touched == {"files"}
    _, touched = seen(lambda: Path("old.csv").unlink(missing_ok=True))
    assert touched == frozenset()


def test_removing_a_tree_is_an_effect_and_no_listing():
    """`shutil.rmtree` would make facts of the names it removes."""
    os.makedirs("old/below")
    Path("old/below/a").write_text("1")
    facts, touched = seen(shutil.rmtree, "old")
    assert touched == {"files"}
    assert {key for key in facts if key[0] == "listing"} == set()
    assert all("old" in subject for _, subject in facts)


def test_made_folder_must_be_there():
    """After a hit the next step would write into a folder that is missing."""
    facts, touched = seen(os.makedirs, "out/plots")
    assert touched == {"files"}
    assert holds(facts) == []
    os.rmdir("out/plots")
    assert holds(facts) == ["out/plots is gone"]
    _, touched = seen(lambda: os.makedirs("out", exist_ok=True))
    assert touched == frozenset()


def test_somebody_else_changes_the_file_meanwhile():
    """A run that read half the old and half the new data would be kept."""
    Path("data.csv").write_text("1")
    with watch() as sight:
        with open("data.csv") as file:
            file.read()
        os.utime("data.csv", ns=(5, 5))
    assert [broken(fact) for fact in sight.facts()] == ["data.csv changed"]


def test_listing():
    """A new file in a folder that is read whole would be ignored."""
    os.mkdir("data")
    Path("data/a.csv").write_text("1")
    for run in (lambda: os.listdir("data"), lambda: list(os.scandir("data")), lambda: list(Path("data").iterdir())):
        fact = only(run)
        assert (fact.kind, fact.subject) == ("listing", "data/")
        assert broken(fact) is None
        Path("data/a.csv").write_text("2")
        assert broken(fact) is None
        Path("data/b.csv").write_text("1")
        assert broken(fact) == "the listing of data/ changed"
        Path("data/b.csv").unlink()
        assert broken(fact) is None


def test_listing_that_goes():
    """A folder that is gone would still count as read."""
    os.mkdir("data")
    fact = only(os.listdir, "data")
    os.rmdir("data")
    assert broken(fact) == "data/ is gone"


def test_notes_of_tools_are_in_no_listing():
    """The store's own folder, made beside the notebook on the first run, would be a change."""
    fact = only(os.listdir, ".")
    for name in (".nbflow", ".ipynb_checkpoints", "__pycache__"):
        os.mkdir(name)
    assert broken(fact) is None


def test_folder_that_is_called_like_a_store(folder):
    """New data below any folder called `results` would go unnoticed once results are kept in one of that name."""
    os.makedirs("data/results")
    Path("data/results/a.csv").write_text("1")
    exclude(folder / "results")
    beside, fact = only(os.listdir, "."), only(glob.glob, "data/results/*.csv")
    os.mkdir("results")
    assert broken(beside) is None
    Path("data/results/b.csv").write_text("1")
    assert broken(fact) == f"the listing of {fact.subject} changed"


@pytest.mark.parametrize(
    "look",
    [
        lambda: glob.glob("*.csv"),
        lambda: glob.glob("*.csv", root_dir="."),
        lambda: list(Path().glob("*.csv")),
        lambda: list(Path().rglob("*.csv")),
    ],
)
def test_pattern(look):
    """A new plot beside the data would make everything that reads `*.csv` run again; a new csv would not."""
    Path("a.csv").write_text("1")
    fact = only(look)
    assert fact.kind == "listing"
    Path("plot.png").write_text("1")
    assert broken(fact) is None
    Path("b.csv").write_text("1")
    assert broken(fact) == f"the listing of {fact.subject} changed"


def test_walk():
    """A file added deep below would be ignored."""
    os.makedirs("data/below")
    facts, _ = seen(lambda: list(os.walk("data")))
    assert holds(facts) == []
    Path("data/below/a").write_text("1")
    assert holds(facts) == ["the listing of data/below/ changed"]


def test_library_files_do_not_count(folder):
    """A package's own data or a compiled module would be a fact of every run that imports it."""
    import sysconfig

    def run():
        next(Path(sysconfig.get_path("purelib")).glob("*/__init__.py"))
        Path(os.__file__).read_text()
        Path("/proc/self/stat").read_text()
        Path("/etc/hosts").read_text()

    assert seen(run) == ({}, frozenset())


def test_imports_of_local_modules_do_not_count(folder, monkeypatch):
    """A comment in a helper module would make each cell that imports it run again: code is keyed by reach."""
    (folder / "my_helpers_for_worlds.py").write_text("from pathlib import Path\nx = Path('settings.ini').read_text()\n")
    Path("settings.ini").write_text("1")
    monkeypatch.syspath_prepend(folder)
    facts, _ = seen(__import__, "my_helpers_for_worlds")
    assert set(facts) == {("file", "settings.ini")}


def test_own_reads_are_unseen():
    """Verifying an inner step's facts would make facts of the outer one."""
    Path("data.csv").write_text("1")
    inner = only(Path("data.csv").read_text)
    facts, _ = seen(broken, inner._replace(hint=None))
    assert facts == {}


def test_own_settings_are_unseen():
    """Where nbflow looks for its options would be an input of every step around."""
    Path("pyproject.toml").write_text("")
    code = compile(
        "from pathlib import Path\nopen('pyproject.toml').close()\nPath('pyproject.toml').read_text()", "x", "exec"
    )
    assert seen(exec, code, {"__name__": "nbflow.somewhere"}) == ({}, frozenset())
    facts, _ = seen(exec, code, {"__name__": "nbflowing"})
    assert set(facts) == {("file", "pyproject.toml")}


def test_mention():
    """A file that a C library opens by a path in the code would not be seen."""
    Path("data.bin").write_text("1")
    with watch() as sight:
        sight.mention(["data.bin", "no such thing.", "a sentence\nof text.", Path("other.bin"), 5, "." * 5000])
        fd = os.open("/dev/null", os.O_RDONLY)
        os.close(fd)
    (fact,) = sight.facts()
    assert fact.subject == "data.bin"
    assert sight.touched == frozenset()
    Path("data.bin").write_text("2")
    assert broken(fact) == "data.bin changed"


def test_mention_of_an_output():
    """`to_csv("out.csv")` in a second run would make the first run's file an input."""
    Path("out.csv").write_text("old")
    with watch() as sight:
        sight.mention(["out.csv"])
        Path("out.csv").write_text("new")
    (fact,) = sight.facts()
    assert broken(fact) is None
    assert sight.touched == {"files"}


def test_mention_of_a_file_written_unseen():
    """An image that C code writes would not count as written."""
    import subprocess
    import sys

    with watch() as sight:
        sight.mention(["out.png"])
        subprocess.run([sys.executable, "-c", "open('out.png', 'w').write('1')"], check=True)
    assert sight.touched == {"files", "child process"}
    assert [fact.subject for fact in sight.facts()] == ["out.png"]


@pytest.mark.parametrize("subject", ["", "a\0b", "x" * 5000, "/", "/dev/null"])
def test_broken_never_raises(subject):
    """A damaged fact would raise into the user's call."""
    for kind in ("file", "listing", "environment", "random", "distribution", "who knows"):
        for hint in (None, [], [1, 2, 3, 4, 5], "x", {"a": 1}):
            assert isinstance(broken(Fact(kind, subject, "d", hint)), str)


def answers(path):
    return {
        "exists": lambda: os.path.exists(path),
        "isfile": lambda: os.path.isfile(path),
        "isdir": lambda: os.path.isdir(path),
        "Path.exists": lambda: Path(path).exists(),
        "Path.is_dir": lambda: Path(path).is_dir(),
        "Path.stat": lambda: Path(path).stat() if Path(path).exists() else None,
        "getmtime": lambda: os.path.exists(path) and os.path.getmtime(path),
    }


ASKED = sorted(answers(""))


@pytest.mark.parametrize("question", ASKED)
@pytest.mark.parametrize("there", [False, True])
def test_asked_after(question, there):
    """`if os.path.exists("fix.csv")` without opening would be answered as of the first run for ever."""
    ask = answers("fix" + chr(46) + "csv")[question]
    if there:
        Path("fix.csv").write_text("1")
    facts, touched = seen(ask)
    assert facts
    assert holds(facts) == []
    assert touched == frozenset()
    if there:
        Path("fix.csv").unlink()
    else:
        Path("fix.csv").write_text("1")
    assert holds(facts) == [f"fix.csv is {'gone' if there else 'there now'}"]


@pytest.mark.parametrize("question", ASKED)
def test_content_of_what_was_only_asked_after(question):
    """Each change of a file that a step only looks for would run it again; one of its time, if that was asked for."""
    Path("fix.csv").write_text("1")
    facts, _ = seen(answers("fix.csv")[question])
    Path("fix.csv").write_text("22")
    assert holds(facts) == (["fix.csv changed"] if question in {"Path.stat", "getmtime"} else [])


@pytest.mark.parametrize("make", [lambda: os.mkdir("out"), lambda: Path("out").write_text("1")])
def test_asked_after_and_then_made(make):
    """`if not exists("out"): make it` would never hit: what was not there is there now."""

    def run():
        assert not os.path.exists("out")
        make()
        assert os.path.exists("out")

    facts, touched = seen(run)
    assert holds(facts) == []
    assert touched == {"files"}


def test_asked_by_a_library():
    """What libraries look for on their way would be facts: settings, caches, other places of a module."""
    code = compile("import os.path; os.path.exists('settings.ini')", shutil.__file__, "exec")
    assert seen(exec, code, {"__name__": "shutil"}) == ({}, frozenset())


def test_asking_leaves_nothing_behind():
    """A stand-in for `os` would stay in the standard library, or a frame of ours in a traceback."""
    import genericpath
    import traceback

    def run():
        with pytest.raises(FileNotFoundError) as caught:
            os.path.getsize("nothing")
        assert "nbflow" not in "".join(traceback.format_tb(caught.value.__traceback__)[1:])
        assert os.path.getsize(os.curdir) == os.stat(os.curdir).st_size

    seen(run)
    assert genericpath.os is os


@pytest.mark.parametrize(
    "named",
    [
        b"data.bin",
        ["data.bin"],
        {"x": [Path("data.bin")]},
        (Path("data.bin"), 1),
        "~/data.bin",
    ],
)
def test_mention_in_other_words(named, folder, monkeypatch):
    """A list of files that a C library opens would not be seen."""
    monkeypatch.setenv("HOME", str(folder))
    Path("data.bin").write_text("1")
    with watch() as sight:
        sight.mention([named])
    assert [Path(fact.subject).name for fact in sight.facts()] == ["data.bin"]


def test_mention_of_a_table_is_cheap():
    """A column of a million strings would be looked for on disk, one by one; a circle for ever."""
    Path("data.bin").write_text("1")
    with watch() as sight:
        sight.mention([["data.bin"] * 1001])
        circle = []
        circle.append(circle)
        sight.mention([circle])
    assert sight.facts() == ()


def test_data_beside_a_module(folder, monkeypatch):
    """`pkgutil.get_data` would pass for the import of code."""
    import pkgutil

    (folder / "pack_for_worlds").mkdir()
    (folder / "pack_for_worlds" / "__init__.py").write_text("")
    (folder / "pack_for_worlds" / "table.csv").write_text("1")
    monkeypatch.syspath_prepend(folder)
    facts, _ = seen(pkgutil.get_data, "pack_for_worlds", "table.csv")
    assert [Path(subject).name for _, subject in facts] == ["table.csv"]


def test_lines_of_a_file():
    """Data that is read by `linecache` would be ignored; sources for a traceback would be facts."""
    linecache.clearcache()
    Path("a.csv").write_text("1\n2\n")
    assert only(linecache.getline, "a.csv", 2).subject == "a.csv"
    Path("code.py").write_text("def fails(): return 1 / 0")
    fails = runpy.run_path("code.py")["fails"]

    def run():
        try:
            fails()
        except ZeroDivisionError:
            assert "1 / 0" in traceback.format_exc()

    assert seen(run) == ({}, frozenset())
    linecache.clearcache()


def test_folder_opened_as_a_file():
    """A path that was a folder and is a file now would be taken for the same."""
    os.mkdir("data")

    def run():
        with pytest.raises(IsADirectoryError):
            open("data")

    fact = only(run)
    assert broken(fact) is None
    os.rmdir("data")
    Path("data").write_text("1")
    assert broken(fact) == "data changed"
