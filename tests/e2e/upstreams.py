"""What the end-to-end tests of upstreams share: a Jan in front, and what its clients ask."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai

from tests.e2e.server import JanServer
from tests.upstreams import front
from tests.upstreams.process import Upstream

MODEL = "scripted"
SECRET = "sk-very-secret-0123456789"
OTHER_SECRET = "sk-another-secret-9876543210"


def jan_before(root: Path, *upstreams: Upstream | Mapping[str, Any], **settings: Any) -> JanServer:
    """A Jan in front of these."""
    return JanServer(front.write(root, *upstreams, **settings))


def said(text: str) -> Any:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def script(*pieces: str, **more: Any) -> Any:
    """A conversation whose answer are these pieces; see `tests.upstreams.scripted`."""
    return said(json.dumps({"say": list(pieces), **more}))


def read(stream: Any) -> tuple[str, str | None]:
    """Text and reason of a stream of one choice, read to its end."""
    text, reason = "", None
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


def asked(client: openai.OpenAI, messages: Any, **more: Any) -> str:
    """The text of a plain answer."""
    made = client.chat.completions.create(model=more.pop("model", MODEL), messages=messages, **more)
    return made.choices[0].message.content or ""


def streamed(client: openai.OpenAI, messages: Any, **more: Any) -> tuple[str, str | None]:
    """Text and reason of a streamed answer."""
    model = more.pop("model", MODEL)
    with client.chat.completions.create(model=model, messages=messages, stream=True, **more) as stream:
        return read(stream)


def resident(pid: int) -> float:
    """MB of memory that a process has in RAM now."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def everything_written(server: JanServer) -> str:
    """All that a server has written so far, on either output."""
    return "\n".join([*server.stdout, *server.stderr])
