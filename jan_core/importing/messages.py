"""What was said in a thread of a foreign root, as messages of the API."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jan_core.folder.names import is_name
from jan_core.importing.images import as_address
from jan_core.importing.reading import Unreadable, read_array, read_lines
from jan_core.importing.values import fields, items, pairs, seconds, text
from jan_core.schemas.messages import Message

ARRAY, LINES = "messages.json", "messages.jsonl"
"""A thread's messages as Jan keeps them, and as the desktop app does."""

_UNFINISHED = {"pending": "run_expired", "stopped": "run_cancelled", "error": "run_failed"}
_ROLES = {"user": "user", "assistant": "assistant", "tool": "assistant"}


def read_messages(
    folder: Path, thread_id: str, assistants: Mapping[str, str], problems: list[Unreadable], notes: list[str]
) -> list[Message]:
    """Read the messages of a thread.

    Args:
        folder: the thread's foreign folder.
        thread_id: what the thread is called here.
        assistants: what its assistants are called here.
        problems: told of lines that are not to be understood.
        notes: told of what was left out, or changed.

    Returns:
        The messages in their order, each id once.

    Raises:
        Unreadable: the file cannot be read at all.
    """
    path, read = (folder / ARRAY, read_array) if os.path.lexists(folder / ARRAY) else (folder / LINES, read_lines)
    if not os.path.lexists(path):
        return []
    found: dict[str, Message] = {}
    before = int(path.stat().st_mtime)
    for line, raw in read(path):
        if isinstance(raw, Unreadable):
            problems.append(raw)
            continue
        try:
            made = _message(folder, raw, thread_id, before, assistants, notes)
        except ValueError as error:
            problems.append(Unreadable(path, str(error), line))
            continue
        if made.id in found and made != found[made.id]:
            notes.append("a message was there in several versions: the last one counts")
        found[made.id] = made
        before = made.created_at
    return list(found.values())


