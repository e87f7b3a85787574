"""Threads with messages, written into a root as the page on the folder describes them."""

from __future__ import annotations

import json
from pathlib import Path

BEGAN = 1_700_000_000
"""When the first thread of a root was made; each further one a second later."""


def thread_id(number: int) -> str:
    """The id of a root's thread, from 0."""
    return f"jan-{BEGAN + number}-{number:014d}"


def message(thread: str, number: int) -> bytes:
    """The line of one message, of some 400 bytes as a person's usually are."""
    text = f"Message {number}: what would you say of a walk by the river, now that the rain has ended and all is green?"
    stored = {
        "id": f"msg_{number:024d}",
        "object": "thread.message",
        "created_at": BEGAN + number,
        "thread_id": thread,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": BEGAN + number,
        "incomplete_at": None,
        "role": "assistant" if number % 2 else "user",
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }
    return json.dumps(stored, separators=(",", ":")).encode()


def make_threads(root: Path, count: int, messages: int = 0, first: int = 0) -> list[str]:
    """Write threads and give their ids, in the order of their making.

    Args:
        root: the root folder.
        count: how many threads.
        messages: how many messages in each; with 0 there is no file for them.
        first: the number of the first one.
    """
    made = []
    for number in range(first, first + count):
        name = thread_id(number)
        folder = root / "threads" / name
        folder.mkdir(parents=True)
        stored = {"id": name, "object": "thread", "created_at": BEGAN + number, "tool_resources": None, "metadata": {}}
        (folder / "thread.json").write_text(json.dumps(stored, indent=2))
        if messages:
            lines = b",\n".join(message(name, one) for one in range(messages))
            (folder / "messages.json").write_bytes(b"[\n" + lines + b"\n]\n")
        made.append(name)
    return made
