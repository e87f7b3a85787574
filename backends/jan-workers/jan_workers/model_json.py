"""What `model.json` tells an engine, checked: its `settings` one by one, its `parameters` as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from jan_core.errors import InvalidRequest

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

P = TypeVar("P", bound=BaseModel)


def whole(location: ModelLocation, name: str, low: int, high: int, default: int) -> int:
    """A whole number of `settings`, from `low` to `high`; `default` where there is none.

    Raises:
        InvalidRequest: it is none, or out of range.
    """
    value = location.settings.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise bad_setting(location, name, f"a whole number from {low} to {high}")
    return value


def template_at(location: ModelLocation) -> str:
    """Where a model's chat template stands, for messages: in its `model.json`, else in its own file."""
    if location.settings.get("chat_template") is not None:
        return f"model.json of {location.id!r}: settings.chat_template"
    return location.path


def bad_setting(location: ModelLocation, name: str, allowed: str) -> InvalidRequest:
    """The error for a setting that is not what is `allowed`, which says so and where to mend it."""
    return InvalidRequest(
        f"model.json of {location.id!r}: settings.{name} must be {allowed}; mend it in the model's folder.",
        param="model",
        code="bad_model_settings",
    )


def parameters(location: ModelLocation, schema: type[P]) -> P:
    """The model's own `parameters`: what a request takes where it gives no value.

    Raises:
        InvalidRequest: one has a wrong type or is out of range.
    """
    try:
        return schema.model_validate(location.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(
            f"model.json of {location.id!r}: parameters.{name}: {first['msg']}; mend it in the model's folder.",
            param="model",
            code="bad_model_parameters",
        ) from error
