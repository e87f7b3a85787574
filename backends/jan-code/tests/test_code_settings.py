from __future__ import annotations

from typing import Any

import pytest
from jan_code.settings import CodeSettings
from pydantic import ValidationError


def test_the_defaults() -> None:
    found = CodeSettings()
    assert (found.enabled, found.call_seconds, found.run_seconds, found.memory_mib) == (True, 30, 300, 512)
    assert (found.output_bytes, found.processes) == (1 << 20, 32)


@pytest.mark.parametrize(
    "wrong",
    [{"enabled": 1}, {"call_seconds": 0}, {"memory_mib": 1}, {"output_bytes": 1}, {"processes": 0}, {"seconds": 1}],
)
def test_a_bad_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CodeSettings(**wrong)
