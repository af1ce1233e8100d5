"""What all steps of a process share."""

import os
import pydoc

import pytest

import nbflow
from nbflow.configuration import effective
from nbflow.errors import ConfigurationError, StoreError
from nbflow.session import Session, Settings, configure


def session(**environ):
    return Session(environ=environ)


@pytest.mark.parametrize("value", ["off", "0", "OFF", "false", "no"])
def test_environment_turns_caching_off(value):
    """NBFLOW_CACHE=off in CI would still serve old results."""
    assert not session(NBFLOW_CACHE=value).caching


@pytest.mark.parametrize("value", [None, "", "on", "1"])
def test_caching_is_on_by_default(value):
    """Nothing would be kept, and nobody told."""
    assert session(**({} if value is None else {"NBFLOW_CACHE": value})).caching


@pytest.mark.parametrize(("value", "strict"), [(None, False), ("", False), ("0", False), ("off", False), ("1", True)])
def test_strict_by_environment(value, strict):
    """NBFLOW_STRICT=1 in CI would let an uncached step pass."""
    assert session(**({} if value is None else {"NBFLOW_STRICT": value})).strict is strict


def test_settings_beat_the_environment():
    """configure(cache=True) would have no effect where the environment says off."""
    one = session(NBFLOW_CACHE="off", NBFLOW_STRICT="1", NBFLOW_PANEL="text")
    assert (one.caching, one.strict, one.panel) == (False, True, "text")
    one.settings = Settings(cache=True, strict=False, panel="off")
    assert (one.caching, one.strict, one.panel) == (True, False, "off")
    one.settings = Settings()
    assert (one.caching, one.strict, one.panel) == (False, True, "text")


def test_a_session_opens_nothing(tmp_path, monkeypatch):
    """Importing nbflow, or configuring it, would already make a folder."""
    monkeypatch.chdir(tmp_path)
    one = session()
    one.settings = Settings(store=tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_fixed_when_first_used(fresh, tmp_path, monkeypatch):
    """After os.chdir() the same notebook would write into a second store."""
    project = tmp_path / "project"
    elsewhere = tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
        (folder / "pyproject.toml").touch()
    fresh.session.settings = Settings()
    monkeypatch.delenv("NBFLOW_STORE", raising=False)
    monkeypatch.chdir(project)
    store = fresh.session.store
    assert str(store.folder).startswith(str(project))
    monkeypatch.chdir(elsewhere)
    assert fresh.session.store is store
    configure(strict=True)
    assert fresh.session.store is store, "another setting moved the store"
    configure(store=elsewhere / "mine")
    assert fresh.session.store.folder == elsewhere / "mine"
    store.close()


def test_relative_folders_are_of_the_moment_of_configure(fresh, tmp_path, monkeypatch):
    """configure(store="cache") followed by os.chdir() would open another folder."""
    monkeypatch.chdir(tmp_path)
    assert configure(store="cache").store == tmp_path / "cache"
    assert configure(store="~/cache").store == (type(tmp_path)("~/cache").expanduser())


def test_configure_changes_only_what_is_named(fresh):
    """configure(strict=True) would forget the store."""
    before = fresh.session.settings
    after = configure(strict=True)
    assert after.store == before.store and after.strict is True and fresh.session.strict
    assert configure() == after


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stroe": "x"}, "no setting 'stroe'"),
        ({"panel": "big"}, "panel='big'"),
        ({"store": 3}, "store=3"),
        ({"strict": True, "nope": 1}, "no setting 'nope'"),
        ({"verify": "never"}, "verify='never': give full or sealed"),
        ({"max_size": "big"}, "max_size='big' is not a size"),
    ],
)
def test_configure_refuses_what_cannot_be_meant(fresh, change, message):
    """A typo would be ignored, or half of the settings be set."""
    before = fresh.session.settings
    with pytest.raises(ConfigurationError, match=message):
        configure(**change)
    assert fresh.session.settings == before


def test_how_a_store_checks_and_how_big_it_gets_can_be_configured(fresh):
    """configure(max_size="5GB") would have no effect, or only before the first step."""
    assert configure(max_size="5GB").max_size == 5 << 30
    store = fresh.session.store
    assert (store.stats().max_size, store._verify) == (5 << 30, "full")
    configure(max_size=1 << 20, verify="sealed")
    assert fresh.session.store is store
    assert (store.stats().max_size, store._verify) == (1 << 20, "sealed")


def test_unset_bounds_and_checks_are_what_they_were(fresh, monkeypatch):
    """configure(verify=None) would leave data unchecked while `config` says that all is checked."""
    monkeypatch.setenv("NBFLOW_MAX_SIZE", "6GB")
    configure(verify="sealed", max_size="5MB")
    store = fresh.session.store
    configure(retries=1)
    assert (store.stats().max_size, store._verify) == (5 << 20, "sealed")
    configure(verify=None, max_size=None)
    assert (store.stats().max_size, store._verify) == (6 << 30, "full")


def test_where_settings_come_from(fresh, tmp_path, monkeypatch):
    """`nbflow config` would name what cannot be meant, and is not followed, as what holds."""
    (tmp_path / "pyproject.toml").write_text('[tool.nbflow]\ndurability = "power"\nmax-size = "6GB"\n')
    monkeypatch.chdir(tmp_path)
    nonsense = ("STRICT", "PANEL", "VERIFY", "DURABILITY", "TAG_LIMITS")
    fresh.session._environ = {f"NBFLOW_{name}": "nonsense" for name in nonsense} | {"NBFLOW_CACHE": "off"}
    configure(retries=2)
    project = str(tmp_path / "pyproject.toml")
    assert {each.name: each[1:] for each in effective()} == {
        "store": (str(fresh.store), "configure()"),
        "cache": ("off", "NBFLOW_CACHE"),
        "strict": ("off", "default"),
        "panel": ("auto", "default"),
        "verify": ("full", "default"),
        "max_size": ("6,442,450,944 bytes", project),
        "durability": ("process", "default"),
        "tag_limits": ("none", "default"),
        "retries": ("2", "configure()"),
    }
    assert sum("it is not followed" in said for said in fresh.warned) >= 4


def test_help_shows_no_environment():
    """`help(nbflow)` would print every token that is set, into a notebook that is shared."""
    shown = [pydoc.plain(pydoc.render_doc(getattr(nbflow, name))) for name in nbflow.__all__]
    assert "open_store(" in "".join(shown)
    assert not [text for text in shown if "environ(" in text]


def test_a_store_that_cannot_be_opened_is_told_once(fresh, tmp_path):
    """A broken setting would fail every step, or print a warning for each."""
    one = session()

    class Broken(Session):
        @property
        def store(self):
            raise StoreError("no folder could be one")

    one = Broken(environ={})
    assert one.store_or_none() is None and one.store_or_none() is None
    assert [text for text in fresh.warned if "no folder" in text] == ["results are not kept: no folder could be one"]


def test_recent_events_are_kept_for_a_panel_opened_later(fresh):
    """A panel opened after the run would be empty."""
    from nbflow.events import Unsaved

    event = Unsaved(1, 0.0, "")
    fresh.session.bus.tell(event)
    assert fresh.session.recent[-1] is event
    assert fresh.session.recent.maxlen is not None, "a kernel that runs for weeks would fill its memory"


def test_the_process_environment_is_read_when_asked():
    """%env NBFLOW_CACHE=off in a notebook would do nothing."""
    one = Session()
    os.environ["NBFLOW_CACHE"] = "off"
    try:
        one.settings = Settings()
        assert not one.caching
    finally:
        del os.environ["NBFLOW_CACHE"]
