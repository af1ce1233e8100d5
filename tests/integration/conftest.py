"""A real kernel for each module of tests."""

import pytest

from tests.integration.kernels import Kernel


@pytest.fixture(scope="module")
def kernel():
    with Kernel() as kernel:
        yield kernel


@pytest.fixture
def k(kernel):
    """The module's kernel with an empty namespace and store."""
    kernel.fresh()
    return kernel
