"""What every schema shares: requests are strict, replies are complete.

A request refuses fields it does not know, numbers that are not finite and types that are not the named ones: no
engine is ever handed what was not checked. A reply always writes the fields that the API requires, `null` where
they have no value, and leaves out an optional field that has none.

Schemas build their validators at first use (`defer_build`), so that importing an endpoint costs little.
"""

from __future__ import annotations

import ast
import inspect
import operator
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

_is_none = partial(operator.is_, None)
_set = object.__setattr__


@cache
def _texts(module: str) -> dict[tuple[str, str], str]:
    """The strings below the fields of a module's classes, by class and field."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.ClassDef):
            for field, below in zip(node.body, node.body[1:], strict=False):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[node.name, name] = inspect.cleandoc(text)
    return found


class Described(BaseModel):
    """A schema whose fields are described by the strings below them.

    They are read when a JSON schema is made of it. pydantic's own `use_attribute_docstrings` reads and parses the
    source of every class as it is imported, which takes longer than all the rest of the import.
    """

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the descriptions."""
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for owner in reversed(cls.__mro__):
            if issubclass(owner, Described) and owner is not Described:
                for (name, field), text in _texts(owner.__module__).items():
                    alias = (cls.model_fields[field].alias or field) if field in cls.model_fields else field
                    if name == owner.__name__ and alias in properties:
                        properties[alias]["description"] = text
        return made


class Request(Described):
    """A request body, or a part of one."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,
        protected_namespaces=(),
    )


M = TypeVar("M", bound=BaseModel)


@cache
def keeping_unknown(schema: type[M]) -> type[M]:
    """The same request, which keeps fields that it does not know: they are in `model_extra`, as JSON has them.

    Those of the objects within it are refused as ever.
    """
    body = {
        "__module__": schema.__module__,
        "__doc__": schema.__doc__,
        "__annotations__": {"__pydantic_extra__": dict[str, JsonValue]},
        "model_config": ConfigDict(extra="allow"),
    }
    return type(schema.__name__, (schema,), body)


class Reply(Described):
    """A reply body, or a part of one."""

    model_config = ConfigDict(extra="forbid", defer_build=True, protected_namespaces=())

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Self:
        """As `model_validate`, in less time, for what is made for every event of a stream.

        All that is in it is checked in one go, which is faster than to make its parts one by one, and also than
        `model_construct`, which checks nothing.

        Args:
            values: the fields, and those of its parts, as `model_dump` gives them.

        Raises:
            ValidationError: as `model_validate`.
        """
        made: Self = cls.__pydantic_validator__.validate_python(values)
        return made


class NamedEvent(Reply):
    """An event with a name (`thread.message.delta`), for streams whose events have one."""

    event: str
    """The event's name."""
    data: Any
    """The object it carries."""

    @classmethod
    def telling(cls, event: str, data: BaseModel) -> Self:
        """An event with an object that was checked when it was made: nothing is checked a second time.

        Args:
            event: one of its names.
            data: one of the objects that it may carry.
        """
        made = cls.__new__(cls)
        _set(made, "__dict__", {"event": event, "data": data})
        _set(made, "__pydantic_fields_set__", {"event", "data"})
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


def optional(**constraints: Any) -> Any:
    """A reply field that is left out, not written as null, where it has no value."""
    return Field(default=None, exclude_if=_is_none, **constraints)
