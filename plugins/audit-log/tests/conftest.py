from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai

from jan_core.app import Jan
from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired
from tests.parts import until

PLUGIN = {"audit-log": "jan_audit_log"}


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; each is JSON, and ends."""
    text = path.read_text("utf-8") if path.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class Served:
    """An app with the plugin, and clients of it."""

    def __init__(self, jan: Jan, http: httpx2.AsyncClient, file: Path) -> None:
        self.jan = jan
        self.http = http
        self.file = file
        self.api = openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key="x", http_client=http, max_retries=0, timeout=60
        )

    async def lines(self, count: int) -> list[dict[str, Any]]:
        """The log, waited for until it has so many lines."""
        await until(lambda: len(lines_of(self.file)) >= count)
        return lines_of(self.file)


@asynccontextmanager
async def served(
    tmp_path: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    modules: Mapping[str, str] = EVERYTHING,
    plugins: Mapping[str, str] = PLUGIN,
    **more: Any,
) -> AsyncIterator[Served]:
    """An app with the plugin, in this process."""
    given = dict(settings or {})
    file = tmp_path / given.get("file", "logs/audit.jsonl")
    async with (
        wired(tmp_path, {"audit-log": given}, modules=modules, plugins=plugins, **more) as jan,
        client(jan) as http,
    ):
        yield Served(jan, http, file)
