from __future__ import annotations

import pytest

from jan_core.limits import Limits


@pytest.mark.parametrize("name", ["header_bytes", "header_count", "header_seconds", "body_seconds", "write_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_nothing(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]
