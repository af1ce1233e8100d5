"""`python -m tests.fuzz --notebooks 2000 --seed 1`: random notebooks, cached and plain; stops at the first difference."""

import argparse
import sys

from tests.fuzz.twins import Twins, shrunk

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--notebooks", type=int, default=100, help="how many to try")
parser.add_argument("--seed", type=int, default=0, help="of the first one; the next ones count up from it")
parser.add_argument("--restart", action="store_true", help="a new kernel for each session, not only a new namespace")
asked = parser.parse_args()
with Twins(asked.restart) as twins:
    for seed in range(asked.seed, asked.seed + asked.notebooks):
        if found := twins.notebook(seed):
            print(f"seed {seed}, made smaller:\n{shrunk(twins, found)}")
            sys.exit(1)
        if twins.tally.notebooks % 100 == 0:
            print(twins.tally, flush=True)
    print(f"no difference: {twins.tally}")
