"""The bench: what the README quotes comes from it."""

import importlib

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


def test_the_readme_gets_the_table_in_place_of_the_last_one(tmp_path):
    """The README would quote two runs, or lose text around them."""
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    save([row()], readme)
    save([row()], readme)
    before, table, after = readme.read_text().partition(as_text([row()], notes=False))
    assert (before, after) == ("before\n<!-- bench -->\n\n", "\n\n<!-- /bench -->\nafter\n")
    assert "| some work | 3 s    | 8 s    | failed  | 1.5 s | 0.38  | ≤ 0.5 × joblib | yes |" in table
    readme.write_text("no marks")
    with pytest.raises(ValueError, match="bench"):
        save([row()], readme)
