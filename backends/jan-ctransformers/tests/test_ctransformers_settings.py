from __future__ import annotations

import pytest
from jan_ctransformers.settings import CTransformersSettings
from pydantic import ValidationError


def test_defaults_are_valid() -> None:
    assert CTransformersSettings.model_validate(CTransformersSettings().model_dump()) == CTransformersSettings()


@pytest.mark.parametrize(
    "told", [{"context": 1}, {"batch": 0}, {"threads": "2"}, {"slots": 2}, {"template_seconds": 0}]
)
def test_bad_values_are_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CTransformersSettings.model_validate(told)
