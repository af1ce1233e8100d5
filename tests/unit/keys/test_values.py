"""Values that must share a digest, and values that must not: in one process, rebuilt, unpickled, under other hash seeds."""

import copyreg
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from nbflow.errors import UnkeyableError
from nbflow.keys import digest
from nbflow.keys.encode import canonical
from tests.unit.keys.value_cases import CASES, REFUSE, SAME, Case

ROOT = Path(__file__).parents[3]
SEEDS = ("0", "1", "4242")
HANDLES = ("refused: sqlite3 connection", "refused: logger")  # as the input of a step they count by their type


@pytest.fixture(scope="session")
def elsewhere() -> dict[str, dict[str, list[str]]]:
    """The digests of all cases in one other process for each hash seed."""
    command = [sys.executable, "-W", "ignore", "-c", "from tests.unit.keys.value_cases import main; main()"]
    running = {}
    for seed in SEEDS:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        running[seed] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    return {seed: json.loads(process.communicate()[0]) for seed, process in running.items()}


def test_the_names_of_cases_differ() -> None:
    """Two cases of one name would hide one of the two in other processes."""
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.expected != REFUSE], ids=lambda case: case.name)
def test_value(case: Case, elsewhere: dict[str, dict[str, list[str]]]) -> None:
    """A wrong result served from the store, or work done again though nothing changed."""
    for name in case.needs:
        pytest.importorskip(name)
    value = case.first()
    first = digest(value)
    assert digest(value) == first, "the same object, a second time"
    assert digest(case.first()) == first, "built again"
    assert canonical((value,)) == canonical((case.first(),))
    assert digest([value, 1]) == digest([case.first(), 1])
    try:
        again = pickle.loads(pickle.dumps(value, 5))
    except Exception:
        pass  # a lambda, a mappingproxy
    else:
        assert digest(again) == first, "through a pickle"
    both = [first]
    if case.second is not None:
        both.append(digest(case.second()))
        assert (both[0] == both[1]) == (case.expected == SAME)
        assert (canonical((value,)) == canonical((case.second(),))) == (case.expected == SAME)
        assert (digest({"k": [value]}) == digest({"k": [case.second()]})) == (case.expected == SAME)
    assert {seed: digests[case.name] for seed, digests in elsewhere.items()} == dict.fromkeys(SEEDS, both)


@pytest.mark.parametrize("case", [case for case in CASES if case.expected == REFUSE], ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    """A key that says nothing about its value, so that another one's result is served; or a message of no help."""
    for name in case.needs:
        pytest.importorskip(name)
    value = case.first()
    with pytest.raises(UnkeyableError) as caught:
        digest({"config": [value]})
    message = str(caught.value)
    assert message.startswith('value["config"][0]')
    assert all(cure in message for cure in ("pass its data", "ignore=", "cache_key_fn=", "register_digest"))
    assert "\n" not in message
    assert " at 0x" not in message
    if case.name in HANDLES:
        assert canonical((value,)) == canonical((case.first(),))
    else:
        with pytest.raises(UnkeyableError):
            canonical((value,))
    if case.name in ("refused: coroutine", "refused: async generator"):
        value.close() if hasattr(value, "close") else None


def test_exceptions_do_not_hang_on_what_pickles_them():
    """Importing Dask would miss all results that were made of an exception."""
    plain = digest(LookupError("x"))
    copyreg.pickle(LookupError, lambda error: (LookupError, (*error.args, "with its traceback")))
    try:
        assert digest(LookupError("x")) == plain
    finally:
        del copyreg.dispatch_table[LookupError]
