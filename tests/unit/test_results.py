"""How and where results of a task are kept: `result_serializer=`, `result_storage=`."""

import json
import pickle
import random
from types import SimpleNamespace

import pytest

from nbflow import configure, task
from nbflow.errors import ConfigurationError
from nbflow.events import Hit
from nbflow.store import open_store
from nbflow.store.serializers import Adapted, Json


class Own:
    """A serializer of the user's own, in Prefect's shape."""

    def dumps(self, value):
        return b"own:" + pickle.dumps(value)

    def loads(self, data):
        return pickle.loads(data[4:])


def counted(**options):
    """A task that counts its runs."""
    runs = []

    @task(**options)
    def make(n):
        runs.append(n)
        return {"rows": [n, 2.5, "x", None] * 20}

    return make.with_options(ignore=[]), runs


def saved_by(fresh):
    [info] = fresh.session.store.entries()
    [entry] = fresh.session.store.matching(info.row)
    return entry.serializer


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "pickle"),
        ("pickle", "pickle"),
        ("joblib", "joblib"),
        ("compressed/pickle", "joblib"),
        ("json", "json"),
        ("compressed/json", "compressed/json"),
        (json, "json"),
        (Own(), "Own"),
        (Own, None),
    ],
)
def test_results_come_back_from_any_serializer(fresh, given, name):
    """`result_serializer=` would be ignored, or turn every hit into a run."""
    if name is None:
        given, name = SimpleNamespace(dumps=Own().dumps, loads=Own().loads), "SimpleNamespace"
    make, runs = counted(result_serializer=given, persist_result=True)
    assert make(1) == make(1) == {"rows": [1, 2.5, "x", None] * 20}
    assert runs == [1]
    assert saved_by(fresh) == name
    assert fresh.warned == set()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("pickel", "no serializer 'pickel'; did you mean 'pickle'?"),
        ("jsn", "did you mean 'json'?"),
        ("zip", "there is pickle, joblib, json"),
        (5, "5 is no serializer"),
        (object(), "it needs dumps"),
    ],
)
def test_a_serializer_that_is_none_is_refused_when_declared(given, says):
    """A typo would show up at the end of a long run."""
    with pytest.raises(ConfigurationError) as caught:
        task(result_serializer=given)(len)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_serializer_is_no_part_of_the_key(fresh):
    """Changing the format would compute everything again."""
    make, runs = counted(result_serializer="json")
    first = make(1)
    for other in ("joblib", "pickle", None, Own()):
        assert make.with_options(result_serializer=other)(1) == first
    assert runs == [1]
    own = make.with_options(result_serializer=Own(), refresh_cache=True)
    own(1)
    assert make(1) == first, "saved by another's own serializer: a miss"
    assert runs == [1, 1, 1]
    assert make.with_options(result_serializer=Own())(1) == first, "json again, which anybody can load"
    assert runs == [1, 1, 1]


@pytest.mark.parametrize(
    ("serializer", "value", "path"),
    [
        ("json", {"a": [1, {"b": {1, 2}}]}, "['a'][1]['b']"),
        ("json", {"a": (1, 2)}, "['a']"),
        ("json", {"a": {1: "x"}}, "['a']"),
        ("joblib", {"a": [lambda: 1]}, "['a'][0]"),
        ("pickle", {"a": [lambda: 1]}, "['a'][0]"),
        (SimpleNamespace(dumps=lambda value: None, loads=bytes), 5, "the result is a int"),
        (SimpleNamespace(dumps=lambda value: 5, loads=bytes), 5, "gave no bytes but a int"),
    ],
)
@pytest.mark.parametrize("seeded", [False, True])
def test_what_a_serializer_cannot_take_is_returned_and_said_once(fresh, serializer, value, path, seeded):
    """A tuple would come back as a list from the second run on, or a result be lost for want of a format."""
    if seeded:
        random.seed(1)

    @task(result_serializer=serializer)
    def make():
        if seeded:
            random.random()
        return value

    assert make() is value and make() is value
    [said] = fresh.warned
    assert path in said and "\n" not in said
    assert fresh.session.store.stats().entries == 0


