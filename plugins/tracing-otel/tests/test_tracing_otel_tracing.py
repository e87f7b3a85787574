from __future__ import annotations

import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jan_core.inprocess import client
from jan_core.refusal import Refusal
from jan_core.testing.wired import wired
from tests.parts import chat_body

PLUGIN = {"tracing-otel": "jan_tracing_otel"}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.anyio
async def test_the_server_is_described(traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=x")
    async with traced() as jan, client(jan) as http:
        await http.get("/models")
    async with traced(service_name="mine") as jan, client(jan) as http:
        await http.get("/models")
    first, last = collector.spans[0], collector.spans[-1]
    assert first.resource["service.name"] == "x"
    assert first.resource["deployment.environment.name"] == "test"
    assert {"service.version", "process.pid", "telemetry.sdk.name"} <= set(first.resource)
    assert (last.resource["service.name"], last.scope) == ("mine", "jan_tracing_otel")
    assert first.resource["service.instance.id"] != last.resource["service.instance.id"]


@pytest.mark.anyio
async def test_spans_are_sent_while_the_app_runs(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        await http.get("/models")
        collector.wait(2)
    assert collector.paths[0] == "/v1/traces"


@pytest.mark.anyio
async def test_the_variables_say_where_to(tmp_path: Path, collector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    async with wired(tmp_path, plugins=PLUGIN) as jan, client(jan) as http:
        await http.get("/models")
    assert len(collector.spans) == 2
    assert collector.headers[0]["api-key"] == "k"


@pytest.mark.anyio
async def test_tracing_that_the_environment_turns_off_costs_nothing(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type(traced().chat).__name__ == "WrappedChat"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    jan = traced()
    assert type(jan.chat).__name__ != "WrappedChat"
    async with jan, client(jan) as http:
        await http.get("/models")
    assert collector.paths == []


@pytest.mark.anyio
async def test_a_share_of_the_traces_is_kept_whole(traced: Any, collector: Any) -> None:
    async with traced(sample=0.5) as jan, client(jan) as http:
        for _ in range(100):
            await http.get("/models")
    requests = {one.trace for one in collector.spans if one.name == "GET /v1/models"}
    assert 20 < len(requests) < 80
    assert requests == {one.trace for one in collector.spans if one.name == "models.list"}


@pytest.mark.anyio
async def test_a_collector_that_is_down_costs_one_warning_and_no_request(
    traced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        jan = traced(endpoint=f"http://127.0.0.1:{port}", queue_spans=10, shutdown_seconds=10.0)
        async with jan, client(jan) as http:
            for _ in range(50):
                reply = await http.post("/chat/completions", json=chat_body("hi"))
                assert reply.status_code == 200
    told = warnings(caplog)
    assert len(told) == 2
    assert f"traces do not reach http://127.0.0.1:{port}/v1/traces: " in told[0]
    assert told[1] == f"100 spans were never sent to http://127.0.0.1:{port}/v1/traces"


@pytest.mark.anyio
async def test_a_collector_that_hangs_holds_neither_a_request_nor_the_end(
    traced: Any, collector: Any, caplog: pytest.LogCaptureFixture
) -> None:
    collector.holds = threading.Event()
    jan = traced(shutdown_seconds=0.2)
    async with jan, client(jan) as http:
        for _ in range(5):
            assert (await http.post("/chat/completions", json=chat_body("hi"))).status_code == 200
        began = time.monotonic()
    assert 0.19 < time.monotonic() - began < 5
    collector.holds.set()


@pytest.mark.anyio
async def test_a_collector_that_comes_back_gets_what_waited(traced: Any, collector: Any) -> None:
    collector.answers, collector.retry_after = [503, 503], "0"
    async with traced() as jan, client(jan) as http:
        await http.get("/models")
        collector.wait(2)
    assert len(collector.spans) == 2


@pytest.mark.anyio
async def test_traces_go_to_a_file_that_a_collector_can_read(tmp_path: Path) -> None:
    settings = {"tracing-otel": {"exporter": "file", "file": "logs/traces.jsonl"}}
    async with wired(tmp_path, settings, plugins=PLUGIN) as jan, client(jan) as http:
        await http.post("/chat/completions", json=chat_body("secret"))
    text = (tmp_path / "logs" / "traces.jsonl").read_text()
    spans = [
        span
        for line in text.splitlines()
        for of_resource in json.loads(line)["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]
    assert [span["name"] for span in spans] == ["chat scripted", "POST /v1/chat/completions"]
    assert "secret" not in text


@pytest.mark.anyio
async def test_traces_go_to_the_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with wired(tmp_path, {"tracing-otel": {"exporter": "console"}}, plugins=PLUGIN) as jan, client(jan) as http:
        await http.post("/chat/completions", json=chat_body("hi"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["chat scripted", "POST /v1/chat/completions"]
    assert lines[0]["parent"] == lines[1]["span"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"exporter": "grpc"}, "exporter"),
        ({"endpoint": "localhost:4318"}, "endpoint"),
        ({"endpoint": "http://c/x?key=1"}, "endpoint"),
        ({"sample": 1.5}, "sample"),
        ({"smaple": 1}, "smaple"),
        ({"content": "yes"}, "content"),
        ({"flush_seconds": 0}, "flush_seconds"),
    ],
)
def test_a_bad_setting_refuses_the_start(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal) as refused:
        wired(tmp_path, {"tracing-otel": settings}, plugins=PLUGIN)
    assert f"[tracing-otel] {named}" in refused.value.facts()["asked"]


def test_a_path_is_added_to_an_endpoint_that_has_none(traced: Any) -> None:
    def url(endpoint: str) -> str:
        jan = traced(endpoint=endpoint)
        return str(next(iter(jan.backends.values())).url)

    assert url("http://c:1") == url("http://c:1/") == "http://c:1/v1/traces"
    assert url("https://c/otlp/v1/traces") == "https://c/otlp/v1/traces"
