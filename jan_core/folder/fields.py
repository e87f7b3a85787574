"""Between the fields of an object's file and those of the API's object, with what is wrong told by file and line."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from jan_core.folder.objects import Damaged, line_of

T = TypeVar("T", bound=BaseModel)


def time_made(path: str, values: dict[str, Any], content: bytes) -> int | float:
    """When the object was made, as its file says it; its range is not checked yet.

    Args:
        path: of the file.
        values: what is in it.
        content: its bytes.

    Raises:
        Damaged: it does not say it, or not as a number.
    """
    # Applications before this one called it `created`.
    name = "created_at" if "created_at" in values else "created"
    found = values.get(name)
    if found is None:
        raise Damaged(path, 1, "`created_at` is missing, a time in Unix seconds")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Damaged(path, line_of(content, name), f"`{name}` must be a number, a time in Unix seconds")
    return found


def parameters_in(path: str, values: dict[str, Any], content: bytes) -> dict[str, Any]:
    """The `parameters` of a file that says what answers; empty where there are none.

    Args:
        path: of the file.
        values: what is in it.
        content: its bytes.

    Raises:
        Damaged: they are no object.
    """
    found = values.get("parameters")
    if not isinstance(found, dict | None):
        raise Damaged(path, line_of(content, "parameters"), "`parameters` must be an object")
    return found or {}


def said(found: dict[str, Any]) -> dict[str, Any]:
    """What a file sets, of the values that it may set. Null sets nothing; an empty text says that there is none."""
    return {name: value for name, value in found.items() if value is not None}


def checked(schema: type[T], shown: dict[str, Any], path: str, content: bytes) -> T:
    """The object of the API. Fields that the schema does not have are left out.

    Args:
        schema: its class.
        shown: its fields, made of what is in the file.
        path: of the file.
        content: its bytes, to find the line of what is wrong.

    Raises:
        Damaged: a required field is missing, or one has a wrong type; the first of them is named.
    """
    try:
        return schema.model_validate(shown, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = steps_to(shown, first["loc"], missing=first["type"] == "missing")
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise Damaged(path, line_of(content, where[0] if where else ""), f"`{'.'.join(where)}`: {message}") from None


def steps_to(values: Any, place: tuple[int | str, ...], *, missing: bool) -> list[str]:
    """The names on the way to what is wrong, without those that pydantic has for its own kinds and choices.

    Args:
        values: what was checked.
        place: where pydantic says the fault is.
        missing: what is wrong is that the last step is not there.
    """
    steps = []
    for number, step in enumerate(place):
        among = range(len(values)) if isinstance(values, list) else values if isinstance(values, dict) else ()
        if step in among:
            values = values[step]
        elif not (missing and number == len(place) - 1):
            continue
        steps.append(str(step))
    return steps


def updated(before: dict[str, Any], item: BaseModel, names: Set[str]) -> dict[str, Any]:
    """The values for a file: those that were there, with the named fields as the object has them now.

    Args:
        before: what was in the file; it stays as it is.
        item: the object. A field that it leaves out of its JSON is taken out of the file.
        names: of the fields that changed; others than the object's do not count.
    """
    told = item.model_dump(mode="json")
    values = dict(before)
    for name in type(item).model_fields:
        if name not in names:
            continue
        if name in told:
            values[name] = told[name]
        else:
            values.pop(name, None)
    return values
