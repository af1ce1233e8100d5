"""What a run was seen to depend on beyond its inputs, and whether it is still so."""

from nbflow.world import rng
from nbflow.world.current import unseen
from nbflow.world.holds import broken
from nbflow.world.paths import exclude
from nbflow.world.readers import arm, declare
from nbflow.world.sight import Sight, may_name
from nbflow.world.versions import distribution
from nbflow.world.watch import adopt, watch, watched

__all__ = [
    "Sight",
    "adopt",
    "arm",
    "broken",
    "declare",
    "distribution",
    "exclude",
    "may_name",
    "rng",
    "unseen",
    "watch",
    "watched",
]
