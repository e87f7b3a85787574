from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from jan_core.schemas.engines import EngineLoad, EngineModel, EngineModelList, EngineUnload, Estimate

MODEL: dict[str, Any] = {
    "id": "m",
    "engine": "red",
    "purpose": "",
    "state": "loaded",
    "pid": None,
    "memory": None,
    "estimated": None,
    "context": 1,
    "slots": 1,
    "busy": 0,
    "waiting": 0,
    "pinned": False,
    "idle_since": None,
    "until": None,
}


def test_a_reply_has_every_field_also_where_it_is_null() -> None:
    listed = EngineModelList(data=[EngineModel.model_validate(MODEL)])
    told = json.loads(listed.model_dump_json())
    assert told == {"object": "list", "data": [{**MODEL, "object": "engine.model"}]}
    with pytest.raises(ValidationError):
        EngineModel.model_validate({**MODEL, "state": "gone"})


def test_an_estimate_has_parts() -> None:
    assert Estimate(total=3, parts={"weights": 3}).parts == {"weights": 3}


@pytest.mark.parametrize("wrong", [{}, {"model": ""}, {"model": 1}, {"model": "m", "x": 1}, {"model": "m" * 513}])
@pytest.mark.parametrize("kind", [EngineLoad, EngineUnload])
def test_a_request_is_strict(kind: type[EngineLoad], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(wrong)
    assert kind.model_validate({"model": "owner/m:q4@red"}).model == "owner/m:q4@red"


@pytest.mark.parametrize("wrong", [{"purpose": "A"}, {"purpose": "a b"}, {"purpose": None}, {"purpose": "a" * 65}])
def test_a_purpose_is_a_plain_word(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EngineLoad.model_validate({"model": "m", **wrong})


def test_force_is_true_or_false() -> None:
    assert EngineUnload(model="m").force is False
    with pytest.raises(ValidationError):
        EngineUnload.model_validate({"model": "m", "force": "yes"})
