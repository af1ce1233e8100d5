"""The README says what is true: its examples run, its lists are whole, its commands are the ones that are tested."""

import re
import stat
from dataclasses import fields
from pathlib import Path

from nbflow.cli.commands import parser as _parser
from nbflow.notebook.header import flags
from nbflow.options import TaskOptions

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_its_python_runs(fresh):
    """Otherwise the first thing that a newcomer copies would fail."""
    names = {"__name__": "readme"}
    function, *further = blocks("python")
    exec(compile(function, "README.md", "exec"), names)
    assert names["fetch"].is_cached("Oslo") is False
    for example in further:
        exec(compile(example, "README.md", "exec"), names)
    assert names["report"](["Oslo", "Bern"]) == 8
    assert names["lengths"] == [4, 4]
    assert names["sent"] == ["Oslo", "Rome", 123]
    assert fresh.warned == set()


def test_it_lists_every_flag_and_no_other():
    """Otherwise a flag would be found by accident only, or looked for in vain."""
    (table,) = re.findall(r"^\| flags .*?\n\n", README, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"--[a-z][a-z-]*", table)) == set(flags)


def test_it_names_every_option_and_no_other():
    """Otherwise an option would be found by accident only, or refused although the README has it."""
    (section,) = re.findall(r"^## A function.*?(?=^## )", README, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)`", section.partition("Further options:")[2]))
    used = set(re.findall(r"(\w+)=", re.search(r"@task\((.*?)\)\n", section, re.DOTALL)[1]))
    assert named | used == {field.name for field in fields(TaskOptions)}


def test_it_lists_every_command_and_no_other():
    """Otherwise a command would be found by accident only, or one be promised that there is not."""
    (section,) = re.findall(r"^## The command line.*?^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    parser = _parser()
    (commands,) = [action.choices for action in parser._actions if action.choices]
    lines = {
        line.split()[1]: set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line)) for line in section.strip().splitlines()
    }
    assert list(lines) == list(commands)
    for name, command in commands.items():
        known = {words[0] for words in (action.option_strings for action in command._actions) if words} - {"-h"}
        assert lines[name] == known, name


def test_the_machine_runs_the_command_that_the_readme_gives():
    """Otherwise the tests could pass there and fail for whoever follows the README."""
    script = ROOT / ".ci" / "run"
    tour, tests = [block.strip() for block in blocks("sh")[:2]]
    assert script.read_text(encoding="utf-8").splitlines()[-1] == tests
    assert "nbflow run notebooks/01-tour.ipynb" in tour
    assert script.stat().st_mode & stat.S_IXUSR


def test_what_it_links_to_is_there():
    """Otherwise its picture or its links would be broken."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_is_short():
    """Nobody reads more."""
    assert len(README.splitlines()) < 300
