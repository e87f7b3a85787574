"""Roots as the Jan desktop app leaves them: one of an older version, one of a newer."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GGUF = b"GGUF" + bytes(60)

OLD_THREAD = "jan_1700000000"
NEW_THREAD = "0f0f3a52-1f3c-4f5e-9d0c-6a6c7e5f1a2b"


def write(path: Path, value: Any) -> Path:
    """A file with this content; what is no bytes and no text is written as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2), "utf-8")
    return path


def lines(*messages: Any) -> str:
    """A `messages.jsonl`; a text is a line as it stands."""
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in messages)


def said(role: str, value: str, number: int, thread: str = OLD_THREAD, **more: Any) -> dict[str, Any]:
    """A message as an older app wrote it: milliseconds, `created` and `updated`, `ready`."""
    at = 1_700_000_000_000 + number * 1000
    return {
        "id": f"01HF{number:022d}",
        "thread_id": thread,
        "type": "chat",
        "role": role,
        "content": [{"type": "text", "text": {"value": value, "annotations": []}}],
        "status": "ready",
        "created": at,
        "updated": at + 500,
        "object": "thread.message",
        **more,
    }


def older(folder: Path) -> Path:
    """A root of an older app: `model.json` with `sources`, milliseconds, assistants inside of `thread.json`."""
    write(
        folder / "assistants" / "jan" / "assistant.json",
        {
            "avatar": "",
            "id": "jan",
            "object": "assistant",
            "created_at": 1_699_000_000_000,
            "name": "Jan",
            "description": "A default assistant that can use all downloaded models",
            "model": "*",
            "instructions": "",
            "tools": [{"type": "retrieval", "enabled": False, "settings": {"top_k": 2}}],
            "file_ids": [],
        },
    )
    model = {"id": "tiny-q4", "settings": {"ctx_len": 2048}, "parameters": {"temperature": 0.3, "stream": True}}
    write(
        folder / "threads" / OLD_THREAD / "thread.json",
        {
            "id": OLD_THREAD,
            "object": "thread",
            "title": "Cats",
            "assistants": [
                {
                    "assistant_id": "jan",
                    "assistant_name": "Jan",
                    "model": {**model, "engine": "nitro"},
                    "instructions": "Be brief.",
                }
            ],
            "created": 1_700_000_000_000,
            "updated": 1_700_000_009_000,
            "metadata": {"lastMessage": "Yes."},
        },
    )
    write(
        folder / "threads" / OLD_THREAD / "messages.jsonl",
        lines(
            said("user", "Is a cat tame?", 1, assistant_id="jan"),
            said("assistant", "Yes.", 2, assistant_id="jan"),
            said("user", "Sure?", 3),
            said("assistant", "Qui", 4, status="stopped"),
        ),
    )
    write(
        folder / "models" / "tiny-q4" / "model.json",
        {
            "sources": [{"filename": "tiny.Q4.gguf", "url": "https://models.example/tiny.Q4.gguf"}],
            "id": "tiny-q4",
            "object": "model",
            "name": "Tiny",
            "version": "1.0",
            "format": "gguf",
            "settings": {"ctx_len": 4096, "prompt_template": "{prompt}", "llama_model_path": "tiny.Q4.gguf"},
            "parameters": {"temperature": 0.7, "max_tokens": 4096, "stop": [], "stream": True},
            "metadata": {"author": "me", "tags": ["Small"], "size": 64},
            "engine": "nitro",
        },
    )
    write(folder / "models" / "tiny-q4" / "tiny.Q4.gguf", GGUF)
    write(
        folder / "models" / "far-7b" / "model.json",
        {"sources": [{"filename": "far.gguf", "url": "https://models.example/far.gguf"}], "id": "far-7b"},
    )
    write(folder / ".DS_Store", b"\0")
    write(folder / "threads" / ".DS_Store", b"\0")
    return folder


def newer(folder: Path) -> Path:
    """A root of a newer app: `model.yml`, seconds with fractions, parts for thoughts and tools."""
    assistant = {
        "id": "5f1c",
        "name": "Pirate",
        "avatar": "🏴",
        "object": "assistant",
        "created_at": 1_750_000_000.25,
        "description": "Talks like one",
        "instructions": "Talk like a pirate.",
        "model": "*",
        "tools": [],
        "file_ids": [],
        "parameters": {"temperature": 0.9, "top_k": 40, "stream": True},
    }
    write(folder / "assistants" / "5f1c" / "assistant.json", assistant)
    write(
        folder / "threads" / NEW_THREAD / "thread.json",
        {
            "id": NEW_THREAD,
            "object": "thread",
            "title": "Ships",
            "assistants": [{**assistant, "model": {"id": "org/ship/q8", "engine": "llamacpp"}}],
            "model": {"id": "org/ship/q8", "provider": "llamacpp"},
            "updated": 1_750_000_100.5,
            "metadata": {"order": 3, "is_favorite": True},
        },
    )
    common = {"thread_id": NEW_THREAD, "object": "thread.message", "status": "ready"}
    write(
        folder / "threads" / NEW_THREAD / "messages.jsonl",
        lines(
            {
                **common,
                "id": "a1",
                "role": "user",
                "content": [
                    {"type": "text", "text": {"value": "Ahoy?", "annotations": []}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}},
                ],
                "created_at": 1_750_000_001_000,
                "completed_at": 1_750_000_001_000,
                "metadata": {"usage": {"tokens": 3}, "assistant": {**assistant, "instructions": "x" * 600}},
            },
            {
                **common,
                "id": "a2",
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "text": {"value": "He greets me.", "annotations": []}},
                    {"type": "text", "text": {"value": "Ahoy!", "annotations": []}},
                    {"type": "tool_call", "tool_name": "map", "input": {"x": 1}, "output": "land"},
                ],
                "created_at": 1_750_000_002_000,
                "completed_at": 1_750_000_003_000,
                "metadata": {"assistant": assistant, "tokenSpeed": 12.5},
            },
        ),
    )
    write(
        folder / "llamacpp" / "models" / "org" / "ship" / "q8" / "model.yml",
        "embedding: false\nmodel_path: llamacpp/models/org/ship/q8/model.gguf\nname: Ship\nsize_bytes: 64\n",
    )
    write(folder / "llamacpp" / "models" / "org" / "ship" / "q8" / "model.gguf", GGUF)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder, with its time and content: what must not change."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Steps:
    """Progress that keeps what it was told: the steps with their sizes, and the bytes."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        self.told.append((label, total))

    def advance(self, n: int) -> None:
        self.told.append(n)

    def note(self, text: str) -> None:
        self.told.append(text)
