from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai

from jan_core.app import Jan
from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired

PLUGIN = {"metrics-prometheus": "jan_metrics_prometheus"}
_SAMPLE = re.compile(r"([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Page:
    """The samples of a page of metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if not line.startswith("#"):
                match = _SAMPLE.fullmatch(line)
                assert match is not None, line
                self.samples.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name that have these labels."""
        return sum(value for found, given, value in self.samples if found == name and labels.items() <= given.items())

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label."""
        return {given[label] for found, given, _ in self.samples if found == name and label in given}


class Served:
    """An app with the plugin, and clients of it."""

    def __init__(self, jan: Jan, http: httpx2.AsyncClient) -> None:
        self.jan = jan
        self.http = http
        self.api = openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key="x", http_client=http, max_retries=0, timeout=60
        )

    async def page(self, path: str = "/metrics") -> Page:
        """What Prometheus reads now."""
        reply = await self.http.get(f"http://localhost{path}")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Page(reply.text)


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
    tables = {"metrics-prometheus": settings or {}}
    async with wired(tmp_path, tables, modules=modules, plugins=plugins, **more) as jan, client(jan) as http:
        yield Served(jan, http)
