"""The seal and the key it is made with."""

import hmac
import os
import threading

import pytest

from nbflow.errors import StoreError
from nbflow.store.seal import Seal, key_file, user_secret


@pytest.mark.parametrize("secret", [b"k", b"k" * 64, b"k" * 100])
def test_a_seal_is_hmac_sha256(secret):
    """A home-made construction could be forged."""
    assert Seal(secret).of("name", b"body") == hmac.digest(secret, b"name\0body", "sha256")


def test_a_seal_tells_names_bodies_and_keys_apart():
    """Rows could change places, or another user's entries be taken for one's own."""
    seal = Seal(b"k" * 32)
    seals = {seal.of("ab", b"c"), seal.of("a", b"bc"), seal.of("ab", b"d"), Seal(b"l" * 32).of("ab", b"c")}
    assert len(seals) == 4
    assert Seal(b"k" * 32).id != Seal(b"l" * 32).id
    assert len(seal.id) == 8


def test_the_key_is_made_once_and_is_private(tmp_path):
    """A new key at each start would make every entry a miss; a readable one could be used by others."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    secret = user_secret(environ)
    path = tmp_path / "config" / "nbflow" / "store.key"
    assert path == key_file(environ)
    assert user_secret(environ) == secret
    assert len(secret) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["store.key"]


def test_many_that_start_at_once_get_one_key(tmp_path):
    """Kernels that start together would seal with keys that do not stay."""
    environ = {"NBFLOW_STORE_KEY_FILE": str(tmp_path / "key")}
    found = []
    threads = [threading.Thread(target=lambda: found.append(user_secret(environ))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {user_secret(environ)}
    assert len(found) == 8


def test_where_the_key_lies():
    """A team could not point its members at one key."""
    assert str(key_file({"NBFLOW_STORE_KEY_FILE": "/run/secrets/key", "XDG_CONFIG_HOME": "/x"})) == "/run/secrets/key"
    assert str(key_file({"XDG_CONFIG_HOME": "/x"})) == "/x/nbflow/store.key"
    assert key_file({}).parts[-3:] == (".config", "nbflow", "store.key")


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"short", 0o600, "too short"),
        (b"", 0o600, "too short"),
        (b"x" * 64, 0o622, "others can write.*chmod 600"),
        (b"x" * 64, 0o644, "others can read.*chmod 600"),
        (b"x" * 64, 0o600, None),
        (b"x" * 64, 0o640, None),  # a team's
        (b"x" * 64, 0o400, None),
    ],
)
def test_an_unfit_key_is_refused_with_the_cure(tmp_path, content, mode, says):
    """Entries would be sealed with a key that anybody could have put there, or could use to forge some."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    environ = {"NBFLOW_STORE_KEY_FILE": str(path)}
    if says is None:
        assert user_secret(environ) == content
        return
    with pytest.raises(StoreError, match=says) as caught:
        user_secret(environ)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("where", ["file/key", "folder", "/proc/none/key", "~nobody-of-that-name/key", "settings"])
def test_no_place_for_a_key_is_one_clear_line(tmp_path, where):
    """In a container without a home, the first task would end with a Python traceback."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    place = where if where[0] in "/~" else str(tmp_path / where)
    environ = {"NBFLOW_STORE_KEY_FILE": place}
    if where == "settings":  # a home that cannot be written, also by root
        place, environ = "/proc/none/nbflow/store.key", {"XDG_CONFIG_HOME": "/proc/none"}
    with pytest.raises(StoreError, match="NBFLOW_STORE_KEY_FILE") as caught:
        user_secret(environ)
    assert "\n" not in str(caught.value)
    assert place in str(caught.value) or where[0] == "~"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and not os.listdir(tmp_path / "folder")
