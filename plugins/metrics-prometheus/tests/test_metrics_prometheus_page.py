from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from jan_core import __version__
from jan_core.backend import Engine
from jan_core.schemas.engines import EngineModel

from .conftest import served


class NoSettings(BaseModel):
    """None."""


class TwoModels(Engine):
    """An engine with models in every state."""

    name = "jan-two"
    engine = "two"
    settings_model = NoSettings

    def loaded(self) -> list[EngineModel]:
        given: dict[str, Any] = {"engine": "two", "pid": 1, "context": 1, "pinned": False, "idle_since": 1, "until": 1}
        busy = {"state": "loaded", "memory": 1000, "estimated": 2000, "slots": 4, "busy": 3, "waiting": 5}
        comes = {"state": "loading", "memory": None, "estimated": 500, "slots": 4, "busy": 0, "waiting": 1}
        return [
            EngineModel.model_validate({"id": "a", "purpose": "", **given, **busy}),
            EngineModel.model_validate({"id": "a", "purpose": "embeddings", **given, **comes}),
        ]

    async def load(self, location: Any, purpose: str = "") -> EngineModel:
        raise NotImplementedError

    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[EngineModel]:
        raise NotImplementedError

    def estimate(self, location: Any, purpose: str = "") -> Any:
        raise NotImplementedError


@pytest.mark.anyio
async def test_the_page_is_in_the_format_of_prometheus(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.page()
        text = (await one.page()).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    expected = {
        "jan:prompt_tokens": "counter",
        "jan:generation_tokens": "counter",
        "jan:request_success": "counter",
        "jan:time_to_first_token_seconds": "histogram",
        "jan:inter_token_latency_seconds": "histogram",
        "jan:e2e_request_latency_seconds": "histogram",
        "jan:num_requests_running": "gauge",
        "jan:num_requests_waiting": "gauge",
        "jan:http_requests": "counter",
        "jan:http_request_duration_seconds": "histogram",
    }
    assert {name: families[name].type for name in expected} == expected
    assert all(family.documentation for family in families.values())
    assert all(name.startswith(("jan:", "process_")) for name in families)
    (version,) = families["jan:build_info"].samples
    assert version.labels == {"version": __version__}
    assert ("process_resident_memory_bytes" in families) == (sys.platform == "linux")
    first = [sample for sample in families["jan:http_requests"].samples if sample.labels["route"] == "/metrics"]
    assert [sample.value for sample in first] == [1]


@pytest.mark.anyio
async def test_engines_are_shown_as_they_are(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        one.jan.backends[TwoModels] = TwoModels(NoSettings(), one.jan)
        page = await one.page()
    here = {"model": "a", "engine": "two", "purpose": ""}
    assert page.value("jan:num_requests_running", **here) == 3
    assert page.value("jan:num_requests_waiting", **here) == 5
    assert page.value("jan:num_requests_waiting", engine="two") == 6
    assert page.value("jan:engine_slots", **here) == 4
    assert page.value("jan:engine_memory_bytes") == 1000
    assert page.value("jan:engine_memory_estimated_bytes", purpose="embeddings") == 500
    assert page.value("jan:engine_models", engine="two", state="loaded") == 1
    assert page.value("jan:engine_models", engine="two", state="loading") == 1
    assert page.value("jan:engine_models", engine="two", state="waiting") == 0
    assert page.labels("jan:engine_models", "state") == {"waiting", "loading", "loaded"}


@pytest.mark.anyio
async def test_it_may_be_elsewhere_and_without_the_process(tmp_path: Path) -> None:
    async with served(tmp_path, {"path": "/own/numbers", "process": False}) as one:
        page = await one.page("/own/numbers")
        assert (await one.http.get("http://localhost/metrics")).status_code == 404
    assert "process_" not in page.text


@pytest.mark.anyio
async def test_whatever_the_reader_accepts_it_gets_the_text(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for accept in ("text/plain;version=abc", "application/openmetrics-text;version=x", "", "*/*;q=zzz"):
            reply = await one.http.get("http://localhost/metrics", headers={"accept": accept})
            assert reply.status_code == 200
            assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert (await one.http.post("http://localhost/metrics", json={})).status_code == 405
        assert not (await one.http.get("http://localhost/metrics", headers={"accept": "x"})).text.count("# EOF")
