"""The API's pinned description, as the tests use it: `../shared/openai` beside this repository."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "openai"


@cache
def spec() -> ModuleType:
    """The checks of `spec.py`. Without the folder a test fails under CI=true, and is skipped elsewhere."""
    if not (FOLDER / "spec.py").is_file():
        reason = f"{FOLDER} is missing, so nothing can be compared with the API's description"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    found = importlib.util.spec_from_file_location("pinned_spec", FOLDER / "spec.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
