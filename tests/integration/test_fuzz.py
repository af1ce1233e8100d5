"""Random notebooks, cached and plain: 300 of them here; `python -m tests.fuzz` runs as many as one likes."""

import pytest

from tests.fuzz.twins import Tally, Twins, shrunk

pytestmark = [pytest.mark.kernel, pytest.mark.apart]

EACH = 25


@pytest.fixture(scope="session")
def twins():
    """The two kernels of this process: to start them takes as long as three notebooks."""
    with Twins() as twins:
        yield twins


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, 300, EACH))
def test_a_cached_notebook_is_the_plain_notebook(first, twins):
    """Whatever a hit leaves behind, says or shares otherwise than a run is a wrong result that nobody sees."""
    twins.tally = Tally()
    for seed in range(first, first + EACH):
        found = twins.notebook(seed)
        assert found is None, f"seed {seed}: {shrunk(twins, found)}"
    assert twins.tally.hits > 4 * EACH, twins.tally


def test_restarts():
    """A value that only survives in the memory of a kernel is no cache."""
    with Twins(restart=True) as twins:
        found = twins.notebook(7)
        assert found is None, shrunk(twins, found)
        assert twins.tally.hits, twins.tally
