"""A real kernel for each module of tests, whose tests stay together where tests run in parallel."""

from pathlib import Path

import pytest

from tests.integration.kernels import Kernel


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A module's kernel, browser or executed notebook is made once, not once in each process."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("apart") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def kernel():
    with Kernel() as kernel:
        yield kernel


@pytest.fixture
def k(kernel):
    """The module's kernel with an empty namespace and store."""
    kernel.fresh()
    return kernel
