from __future__ import annotations

from typing import Any

import pytest
from jan_workers.model_json import bad_setting, parameters, whole
from pydantic import BaseModel, ConfigDict, Field

from jan_core.errors import InvalidRequest
from jan_core.schemas.models import ModelLocation


def location(**told: Any) -> ModelLocation:
    return ModelLocation(id="m", path="/m.gguf", size=1, revision="1", **told)


class Own(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    top_k: int | None = Field(default=None, ge=0)


@pytest.mark.parametrize(("settings", "found"), [({}, 7), ({"n": None}, 7), ({"n": 1}, 1), ({"n": 9}, 9)])
def test_a_number_within_its_range_or_the_default(settings: dict[str, Any], found: int) -> None:
    assert whole(location(settings=settings), "n", 1, 9, 7) == found


@pytest.mark.parametrize("value", [0, 10, True, 2.0, "2", [2]])
def test_anything_else_is_named_with_what_is_allowed(value: Any) -> None:
    with pytest.raises(
        InvalidRequest, match=r"model\.json of 'm': settings\.n must be a whole number from 1 to 9"
    ) as bad:
        whole(location(settings={"n": value}), "n", 1, 9, 7)
    assert (bad.value.code, bad.value.param) == ("bad_model_settings", "model")
    assert bad_setting(location(), "x", "a string").code == "bad_model_settings"


def test_parameters_are_checked_and_others_keys_left_alone() -> None:
    assert parameters(location(parameters={"top_k": 3, "else": {}}), Own).top_k == 3
    assert parameters(location(), Own).top_k is None
    with pytest.raises(InvalidRequest, match=r"model\.json of 'm': parameters\.top_k: .*mend it") as bad:
        parameters(location(parameters={"top_k": "3"}), Own)
    assert (bad.value.code, bad.value.param) == ("bad_model_parameters", "model")