def _message(
    folder: Path, raw: dict[str, Any], thread_id: str, before: int, assistants: Mapping[str, str], notes: list[str]
) -> Message:
    """One message; without a time of its own it has that of the one `before` it.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    role = raw.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise ValueError(f"the role {json.dumps(role)[:40]} is not one of the API (user, assistant)")
    created = seconds(raw.get("created_at"), raw.get("created"), raw.get("updated"))
    if created is None:
        created = before
        notes.append("a message had no time: it got that of the one before it")
    identity = text(raw.get("id")) or ""
    if not is_name(identity):
        told = json.dumps([thread_id, created, raw.get("id"), raw.get("content")], sort_keys=True)
        identity = "msg_" + hashlib.sha256(told.encode()).hexdigest()[:24]
    metadata = fields(raw.get("metadata"))
    said_by = fields(metadata.get("assistant"))  # newer apps keep the whole assistant with every message
    assistant = text(raw.get("assistant_id"), said_by.get("id"))
    data = {
        "id": identity,
        "thread_id": thread_id,
        "created_at": created,
        "role": _ROLES[role],
        "content": list(_parts(folder, raw.get("content"), notes)),
        "metadata": pairs({name: one for name, one in metadata.items() if one is not said_by}, notes),
        "assistant_id": assistants.get(assistant, assistant) if assistant and role != "user" else None,
        "run_id": text(raw.get("run_id")),
        "attachments": raw.get("attachments") or [],
        **_state(raw, created),
    }
    try:
        return Message.model_validate(data)
    except ValidationError as error:
        wrong = {str(one["loc"][0]) for one in error.errors(include_url=False)}
        if wrong == {"attachments"}:
            notes.append("attachments were left out: they are not as the API has them")
            return Message.model_validate(data | {"attachments": []})
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _state(raw: dict[str, Any], created: int) -> dict[str, Any]:
    """Whether the message is complete; an answer that was never finished broke off."""
    said = raw.get("status")
    ended = seconds(raw.get("completed_at"), raw.get("updated")) or created
    why = text(fields(raw.get("incomplete_details")).get("reason")) or _UNFINISHED.get(str(said))
    if raw.get("role") == "user" or (why is None and said not in ("incomplete", "in_progress")):
        return {"status": "completed", "completed_at": ended}
    at = seconds(raw.get("incomplete_at")) or ended
    reasons = {*_UNFINISHED.values(), "content_filter", "max_tokens"}
    details = {"reason": why if why in reasons else "run_expired"}
    return {"status": "incomplete", "incomplete_at": at, "incomplete_details": details}


def _parts(folder: Path, content: Any, notes: list[str]) -> Iterator[dict[str, Any]]:
    """The parts of a message. What the model thought goes into its text, marked as its template marks it."""
    thought = ""
    for part in [content] if isinstance(content, str | dict) else content if isinstance(content, list) else []:
        kind = fields(part).get("type")
        if kind == "reasoning":
            thought += f"<think>\n{_said(fields(part)).strip()}\n</think>\n\n"
            continue
        for made in _part(folder, part, kind, notes):
            if thought and made["type"] == "text":
                made = _text_part(thought + made["text"]["value"])
                thought = ""
            yield made
    if thought:
        yield _text_part(thought.rstrip())


def _part(folder: Path, part: Any, kind: Any, notes: list[str]) -> Iterator[dict[str, Any]]:
    if isinstance(part, str):
        yield _text_part(part)
    elif not isinstance(part, dict):
        notes.append("a part of a message was left out: it is no object")
    elif kind == "text":
        marks = fields(part.get("text")).get("annotations")
        yield _text_part(
            _said(part), [one for one in items(marks) if one.get("type") in ("file_citation", "file_path")]
        )
    elif kind in ("image", "pdf"):
        if _said(part):
            yield _text_part(_said(part))
        yield from _kept_file(folder, part, notes)
    elif kind == "image_url":
        said = part.get("image_url")
        url = text(said if isinstance(said, str) else fields(said).get("url"))
        if url is None:
            notes.append("an image was left out: it has no address")
            return
        detail = fields(said).get("detail")
        yield {"type": kind, "image_url": {"url": url, **_detail(detail)}}
    elif kind == "image_file" and text(fields(part.get("image_file")).get("file_id")):
        said = fields(part["image_file"])
        yield {"type": kind, "image_file": {"file_id": said["file_id"], **_detail(said.get("detail"))}}
    elif kind == "refusal" and isinstance(part.get("refusal"), str):
        yield {"type": kind, "refusal": part["refusal"]}
    elif kind == "tool_call":
        call = {name: part[name] for name in ("input", "output") if part.get(name) is not None}
        yield _text_part(f"[{text(part.get('tool_name')) or 'tool'}] {json.dumps(call, ensure_ascii=False)}")
    else:
        notes.append("a part of an unknown kind became text")
        yield _text_part(json.dumps(part, ensure_ascii=False))


def _kept_file(folder: Path, part: dict[str, Any], notes: list[str]) -> Iterator[dict[str, Any]]:
    """The file of an older message: an image becomes part of the message, others stay files."""
    marks = fields(part.get("text")).get("annotations")
    named = text(*marks) if isinstance(marks, list) else None
    if part["type"] == "image" and named is not None:
        url = as_address(folder, named)
        if url is not None:
            yield {"type": "image_url", "image_url": {"url": url}}
            return
    notes.append("a file of a message was left out: only its text is here")


def _detail(value: Any) -> dict[str, str]:
    return {"detail": value} if value in ("auto", "low", "high") else {}


def _said(part: dict[str, Any]) -> str:
    said = part.get("text")
    found = said if isinstance(said, str) else fields(said).get("value")
    return found if isinstance(found, str) else ""


def _text_part(said: str, marks: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": {"value": said, "annotations": marks or []}}
