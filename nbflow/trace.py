"""What a result was seen to depend on: the parts of its key, and facts about the world.

A key is made of *traits* that are known before the run: code, inputs, globals. A run adds *facts*, each
with a digest of what was seen; a later lookup verifies them. These are the constructive traces of
Mokhov, Mitchell and Peyton Jones, "Build systems à la carte", https://doi.org/10.1145/3236774.
"""

from typing import Any, NamedTuple

__all__ = ["Fact", "Trait", "Traits"]


class Trait(NamedTuple):
    """One part of a key: the hex digest of its content and a short form for people, `""` if it has none.

    The short form never holds a secret: a string is cut, an environment variable's value never shown.
    """

    digest: str
    short: str


Traits = dict[str, Trait]
"""Label to trait. Labels read well before " changed": `clean()`, `class Model`, `input lr`, `LIMIT`, `the code`."""


class Fact(NamedTuple):
    """One thing that a run was seen to depend on.

    Attributes:
        kind: What sort of thing: `file`, `listing`, `environment`, `random`, `distribution`, `name`, `touched`.
        subject: Which one: a path, the name of a variable, of a distribution, of a global.
        digest: Hex digest of its content then, `""` if it was not there.
        hint: Plain JSON data that can make verifying cheap, such as a file's size and times.
    """

    kind: str
    subject: str
    digest: str
    hint: Any = None
