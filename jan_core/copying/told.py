"""What came of a copy, in numbers and sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json


@dataclass(slots=True)
class Told:
    """What came of copying one endpoint.

    Attributes:
        copied: how many objects were put into the target.
        present: how many were there already, the same.
        conflicts: those that differ or could not be copied, a sentence each.
    """

    copied: int = 0
    present: int = 0
    conflicts: list[str] = field(default_factory=list)


def differing(one: BaseModel, other: BaseModel) -> str:
    """The names of the fields in which two objects of a schema differ, between commas."""
    return ", ".join(name for name in type(one).model_fields if getattr(one, name) != getattr(other, name))


def differing_values(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The names of the fields in which two lines differ, between commas."""
    names = [name for name in {**one, **other} if one.get(name, ...) != other.get(name, ...)]
    return ", ".join(names) or "the order of its fields"


def id_of(line: bytes) -> str:
    """The id of the object of a line."""
    return str(from_json(line)["id"])
