"""Environment variables that the user's code reads."""

import os
import threading

import pytest

from nbflow.world import broken, watch


def variables(run):
    with watch() as sight:
        run()
    return {fact.subject: fact for fact in sight.facts() if fact.kind == "environment"}


@pytest.fixture(autouse=True)
def _region(monkeypatch):
    monkeypatch.setenv("API_REGION", "eu")
    monkeypatch.delenv("API_ZONE", raising=False)


@pytest.mark.parametrize(
    "read",
    [
        lambda: os.environ["API_REGION"],
        lambda: os.environ.get("API_REGION"),
        lambda: os.getenv("API_REGION"),
        lambda: "API_REGION" in os.environ,
        lambda: os.path.expandvars("$API_REGION"),
        lambda: [os.environ[name] for name in os.environ if name == "API_REGION"],
    ],
)
def test_read_counts(read, monkeypatch):
    """Switching the region would serve the other region's data."""
    fact = variables(read)["API_REGION"]
    assert "eu" not in repr(fact)
    assert broken(fact) is None
    monkeypatch.setenv("API_REGION", "us")
    assert broken(fact) == "environment variable API_REGION changed"
    monkeypatch.delenv("API_REGION")
    assert broken(fact) == "environment variable API_REGION changed"


def test_unset_variable_counts(monkeypatch):
    """A variable that is set later would be ignored."""
    fact = variables(lambda: os.environ.get("API_ZONE"))["API_ZONE"]
    assert fact.digest == ""
    assert broken(fact) is None
    monkeypatch.setenv("API_ZONE", "")
    assert broken(fact) == "environment variable API_ZONE changed"


@pytest.mark.parametrize(
    "walk",
    [
        lambda: dict(os.environ),
        lambda: {**os.environ, "X": "1"},
        lambda: os.environ.copy(),
        lambda: list(os.environ.items()),
        lambda: list(os.environ),
        lambda: os.path.expanduser("~/data"),
    ],
)
def test_walking_does_not_count(walk):
    """Passing the environment to a child would make a fact of each login."""
    assert variables(walk) == {}


def test_libraries_do_not_count():
    """An HTTP library looks for proxies in every variable."""
    import urllib.request

    assert variables(urllib.request.getproxies_environment) == {}


def test_set_by_the_run_is_no_input(monkeypatch):
    """A cell that sets a variable and reads it would miss in every new kernel."""
    monkeypatch.setenv("API_ZONE", "before")

    def run():
        os.environ["API_ZONE"] = "1"
        assert os.environ["API_ZONE"] == "1"

    assert variables(run) == {}


def test_read_before_it_is_set_counts(monkeypatch):
    """What was read first is an input, whatever comes later."""

    def run():
        os.environ["API_REGION"] = os.environ["API_REGION"] + "-1"

    fact = variables(run)["API_REGION"]
    assert broken(fact) == "environment variable API_REGION changed"
    monkeypatch.setenv("API_REGION", "eu")
    assert broken(fact) is None


def test_environment_is_left_as_it_was():
    """`os.environ` would stay altered after a step."""
    before = dict(vars(os.environ))
    kind = type(os.environ)
    with watch(), watch():
        assert type(os.environ) is kind
    assert vars(os.environ) == before


def test_errors_are_pythons_own():
    """A missing variable would show a traceback through nbflow."""
    with watch(), pytest.raises(KeyError) as caught:
        os.environ["API_ZONE"]
    assert [entry.frame.f_globals["__name__"] for entry in caught.traceback][1:] == ["os"]
    with watch(), pytest.raises(TypeError):
        os.environ[3]


def test_two_threads():
    """One step's end would blind another that still runs."""
    inside, ended = threading.Event(), threading.Event()
    found = {}

    def other():
        with watch() as sight:
            inside.set()
            ended.wait()
            os.environ.get("API_REGION")
        found.update({fact.subject: fact for fact in sight.facts()})

    thread = threading.Thread(target=other)
    thread.start()
    with watch():
        inside.wait()
    ended.set()
    thread.join()
    assert set(found) == {"API_REGION"}


def test_read_in_a_pool(monkeypatch):
    """What a worker of the step reads would be no fact."""
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setenv("NBFLOW_TEST_X", "1")
    with watch() as sight, ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: os.environ["NBFLOW_TEST_X"]).result()
    assert [fact.subject for fact in sight.facts()] == ["NBFLOW_TEST_X"]
