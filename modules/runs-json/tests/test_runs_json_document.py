from __future__ import annotations

from jan_runs_json.document import copy_of
from pydantic import BaseModel, ConfigDict

from .conftest import kept


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


def test_a_copy_is_equal_and_shares_nothing_that_can_be_changed() -> None:
    given = kept()
    given.request = {"rounds": [{"calls": [{"id": "call_1"}]}], "used": None}
    given.run.metadata = {"a": "b"}
    before = given.model_copy(deep=True)
    copied = copy_of(given)
    assert copied == given
    assert copied.run.model_fields_set == given.run.model_fields_set
    copied.request["rounds"][0]["calls"].append(1)
    copied.run.metadata["a"] = "c"
    copied.run.status = "failed"
    copied.steps.append(None)  # type: ignore[arg-type]
    assert given == before


def test_what_a_newer_version_added_is_copied_too() -> None:
    given = Open.model_validate({"more": {"deep": [1]}})
    copied = copy_of(given)
    copied.model_extra["more"]["deep"].append(2)  # type: ignore[index]
    assert given.model_extra == {"more": {"deep": [1]}}
