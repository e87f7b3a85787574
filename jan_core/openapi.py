"""The OpenAPI document, made from the operations: nothing of the API is described twice."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from jan_core import __version__
from jan_core.endpoint import Endpoint, Operation
from jan_core.schemas.base import keeping_unknown

_REF = "#/components/schemas/{model}"
_CONVERTOR = re.compile(r"\{(\w+):\w+\}")
_ERRORS = {
    "400": "The request is wrong; `error.param` names the field.",
    "401": "A key is needed.",
    "404": "There is no such object.",
    "429": "The queue is full; `Retry-After` says when to ask again.",
    "503": "It will work later; `Retry-After` says when to ask again.",
}


def describe(endpoints: Mapping[str, Endpoint]) -> bytes:
    """The OpenAPI 3.1 document of the endpoints that are served, as JSON."""
    unknown = {name for name, endpoint in endpoints.items() if endpoint.takes_unknown_fields}
    return json.dumps(document({name: one.declared() for name, one in endpoints.items()}, unknown)).encode()


def document(endpoints: Mapping[str, type[Endpoint]], unknown: Collection[str] = ()) -> dict[str, Any]:
    """The OpenAPI 3.1 document of some endpoint classes.

    Args:
        endpoints: name to class, in the order in which they are described.
        unknown: the names of those whose requests may have fields that are not described.
    """
    inputs: dict[tuple[Operation, str], Any] = {}
    for name, endpoint in endpoints.items():
        for operation in endpoint.operations().values():
            if operation.path is not None:
                types = operation.types()
                for part in ("body", "query", "reply", "item"):
                    if getattr(types, part) is not None:
                        inputs[operation, part] = getattr(types, part)
                if types.body is not None and name in unknown:
                    inputs[operation, "body"] = keeping_unknown(types.body)
    wanted: list[tuple[tuple[Operation, str], JsonSchemaMode, Any]] = [
        (key, "validation" if key[1] in ("body", "query") else "serialization", TypeAdapter(kind))
        for key, kind in inputs.items()
    ]
    found, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    schemas = {key: schema for (key, _), schema in found.items()}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints.values():
        for operation in endpoint.operations().values():
            if operation.path is not None:
                path = paths.setdefault(_CONVERTOR.sub(r"{\1}", operation.path), {})
                _add(path, operation, schemas, definitions.get("$defs", {}))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jan", "version": __version__, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": {**definitions.get("$defs", {}), "Error": _ERROR}},
    }


_TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR = {
    "type": "object",
    "description": "What every error looks like.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What was asked, what was found, what to do."},
                "type": {"type": "string", "description": "The kind of error."},
                "param": {**_TEXT_OR_NULL, "description": "The field at fault."},
                "code": {**_TEXT_OR_NULL, "description": "A word a program can branch on."},
            },
        }
    },
}


def _add(
    path: dict[str, Any], operation: Operation, schemas: Mapping[Any, Any], definitions: Mapping[str, Any]
) -> None:
    method = str(operation.method).lower()
    if operation.stream and method in path:
        content = path[method]["responses"]["200"]["content"]
        content["text/event-stream"] = {"schema": schemas[operation, "item"]}
        return
    summary, _, rest = operation.doc.partition("\n")
    described: dict[str, Any] = {
        "operationId": operation.qualified,
        "tags": [operation.endpoint.name],
        "summary": summary,
        "description": rest.strip(),
        "responses": {
            "200": {
                "description": "Success.",
                "content": {
                    "text/event-stream" if operation.stream else "application/json": {
                        "schema": schemas[operation, "item" if operation.stream else "reply"]
                    }
                },
            },
            **{
                status: {
                    "description": text,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, text in _ERRORS.items()
            },
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in operation.parameters
    ]
    if (operation, "query") in schemas:
        query = _resolved(schemas[operation, "query"], definitions)
        required = query.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if parameters:
        described["parameters"] = parameters
    if (operation, "body") in schemas:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[operation, "body"]}},
        }
    previous = path.get(method)
    path[method] = described
    if previous is not None:  # the streaming twin was declared first
        described["responses"]["200"]["content"] |= previous["responses"]["200"]["content"]


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema
