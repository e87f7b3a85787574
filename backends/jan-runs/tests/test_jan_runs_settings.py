from __future__ import annotations

from typing import Any

import pytest
from jan_runs.settings import RunsSettings
from pydantic import ValidationError


def test_ten_minutes_where_nothing_is_said() -> None:
    assert RunsSettings().expires_seconds == 600


@pytest.mark.parametrize("value", [0, -1, "600", 1.5, 10**9])
def test_only_whole_seconds_within_a_year(value: Any) -> None:
    with pytest.raises(ValidationError):
        RunsSettings.model_validate({"expires_seconds": value})


def test_a_thousand_at_once_where_nothing_is_said() -> None:
    assert RunsSettings().most_at_once == 1_000
    for value in (0, "5", 10**6):
        with pytest.raises(ValidationError):
            RunsSettings.model_validate({"most_at_once": value})
