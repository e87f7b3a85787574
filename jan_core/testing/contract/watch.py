"""One call of an operation, looked at while it happens: what `jan serve --check` puts around every endpoint.

What is looked at for every operation follows from how it is declared: types, pages, ids. What only one endpoint
promises is in subclasses, which its contract names in `live`.
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from jan_core.endpoint import Operation
from jan_core.errors import JanError
from jan_core.schemas.base import Request
from jan_core.testing.contract.case import Broken, check_type, holds, same

CODE = "contract_broken"
"""The code of the error that a caller gets for a broken promise."""


class Watch:
    """Looks at one call. Each method raises `Broken` at what may not be; nothing is handed on that it was raised for.

    Subclass it for what an operation of yours promises besides, call the methods of this class from yours, and name
    your class in `live` of the contract. One is made for each call; it may keep what it has seen.

    Args:
        operation: which operation is called.
        arguments: what its caller gave, by name.
    """

    def __init__(self, operation: Operation, arguments: Mapping[str, Any]) -> None:
        self.operation = operation
        self.arguments = dict(arguments)
        self._before = {name: _copy(value) for name, value in arguments.items()}

    def asked(self) -> None:
        """Look at what the caller gave, before the implementation gets it."""
        declared = hints(self.operation)
        for name, value in self.arguments.items():
            wrong = _not_of(declared[name], value) if name in declared else ""
            if wrong:
                raise Broken(f"its caller gave the argument {name!r} as {wrong}")

    def answered(self, reply: Any) -> None:
        """Look at the reply of an operation that does not stream, before its caller gets it."""
        check_type(self.operation.qualified, self.operation.types().reply, reply)
        self._is_about_what_was_asked(reply)
        data = getattr(reply, "data", None)
        if isinstance(data, list) and "has_more" in type(reply).model_fields:
            self.page(reply, data)
        self._leaves_the_arguments()

    def event(self, event: Any) -> None:
        """Look at the next event of a stream, before its caller gets it."""
        check_type(f"an event of {self.operation.qualified}", self.operation.types().item, event)

    def ended(self) -> None:
        """Look at a stream that has come to its end, before its caller knows."""
        self._leaves_the_arguments()

    def refused(self, error: Exception) -> None:
        """Look at what was raised instead of an answer."""
        if isinstance(error, JanError | NotImplementedError):
            bare = isinstance(error, JanError) and error.status == 500 and error.code != CODE
            holds(not bare, f"it refused with the status 500 ({error!r}), which says nothing; use a class of its own")
            return
        raise Broken(f"it raised {error!r}, and may only refuse with the errors of jan_core.errors") from error

    def page(self, page: Any, data: list[Any]) -> None:
        """Look whether a page says of itself what it holds, and no more than was asked for.

        A page may end early where a listing is filtered: then it leads on by its ids.

        Args:
            page: the reply.
            data: its objects.
        """
        query = self.arguments.get("query")
        limit = getattr(query, "limit", None)
        what = f"the page of {self.operation.qualified}"
        ids = [getattr(one, "id", None) for one in data]
        if limit is not None:
            holds(len(data) <= limit, f"{what} has {len(data)} objects, and the limit is {limit}")
        same(f"different ids on {what}", len(set(ids)), len(ids))
        asked = {getattr(query, "after", None), getattr(query, "before", None)} - {None}
        same(f"objects on {what} that are its cursor", asked & set(ids), set())
        for one in data:
            self._is_of_its_parent(one)
        first, last = getattr(page, "first_id", None), getattr(page, "last_id", None)
        early = page.has_more and len(data) < (limit or 0)
        if early and not data:
            holds(first or last, f"{what} is empty, says that there are more, and does not lead to them")
        elif not early:
            same(f"first_id and last_id of {what}", (first, last), (ids[0], ids[-1]) if ids else (None, None))

    def _is_about_what_was_asked(self, reply: Any) -> None:
        """An operation on `/v1/things/{thing_id}` answers with that thing's id, also where it deletes it."""
        if not isinstance(reply, BaseModel):
            return
        path, parameters = self.operation.path or "", self.operation.parameters
        if parameters and path.endswith("}") and "id" in type(reply).model_fields:
            asked = self.arguments.get(parameters[-1])
            same(f"the id that {self.operation.qualified} answers with, asked for {asked!r}", reply.id, asked)  # type: ignore[attr-defined]
        if "deleted" in type(reply).model_fields:
            same(f"deleted, in the answer of {self.operation.qualified}", reply.deleted, True)  # type: ignore[attr-defined]
        self._is_of_its_parent(reply)

    def _is_of_its_parent(self, one: Any) -> None:
        """What is below `/v1/things/{thing_id}/` and has a field `thing_id` has that id there."""
        for name in self.operation.parameters:
            if isinstance(one, BaseModel) and name in type(one).model_fields:
                same(f"{name} of {getattr(one, 'id', 'the answer')!r}", getattr(one, name), self.arguments.get(name))

    def _leaves_the_arguments(self) -> None:
        for name, value in self._before.items():
            now = self.arguments[name]
            holds(now == value, f"it changed the argument {name!r} of its caller: {_changed(value, now)}")


def hints(operation: Operation) -> Mapping[str, Any]:
    """The declared type of each argument of an operation, by name."""
    return _hints(operation)


@cache
def _hints(operation: Operation) -> Mapping[str, Any]:
    function = getattr(operation.endpoint, operation.name)
    names = {**function.__globals__, **vars(importlib.import_module(operation.endpoint.schemas))}
    found = typing.get_type_hints(function, globalns=names)
    return {name: found[name] for name in operation.arguments if name in found}


@cache
def _adapter(declared: Any) -> TypeAdapter[Any]:
    return TypeAdapter(declared)


def _not_of(declared: Any, value: Any) -> str:
    """What is wrong with an argument; empty where nothing is."""
    if not isinstance(declared, type):
        try:
            _adapter(declared).validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            return f"{type(value).__name__}, and {declared} is declared: {first['loc']}: {first['msg']}"
        return ""
    if not isinstance(value, declared):
        return f"{type(value).__name__}, and {declared.__name__} is declared"
    if isinstance(value, Request):
        try:
            type(value).model_validate(value.model_dump(exclude_unset=True, warnings=False), strict=True)
        except ValidationError as error:
            # A field that was taken out of a copy is None, also where a client may not send null.
            for first in error.errors():
                if first["input"] is not None:
                    return f"{declared.__name__} with what its schema does not allow: {first['loc']}: {first['msg']}"
    return ""


def _copy(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_copy(deep=True)
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _changed(before: Any, after: Any) -> str:
    if not isinstance(before, BaseModel) or type(before) is not type(after):
        return "another object"
    return ", ".join(name for name in type(before).model_fields if getattr(before, name) != getattr(after, name))
