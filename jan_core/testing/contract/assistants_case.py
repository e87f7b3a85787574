"""An app with assistants under test, and short names for what the clauses do most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jan_core.endpoint import Endpoint
from jan_core.endpoints.assistants import Assistants
from jan_core.schemas.assistants import Assistant, AssistantRequest, AssistantUpdate
from jan_core.schemas.pages import PageQuery
from jan_core.testing.contract.case import Case
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.objects_case import ObjectsCase
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import AssistantWatch, ListByTimeWatch

FULL: dict[str, Any] = {
    "model": "some/model",
    "name": "Shakespeare",
    "description": "Writes plays.",
    "instructions": "Answer in verse.",
    "reasoning_effort": "low",
    "tools": [
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"max_num_results": 5}},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "a": [1, None, {"b": 0.5}]}}},
    ],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1", "file-2"]}},
    "metadata": {"k" * 64: "v" * 512, "": ""},
    "temperature": 0.5,
    "top_p": 0.9,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "avatar": "🧮",
}
"""Every field that an assistant may have, but where its threads lie, which says something to stores of files only."""
SETTINGS = frozenset({"model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort"})
"""Those that say how a model answers."""
BARE: dict[str, Any] = {
    "object": "assistant",
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "tool_resources": None,
    "metadata": {},
    "temperature": None,
    "top_p": None,
    "response_format": None,
}
"""What is told of an assistant that was given a model only, besides that, its id and its time."""


class AssistantsCase(ObjectsCase):
    """An app with assistants under test."""

    kind: ClassVar[str] = "assistant"
    schema: ClassVar[Any] = Assistant
    new: ClassVar[Any] = AssistantRequest
    change: ClassVar[Any] = AssistantUpdate
    query: ClassVar[Any] = PageQuery
    required: ClassVar[Mapping[str, Any]] = {"model": "scripted"}
    named: ClassVar[str] = "name"

    async def settings(self, id: str) -> dict[str, Any]:
        """What the assistant itself sets."""
        found: dict[str, Any] = {}
        for layer in reversed(await self.ask("assistants.layers", id)):
            found |= {name: value for name, value in layer.values.items() if value is not None}
        return found


class OfAssistants(Contract):
    """What the parts of the contract share."""

    endpoint: ClassVar[type[Endpoint]] = Assistants
    letter: ClassVar[str] = "A"
    case: ClassVar[type[Case]] = AssistantsCase
    live: ClassVar[Mapping[str, type[Watch]]] = {
        "create": AssistantWatch,
        "update": AssistantWatch,
        "list": ListByTimeWatch,
    }
