from __future__ import annotations

from pathlib import Path

import httpx2

from tests.e2e.server import LINUX, MODEL, JanServer, write_config

from .conftest import Page


@LINUX
def test_a_real_model_is_measured(root: Path) -> None:
    write_config(root, plugins={"use": ["metrics-prometheus"]})
    with JanServer(root) as server:
        client = server.client()
        hello = {"role": "user", "content": "Say hello."}
        whole = client.chat.completions.create(model=MODEL, messages=[hello], max_tokens=8)  # type: ignore[list-item]
        assert whole.usage is not None
        events = list(client.chat.completions.create(model=MODEL, messages=[hello], max_tokens=8, stream=True))  # type: ignore[call-overload]
        reply = httpx2.get(f"http://127.0.0.1:{server.port}/metrics", timeout=60)
        page = Page(reply.text)
    assert reply.headers["content-type"].startswith("text/plain")
    assert page.value("jan:prompt_tokens_total", model=MODEL) == 2 * whole.usage.prompt_tokens
    assert page.value("jan:generation_tokens_total", model=MODEL) >= whole.usage.completion_tokens
    assert page.value("jan:time_to_first_token_seconds_count", model=MODEL) == 1
    assert 0 < page.value("jan:inter_token_latency_seconds_count", model=MODEL) < len(events)
    loaded = {"model": MODEL, "engine": "llamacpp", "purpose": ""}
    assert page.value("jan:engine_models", engine="llamacpp", state="loaded") == 1
    assert page.value("jan:engine_slots", **loaded) >= 1
    assert page.value("jan:engine_memory_bytes", **loaded) > 10_000_000
    assert page.value("jan:num_requests_running", **loaded) == 0
    assert page.value("jan:http_requests_total", route="/v1/chat/completions", status="200") == 2
    assert page.value("process_resident_memory_bytes") > 10_000_000
