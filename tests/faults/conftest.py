"""What the fault tests of the root share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that is quick to work in: nothing in it is ever flushed."""
    quick = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="jan-faults-", dir=quick if quick.is_dir() else None))
    yield folder
    shutil.rmtree(folder)
