"""The short forms of `python -m tests.faults`: killed writers, every line of a save, damage, races, big values."""

import pytest

from tests.faults import damage, kill, memory, race

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_killed_writers_leave_nothing_broken(ram):
    """A kernel that dies while it saves would lose what was saved, or leave what gives wrong results or errors."""
    assert kill.rounds(ram / "store", 8, 7)["saves"] > 20


def test_a_save_may_end_before_any_of_its_lines(ram):
    """A crash at one unlucky instant would leave a store that never works again."""
    assert min(kill.every_line(ram, 41).values()) >= 4


def test_damage_of_any_kind_costs_a_rerun_at_most(ram):
    """A bad disk, a sync tool or an attacker would change results silently, break the notebook or run code in it."""
    assert damage.damage(ram, 80, 3)["damaged"] == 80


def test_many_processes_compute_each_key_once(ram):
    """Notebooks that share a store would all download the same data at once, or lose some of it."""
    assert race.race(ram / "store", 8, 40, 2)["computed"] == 80


def test_a_big_value_is_stored_and_loaded_in_place(ram):
    """A frame of half the machine's memory could not be kept, or changing it would change the stored one."""
    assert memory.memory(ram / "store", 64)
