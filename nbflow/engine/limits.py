"""How many steps with the same tag run at a time in this process: an API that allows three calls gets three.

A step takes a place for each of its limited tags, all of them or none, so that no two steps wait for each other; it
gives them back after each attempt. Who waits longest comes first, and holds nothing meanwhile.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nbflow.errors import ConfigurationError

__all__ = ["Limits", "Turn", "limits_of"]


class Limits:
    """Places by tag.

    Args:
        places: How many there are for each limited tag.
    """

    def __init__(self, places: Mapping[str, int]) -> None:
        self.places = dict(places)
        self._free = dict(places)
        self._waiting: dict[Turn, Callable[[], object]] = {}
        self._lock = threading.Lock()

    def turn(self, tags: Collection[str]) -> "Turn | None":
        """For a step with these tags; None where none of them is limited."""
        limited = frozenset(tags) & self.places.keys()
        return Turn(self, limited) if limited else None

    def take(self, turn: "Turn", then: Callable[[], object]) -> bool:
        """Whether there are places now; if not, `then` is called once, when they have been taken for it."""
        with self._lock:
            ahead = any(not turn.tags.isdisjoint(other.tags) for other in self._waiting)
            if ahead or not self._try(turn):
                self._waiting[turn] = then
                return False
            return True

    def give(self, turn: "Turn") -> None:
        """Give places back, or wait for them no longer; the next in line are called."""
        calls = []
        with self._lock:
            self._waiting.pop(turn, None)
            if turn.has:
                turn.has = False
                for tag in turn.tags:
                    self._free[tag] += 1
            blocked: set[str] = set()
            for other in list(self._waiting):
                if blocked.isdisjoint(other.tags) and self._try(other):
                    calls.append(self._waiting.pop(other))
                else:
                    blocked |= other.tags
        for call in calls:
            call()

    def _try(self, turn: "Turn") -> bool:
        if any(self._free[tag] <= 0 for tag in turn.tags):
            return False
        for tag in turn.tags:
            self._free[tag] -= 1
        turn.has = True
        return True


class Turn:
    """One step's places.

    Attributes:
        tags: For which it takes one each.
        has: Whether it has them.
    """

    def __init__(self, limits: Limits, tags: frozenset[str]) -> None:
        self._limits, self.tags, self.has = limits, tags, False

    def enter(self, then: Callable[[], object]) -> bool:
        """Take them: true at once, or false, and `then` is called once they are this step's."""
        return self._limits.take(self, then)

    def leave(self) -> None:
        """Give them back; again changes nothing."""
        self._limits.give(self)

    @property
    def words(self) -> str:
        """What it waits for, in words."""
        places = self._limits.places
        return ", ".join(f"{tag} ({places[tag]} at a time)" for tag in sorted(self.tags))


def limits_of(given: Any, what: str = "tag_limits") -> dict[str, int]:
    """Limits as they may be written: `{"api": 2}`, or the text `api=2,db=1`.

    Raises:
        ConfigurationError: They cannot be meant as they were written.
    """
    wrong = ConfigurationError(f'{what}={given!r}: give how many may run for each tag, such as {{"api": 2}} or api=2')
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",") if part.strip()]
        try:
            given = {tag.strip(): int(number) for tag, _, number in pairs}
        except ValueError:
            raise wrong from None
    if not isinstance(given, Mapping) or not all(
        isinstance(tag, str) and tag and type(number) is int and number > 0 for tag, number in given.items()
    ):
        raise wrong
    return dict(given)
