"""What was digested and stored by earlier versions, and on other Pythons, is still found: nothing drifts unnoticed.

A change of the schema changes these files on purpose: `python -m tests.golden --write`.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nbflow.store import Store
from nbflow.store.row import SCHEMA, SCHEMA_AT, unpack
from nbflow.store.seal import SEAL_SIZE, Seal
from nbflow.store.serializers import PICKLE
from tests.golden import entry, stored

ROOT = Path(__file__).parents[2]
MINORS = [minor for minor in (11, 12, 13, 14) if minor != sys.version_info.minor]


def python(minor):
    """Another Python of this machine: on PATH, else pyenv's."""
    found = shutil.which(f"python3.{minor}") or ""
    if found and f"{os.sep}shims{os.sep}" not in found:
        return found
    return next(iter(sorted(map(str, Path.home().glob(f".pyenv/versions/3.{minor}*/bin/python")))), None)


@cache
def digests_of(executable, *flags):
    """All digests, made by another process."""
    command = [executable, "-m", "tests.golden", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_enough():
    """A few digests would say little of all the others."""
    found = stored.load()
    assert len(found["values"]) >= 150
    assert len(found["functions"]) >= 60
    assert len(found["cells"]) >= 15
    assert len(found["keys"]) >= 15


def test_this_python():
    """An update of nbflow would run everything again that is kept, or take one value for another."""
    assert [*stored.changes(stored.load(), digests_of(sys.executable))] == []


def test_what_the_comparison_notices():
    """A changed, a missing and a new digest would pass for equal."""
    old = {"libraries": {"numpy": "2"}, "values": {"a": ["1"], "b": ["2"]}, "values of numpy": {"c": ["3"]}}
    new = {"libraries": {"numpy": "2"}, "values": {"a": ["0"], "d": ["2"]}, "values of numpy": {"c": ["4"]}}
    assert len([*stored.changes(old, new)]) == 4
    assert len([*stored.changes(old, {**new, "libraries": {"numpy": "3"}})]) == 3
    assert len([*stored.changes(old, {"libraries": {}, "values": old["values"]})]) == 0


@pytest.mark.parametrize("minor", MINORS, ids=lambda minor: f"3.{minor}")
def test_other_pythons(minor):
    """An upgrade of Python would run everything again. Where one has no xxhash, both digest by something else."""
    executable = python(minor)
    if executable is None:
        pytest.skip(f"there is no Python 3.{minor} on PATH or in pyenv")
    found = digests_of(executable)
    wanted = digests_of(sys.executable, "--stand-in") if found["stand-in"] else stored.load()
    assert [*stored.changes(wanted, found)] == []


@pytest.fixture
def row():
    return json.loads(entry.ROW.read_text())


def same(found, wanted):
    array, expected = found.pop("array", None), wanted.pop("array", None)
    assert found == wanted
    np.testing.assert_array_equal(array, expected)


def test_a_row_of_this_schema(row):
    """An update of nbflow would lose all small results."""
    body = bytes.fromhex(row["body"])
    assert body[SCHEMA_AT] == SCHEMA
    assert Seal(entry.SECRET).of(row["row"], body[SEAL_SIZE:]) == body[:SEAL_SIZE]
    found = unpack(row["row"], body)
    assert (found.created, found.cost, found.tag) == (entry.CREATED, entry.COST, "prices")
    assert found.facts == entry.FACTS
    assert found.traits == entry.TRAITS
    same(PICKLE.loads(found.payload, ()), entry.value(entry.SMALL))


def test_a_container_of_this_schema(row, tmp_path):
    """An update of nbflow would lose all big results, and could not make a new index from them."""
    place = tmp_path / "store" / "blobs" / row["container"]
    place.parent.mkdir(parents=True)
    shutil.copyfile(entry.CONTAINER, place)
    said = []
    store = Store(tmp_path / "store", entry.SECRET, warn=said.append)
    try:
        store.save(entry.draft(entry.SMALL))  # makes the index, from the containers that are there
        [found] = store.find(entry.BIG)
        assert found.facts == entry.FACTS
        same(store.load(found), entry.value(entry.BIG))
    finally:
        store.close()
    assert said == []
