"""Apps that serve assistants, threads and messages, and requests to them: what the tests of those endpoints share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from jan_core import call
from jan_core.app import Jan
from jan_core.schemas.assistants import AssistantUpdate
from jan_core.schemas.messages import MessageRequest, MessagesQuery
from jan_core.schemas.threads import ThreadRequest, ThreadsQuery
from jan_core.testing.wired import CONVERSATIONS, SCRIPTED, wired
from jan_core.validation import parse, parse_query

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

FOLDER = {
    "assistants-json": "jan_assistants_json",
    "threads-json": "jan_threads_json",
    "messages-json": "jan_messages_json",
}
KINDS: dict[str, dict[str, str]] = {"memory": CONVERSATIONS, "folder": FOLDER}
"""The modules that keep the promises of the three endpoints, by the name of a test's parameter."""


def app(kind: str, root: Path, **tables: Any) -> Jan:
    """An app on the modules of one kind, and the scripted engine."""
    return wired(root, tables, modules={**SCRIPTED, **KINDS[kind]})


def checked(model: type[M], fields: dict[str, Any]) -> M:
    """A body as it comes over HTTP."""
    return parse(model, json.dumps(fields).encode())


def changed_assistant(**fields: Any) -> AssistantUpdate:
    """The body of `assistants.update`."""
    return checked(AssistantUpdate, fields)


def new_thread(**fields: Any) -> ThreadRequest:
    """The body of `threads.create`."""
    return checked(ThreadRequest, fields)


def said(text: str = "hello", **fields: Any) -> MessageRequest:
    """The body of `messages.create`."""
    return checked(MessageRequest, {"role": "user", "content": text, **fields})


def messages_query(**pairs: Any) -> MessagesQuery:
    """The query of `messages.list`."""
    return parse_query(MessagesQuery, {name: str(value) for name, value in pairs.items()})


def threads_query(**pairs: Any) -> ThreadsQuery:
    """The query of `threads.list`; `metadata={"a": "b"}` as in a URL."""
    wanted = pairs.pop("metadata", {})
    texts = {name: str(value) for name, value in pairs.items()}
    return parse_query(ThreadsQuery, {**texts, **{f"metadata[{name}]": value for name, value in wanted.items()}})


async def under(key: str | None, ask: Callable[[], Awaitable[T]]) -> T:
    """What an operation answers in a request with this `Idempotency-Key`."""

    async def request() -> T:
        call.enter(call.Call("req_1", idempotency_key=key))
        return await ask()

    return await asyncio.create_task(request())
