"""Folders for tests of many small files, which a busy disk would only slow down."""

import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def ram():
    """A folder in memory, where there is such a thing."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)
