"""`nbflow trust`: whose results this user's notebooks load, beside those of the user."""

import os
from argparse import Namespace
from pathlib import Path

from nbflow.cli.tables import as_json, store, table
from nbflow.errors import ConfigurationError
from nbflow.store import Owner, trusted_keys
from nbflow.store.seal import Seal, key_file, user_secret
from nbflow.widget import plain

__all__ = ["trust"]


def trust(args: Namespace) -> int:
    """Trust the key in a file, or one no longer, or list all keys; 1 where no such key was trusted."""
    if args.key is not None and (args.list or args.remove is not None):
        raise ConfigurationError("trust: give a key file, --list or --remove")
    if args.remove is not None:
        return _remove(args.remove)
    return _list(json=args.json) if args.key is None else _add(Path(args.key))


def _add(path: Path) -> int:
    mine = Seal(user_secret(os.environ)).id
    number = trusted_keys(os.environ).add(path)
    if number == mine:
        trusted_keys(os.environ).remove(number)
        print(f"{number.hex()} is your own key: nothing to do")
        return 0
    there = next((each for each in store().owners() if each.key == number.hex()), None)
    count = plain.spell_count(there.entries if there else 0, "result")
    print(f"{number.hex()} is trusted: {count} of it in {store().folder} can be used")
    print("whoever has that key can make results that run code when you load them")
    return 0


def _remove(text: str) -> int:
    keys = trusted_keys(os.environ)
    those = [number for number in keys.ids() if text and number.hex().startswith(text.lower())]
    if len(those) != 1:
        raise ConfigurationError(
            f"--remove {text!r}: "
            + ("several keys begin so" if those else "no such key was trusted; see nbflow trust --list")
        )
    keys.remove(those[0])
    print(f"{those[0].hex()} is no longer trusted; its results are kept, and not used")
    return 0


def _list(*, json: bool) -> int:
    """All keys: the user's, those that are trusted, and those of entries that nobody here can use."""
    mine = Seal(user_secret(os.environ)).id.hex()
    found = {each.key: each for each in store().owners()}
    found.setdefault(mine, Owner(mine, 0, 0, "yours"))
    for number in trusted_keys(os.environ).ids():
        found.setdefault(number.hex(), Owner(number.hex(), 0, 0, "trusted"))
    if json:
        as_json([each._asdict() for each in found.values()])
        return 0
    order = sorted(found.values(), key=lambda each: (each.standing != "yours", each.standing != "trusted", each.key))
    table(
        ("key", "", "results", "size"),
        ((each.key, each.standing, f"{each.entries:,}", plain.size(each.size)) for each in order),
    )
    print(f"your key: {key_file(os.environ)}")
    return 0
