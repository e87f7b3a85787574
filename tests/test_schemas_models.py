from __future__ import annotations

import pytest
from pydantic import BaseModel

from jan_core.schemas.models import Model, ModelDeleted, ModelList
from tests.pinned import spec


@pytest.mark.parametrize(
    ("model", "method", "template"),
    [
        (Model, "GET", "/models/{model}"),
        (ModelList, "GET", "/models"),
        (ModelDeleted, "DELETE", "/models/{model}"),
    ],
)
def test_every_field_of_the_api_is_there_and_no_other(model: type[BaseModel], method: str, template: str) -> None:
    check = spec()
    schema = model.model_json_schema(mode="serialization")
    wanted = check.properties(check.reply_schema(method, template), check.document())
    assert check.properties(schema, schema) == wanted
    assert wanted


def test_replies_are_valid_for_the_api() -> None:
    model = Model(id="smollm2", created=1, owned_by="me")
    dated = Model(id="smollm2", created=1, owned_by="me", shutdown_date="2030-01-01")
    check = spec()
    for one in (model, dated):
        check.validate("GET", "/v1/models/smollm2", 200, one.model_dump(mode="json"))
    check.validate("GET", "/v1/models", 200, ModelList(data=[model, dated]).model_dump(mode="json"))
    check.validate("GET", "/v1/models", 200, ModelList(data=[]).model_dump(mode="json"))
    check.validate(
        "DELETE", "/v1/models/smollm2", 200, ModelDeleted(id="smollm2", deleted=True).model_dump(mode="json")
    )


def test_a_model_without_an_end_does_not_name_one() -> None:
    assert Model(id="a", created=1, owned_by="b").model_dump(mode="json") == {
        "id": "a",
        "object": "model",
        "created": 1,
        "owned_by": "b",
    }
