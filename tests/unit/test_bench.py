"""The bench: what the README quotes comes from it."""

import importlib
import re

import pytest

from tests.bench.__main__ import AREAS
from tests.bench.race import Race
from tests.bench.table import as_json, as_text, save
from tests.bench.work import BARE, OURS, Row, Work


@pytest.mark.parametrize("area", AREAS)
def test_an_area_loads_and_its_rows_differ(area):
    """Its rows could not be run, or one would be run in place of another."""
    works = importlib.import_module(f"tests.bench.{area}").WORKS
    assert len({work.title for work in works}) == len(works)
    for work in works:
        assert work.goal is None or not work.against or work.against in work.racers, work.title


def test_a_race_gives_each_round_of_each_column(tmp_path):
    """A column would be compared with rounds that it did not take part in."""
    (work,) = [work for work in importlib.import_module("tests.bench.core").WORKS if work.title == "hit, small"]
    race = Race("core", tmp_path)
    try:
        row = race.run(work._replace(peers=("joblib", "no such peer"), rounds=2))
    finally:
        race.close()
    assert {name: len(each) for name, each in row.figures.items()} == {OURS: 2, "joblib": 2}
    assert list(row.failures) == ["no such peer"]
    assert as_json([row])


def row(goal=0.5, less=False):
    work = Work("some work", lambda side: side.load, ("joblib", "cachier"), "joblib", goal, less=less, quoted=True)
    return Row(work, {OURS: [4.0, 2.0], "joblib": [8.0, 8.0], BARE: [2.0, 1.0]}, {"cachier": "not installed"})


def test_ratios_are_of_the_same_round():
    """A slow moment of the machine would be counted against one side only."""
    assert row().ratio == 0.375
    assert row(less=True).ratio == pytest.approx(1.5 / 6.5)
    assert (row(0.38).met, row(0.37).met, row(None).met) == (True, False, None)
    assert row()._replace(figures={OURS: [1.0]}).met is None


def test_every_row_can_be_written(tmp_path):
    """A run of twenty minutes would end in an error, and nothing of it be left."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- bench -->\n<!-- /bench -->\n<!-- answers -->\n<!-- /answers -->\n")
    works = [work for area in AREAS for work in importlib.import_module(f"tests.bench.{area}").WORKS]
    rows = [Row(work, {name: [1.0] for name in work.racers}, {}) for work in works]
    rows += [Row(work, {}, dict.fromkeys(work.racers, "failed")) for work in works]
    assert as_text(rows).count("\n| ") == len(rows)
    save(rows, readme)
    assert readme.read_text().count("\n| ") == 2 * sum(work.quoted for work in works) + 2


def question(title, **said):
    """A row of a question: what each column said, or why it said nothing."""
    figures = {name: [each] for name, each in said.items() if isinstance(each, float)}
    failures = {name: each for name, each in said.items() if isinstance(each, str)}
    return Row(row().work._replace(title=title, unit="yes", goal=None, against=""), figures, failures)


def test_the_readme_gets_the_tables_in_place_of_the_last_ones(tmp_path):
    """The README would quote two runs, hide who is faster or who could not run, or lose text around its tables."""
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\n<!-- answers -->\nold\n<!-- /answers -->\nafter\n")
    rows = [row(), row(0.1), question("is right", nbflow=0.0, joblib=1.0, cachier="not installed")]
    unquoted = row()._replace(work=row().work._replace(title="hidden", quoted=False))
    save([*rows, unquoted], readme)
    save([*rows, unquoted], readme)
    text = readme.read_text()
    assert (text.startswith("before\n<!-- bench -->\n| work |"), text.endswith("\n<!-- /answers -->\nafter\n")) == (
        True,
        True,
    )
    assert [line for line in text.splitlines() if line.startswith("|") and "---" not in line] == [
        "| work | nbflow | others | ratio | goal | met |",
        "| some work | 3 s | bare 1.5 s, joblib 8 s, cachier failed | 0.38 | ≤ 0.5 × joblib | yes |",
        "| some work | 3 s | bare 1.5 s, joblib 8 s, cachier failed | 0.38 | ≤ 0.1 × joblib | NO |",
        "|  | nbflow | joblib | cachier |",
        "| is right | no | yes | – |",
    ]
    assert len(re.findall(r"^\d{4}-\d\d-\d\d, ", text, re.MULTILINE)) == 2
    assert "cachier: separate_files=True" in text
    save([row()._replace(figures={OURS: [1.0]})], readme)  # a run of some areas leaves the other table alone
    assert "| some work | 1 s | cachier failed |" in readme.read_text()
    assert "| is right | no | yes | – |" in readme.read_text()
    readme.write_text("no marks")
    with pytest.raises(ValueError, match="bench"):
        save([row()], readme)


def test_the_terminal_gets_a_table_that_is_aligned():
    """Twenty rows of figures could not be read where they are printed."""
    head, _, body, *_ = as_text([row()]).splitlines()
    assert head == "| work      | nbflow | joblib | cachier | bare  | ratio | goal           | met |"
    assert body == "| some work | 3 s    | 8 s    | failed  | 1.5 s | 0.38  | ≤ 0.5 × joblib | yes |"


def test_questions_are_asked_in_three_processes_and_the_missing_have_no_answer(tmp_path):
    """A package that cannot be imported would be called wrong, or end the run; a lucky first answer would count."""
    works = importlib.import_module("tests.bench.answers").WORKS
    some = [work._replace(peers=("joblib", "no such peer")) for work in works if "comment" in work.title]
    some += [work._replace(peers=()) for work in works if work.title.startswith("runs again")]
    race = Race("answers", tmp_path)
    try:
        rows = race.ask(some)
    finally:
        race.close()
    assert [each.figures for each in rows] == [{OURS: [1.0], "joblib": [0.0]}, {OURS: [1.0]}]
    assert [list(each.failures) for each in rows] == [["no such peer"], []]
