"""The request as another server is asked it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jan_upstreams.choosing import of_messages

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest

REFUSED: dict[str, str] = {
    "functions": "the older form of tools: give `tools`",
    "function_call": "the older form of tools: give `tool_choice`",
    "audio": "spoken answers",
    "prediction": "predicted output",
    "web_search_options": "web search",
    "moderation": "moderation",
    "store": "kept completions",
}
"""Fields that many servers pass over in silence, or whose answers Jan has no place for, and what they mean."""
OWN = frozenset({"model", "stream", "stream_options", "store", "metadata", "n"})
"""Fields that are not handed on as they are."""


def refuse(body: ChatCompletionRequest) -> None:
    """Refuse what is not done through another server.

    Raises:
        NotSupported: naming the field.
    """
    for name, what in REFUSED.items():
        if getattr(body, name):
            raise NotSupported(f"{name}: chat-openai does not do {what}; leave {name!r} out.", param=name)
    if body.modalities is not None and body.modalities != ["text"]:
        raise NotSupported('modalities: chat-openai answers in text; give ["text"] or nothing.', param="modalities")


def asked(body: ChatCompletionRequest, model: str) -> dict[str, Any]:
    """What another server is asked: a stream of one answer that tells its usage.

    Args:
        body: what Jan was asked. Each of several answers is asked for by itself, since servers count them differently.
        model: the model's own id.
    """
    given = body.model_dump(mode="json", exclude_none=True, exclude_unset=True, exclude=set(OWN))
    # What the API does not know goes as it came: a null may mean something to its server.
    given |= body.model_extra or {}
    return {"model": model, **given, "stream": True, "stream_options": {"include_usage": True}}


def encoded(request: dict[str, Any], index: int = 0) -> bytes:
    """A request as JSON.

    Args:
        request: what is asked.
        index: which answer it is for; with a seed, each gets one of its own.
    """
    if index and "seed" in request:
        request = {**request, "seed": (request["seed"] + index) % 2**31}
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def key_of(request: dict[str, Any]) -> bytes:
    """What the server is chosen by: the conversation."""
    return of_messages(request["model"], request["messages"])
