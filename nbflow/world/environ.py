"""Facts about environment variables: those that the user's own code reads.

HTTP and cloud libraries walk the whole environment, and a key must not hang on `SSH_AUTH_SOCK`; so a read
counts only when the code that asks is the user's. `os.environ` calls its `encodekey` at each read. While
sights are open that attribute, of this one object, points here: no class is touched, nothing is left behind,
and a `KeyError` carries no frame of ours. `dict(os.environ)` and `{**os.environ}` walk by way of `keys()`,
and then ask in that same order: those are no questions. Values are kept as digests only.
"""

import os
import sys
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from types import FrameType
from typing import Any

from nbflow.trace import Fact
from nbflow.world.current import running
from nbflow.world.paths import users
from nbflow.world.quiet import quiet
from nbflow.world.threads import sights

__all__ = ["arm", "broken", "disarm", "fact"]

_read = type(os.environ).__getitem__.__code__
_walk = getattr(type(os.environ).__iter__, "__code__", None)
_through = {
    function.__code__
    for function in (
        type(os.environ).get,
        type(os.environ).__contains__,
        type(os.environ).pop,
        type(os.environ).setdefault,
        os.getenv,
        os.path.expandvars,
    )
}
_views = ("_collections_abc", "collections.abc")
_environ: Any = os.environ
_plain_encodekey: Callable[[str], Any] = _environ.encodekey
_plain_decodekey: Callable[[Any], str] = _environ.decodekey
_walked: deque[str] = deque()  # keys that a walk handed out and has not asked for yet


def arm() -> None:
    """See reads from now on. Cheap when it is so already."""
    _environ.encodekey = _encodekey
    _environ.decodekey = _decodekey


def disarm() -> None:
    """Leave `os.environ` as it was."""
    _environ.encodekey = _plain_encodekey
    _environ.decodekey = _plain_decodekey
    if running:  # somebody began to watch in another thread meanwhile
        arm()


def fact(name: str) -> Fact:
    """What a variable is now, `""` if it is not set."""
    value = os.environ.get(name)
    return Fact("environment", name, "" if value is None else _digest(value))


def broken(known: Fact) -> str | None:
    """Why a variable is no longer as it was, None if it is. The value is never told."""
    if fact(known.subject).digest == known.digest:
        return None
    return f"environment variable {known.subject} changed"


def _digest(value: str) -> str:
    return blake2b(value.encode("utf-8", "surrogateescape"), digest_size=16, person=b"nbflow.environ").hexdigest()


def _encodekey(key: str) -> Any:
    encoded = _plain_encodekey(key)
    with quiet():
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - who asks is the point
        if frame is not None and frame.f_code is _read and not _walking(key):
            _asked(key, frame.f_back)
    return encoded


def _decodekey(key: Any) -> str:
    decoded = _plain_decodekey(key)
    frame = sys._getframe(1)  # noqa: SLF001 - as above
    if frame.f_code is _walk and frame.f_back is not None and frame.f_back.f_globals.get("__name__") in _views:
        _walked.append(decoded)
        if len(_walked) > len(_environ):
            _walked.popleft()
    return decoded


def _walking(key: str) -> bool:
    if _walked:
        if _walked.popleft() == key:
            return True
        _walked.clear()
    return False


def _asked(key: str, frame: FrameType | None) -> None:
    while frame is not None and frame.f_code in _through:
        frame = frame.f_back
    if frame is not None and users(frame.f_code):
        for sight in sights():
            sight.variable(key)
