"""Acceptance at full length: `python -m tests.faults kill|lines|damage|race|memory|durable|durable-lines`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text, options in (
        ("kill", "kill -9 at random instants over 4 writers", {"rounds": 200, "seed": 1}),
        ("lines", "end a save before each of its lines", {"step": 1}),
        ("damage", "flip, cut, swap, forge what the store has on disk", {"count": 1000, "seed": 1}),
        ("race", "many processes on the same keys", {"processes": 16, "keys": 200, "rounds": 5}),
        ("durable", "kill -9 at random instants over 4 processes with effects and jobs", {"rounds": 200, "seed": 1}),
        ("durable-lines", "end effects and jobs before each of their lines", {"step": 1}),
        ("memory", "peak memory and isolation of a big value", {"mib": 1024}),
    ):
        command = commands.add_parser(name, help=text)
        for option, value in options.items():
            command.add_argument(f"--{option}", type=int, default=value, help=f"default: {value}")
    given = vars(parser.parse_args())
    command = given.pop("command")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nbflow-faults-") as folder:
        seen = perform(command, Path(folder), given)
    print(f"{command} {given}: {time.monotonic() - start:.1f} s")
    for label, number in seen.items():
        print(f"  {label}: {number}")
    return 0


def perform(command, folder, given):
    if command in ("kill", "lines"):
        from tests.faults import kill

        if command == "kill":
            return kill.rounds(folder / "store", given["rounds"], given["seed"])
        return kill.every_line(folder, given["step"])
    if command == "damage":
        from tests.faults import damage

        return damage.damage(folder, given["count"], given["seed"])
    if command == "race":
        from tests.faults import race

        return race.race(folder / "store", given["processes"], given["keys"], given["rounds"])
    if command.startswith("durable"):
        from tests.faults import durable

        if command == "durable":
            return durable.rounds(folder, given["rounds"], given["seed"])
        return {**durable.named_points(folder / "points"), **durable.every_line(folder, given["step"])}
    from tests.faults import memory

    return memory.memory(folder / "store", given["mib"])


if __name__ == "__main__":
    sys.exit(main())