@pytest.mark.parametrize("serializer", [None, "json", Own()])
def test_seeded_generators_go_on_after_a_hit(fresh, serializer):
    """A simulation would draw other numbers after a hit than after a run, or a hit give them out as the result."""

    @task(result_serializer=serializer, persist_result=True)
    def draw():
        return [random.random() for _ in range(3)]

    after = []
    for _ in range(2):
        random.seed(7)
        after.append((draw(), random.random()))
    assert after[0] == after[1]
    assert [type(event) for event in fresh.events].count(Hit) == 1
    random.seed()


def test_giving_a_format_or_a_place_asks_for_keeping(fresh, tmp_path):
    """A result that is `None`, or of work that touched the network, would not be kept although a place was named."""
    runs = []

    for options in ({}, {"result_serializer": "pickle"}, {"result_storage": tmp_path / "x"}):

        @task(name=str(len(options)), **options)
        def nothing():
            runs.append(1)

        for _ in range(2):
            nothing()
        runs.append("|")
    assert "".join(map(str, runs)) == "11|1|1|"


def test_a_task_with_a_place_of_its_own(fresh, tmp_path):
    """Big results could not go to the big disk."""
    place = tmp_path / "big"
    make, runs = counted(result_storage=place)
    make(1)
    assert open_store(place).stats().entries == 1
    assert fresh.session.store.stats().entries == 0
    assert make.is_cached(1) and make(1) and runs == [1]
    assert make.explain(2).why != "first run", "compared with the entries of that place"
    assert pickle.loads(pickle.dumps(open_store(place))) is open_store(place), "as a worker would get it"
    for same in (open_store(place), SimpleNamespace(basepath=str(place))):
        assert make.with_options(result_storage=same).is_cached(1)
    assert not make.with_options(result_storage=None).is_cached(1)
    configure(store=tmp_path / "other")
    assert make.is_cached(1), "what the task says comes before what was configured"
    assert make.forget(1) == 1 and make.clear() == 0
    make(1)
    assert make.clear() == 1
    open_store(place).close()


def test_a_place_is_of_the_moment_of_its_declaration(fresh, tmp_path, monkeypatch):
    """After os.chdir() the same task would keep its results elsewhere."""
    monkeypatch.chdir(tmp_path)
    make, runs = counted(result_storage="here")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    make(1)
    make.with_options(result_storage=pickle.loads(pickle.dumps(make.options)).result_storage)(1)
    assert runs == [1]
    assert (tmp_path / "here").is_dir() and not (tmp_path / "sub" / "here").exists()
    open_store(tmp_path / "here").close()


def test_a_place_that_cannot_be_used_costs_the_cache_and_one_line(fresh, tmp_path):
    """A missing disk would end the notebook."""
    (tmp_path / "file").write_text("")
    make, runs = counted(result_storage=tmp_path / "file")
    assert make(1) == make(1)
    assert runs == [1, 1]
    assert fresh.warned and all("\n" not in text and str(tmp_path / "file") in text for text in fresh.warned)


def test_a_task_can_opt_out_although_a_place_was_given(fresh, tmp_path):
    """`persist_result=False` would still write."""
    make, runs = counted(result_storage=tmp_path / "x", persist_result=False)
    make(1), make(1)
    assert runs == [1, 1] and not (tmp_path / "x").exists()


def test_json_takes_what_comes_back_as_it_was():
    """Empty lists and nested rows, which most results are made of, would be refused."""
    for value in ([], {}, [[], {}], "käse\ud800", 10**30, -0.0, float("inf"), True, None, {"a": [{"b": None}]}):
        assert Json().loads(Json().dumps(value)[0], []) == value
    with pytest.raises(TypeError):
        Adapted(SimpleNamespace(dumps=lambda value: 3, loads=bytes)).dumps(1)
