"""What the objects that Jan stores have in common: assistants, threads, messages.

A stored object is a `Reply`, and also what a store reads back, perhaps from a file that a person wrote. So a field
that the API requires and that a file may lack has a default here, and lengths are limited in requests only: an object
that once got in is shown. Stores read with `model_validate(data, extra="ignore")` and keep by themselves what the
schema does not name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MILLISECONDS = 10**11
"""Times above it are milliseconds: in seconds it would be the year 5138."""


@dataclass(frozen=True, slots=True)
class _Mended:
    """What is not yet as it should be goes through a function first, and what is goes past it.

    Nearly everything that is read back is as Jan wrote it, and a call of a Python function for each value would take
    longer than all other checks of the object.
    """

    mend: Callable[[Any], Any]
    written: Literal["int", "dict"]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        checked = handler(source)
        mended = core_schema.no_info_before_validator_function(self.mend, checked)
        exact: Any = {**checked, "strict": True}
        either = [exact, mended]
        return core_schema.union_schema(
            either, mode="left_to_right", serialization=core_schema.simple_ser_schema(self.written)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mended: Any = schema
        return handler(mended["choices"][1]["schema"])


def _seconds(value: Any) -> Any:
    """Milliseconds and fractions, as older applications wrote them, to whole seconds. A text or a truth is no time."""
    if isinstance(value, str | bool):
        raise PydanticCustomError("no_time", "it should be a number, a time in Unix seconds")
    if isinstance(value, float) and isfinite(value):
        value = int(value)
    if isinstance(value, int) and value > MILLISECONDS:
        value //= 1000
    return value


def _pairs(value: Any) -> Any:
    """`null` is no pairs; what is no string is written as JSON, since the API knows strings only."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {key: one if isinstance(one, str) else json.dumps(one) for key, one in value.items()}
    return value


UnixTime = Annotated[int, Field(ge=0, le=MILLISECONDS), _Mended(_seconds, "int")]
"""Whole Unix seconds; a time in milliseconds is converted."""

StoredPairs = Annotated[dict[str, str], _Mended(_pairs, "dict")]
"""The `metadata` of a stored object: never null, empty where there is none."""
