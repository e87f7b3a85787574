"""A collector, as the traces see one: a small HTTP server that decodes what it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from jan_core.app import Jan
from jan_core.testing.wired import EVERYTHING, KERNEL, wired

PLUGIN = {"tracing-otel": "jan_tracing_otel"}


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


def pairs(attributes: Any) -> dict[str, Any]:
    found = {one.key: value_of(one.value) for one in attributes}
    assert len(found) == len(attributes), f"an attribute is told twice: {[one.key for one in attributes]}"
    return found


class Received:
    """A span as the collector got it."""

    def __init__(self, span: Any, resource: dict[str, Any], scope: str) -> None:
        self.raw = span
        self.name: str = span.name
        self.kind: int = span.kind
        self.trace: str = span.trace_id.hex()
        self.id: str = span.span_id.hex()
        self.parent: str = span.parent_span_id.hex()
        self.told = pairs(span.attributes)
        self.events = {one.name: pairs(one.attributes) for one in span.events}
        self.at = {one.name: one.time_unix_nano for one in span.events}
        self.failed: bool = span.status.code == 2
        self.message: str = span.status.message
        self.resource = resource
        self.scope = scope

    def __repr__(self) -> str:
        return f"<{self.name} {self.told}>"


class Collector:
    """A server for OTLP over HTTP. `answers` are the statuses of its next replies; 200 when they are used up."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.raw = b""
        self.answers: list[int] = []
        self.retry_after = ""
        self.holds: threading.Event | None = None
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.holds is not None:
                    collector.holds.wait(60)
                status = collector.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                self.send_response(status)
                if collector.retry_after and status != 200:
                    self.send_header("retry-after", collector.retry_after)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self._changed:
            self.paths.append(path)
            self.headers.append(headers)
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                self.raw += body
                asked = ExportTraceServiceRequest.FromString(body)
                for of_resource in asked.resource_spans:
                    resource = pairs(of_resource.resource.attributes)
                    for of_scope in of_resource.scope_spans:
                        self.spans += [Received(one, resource, of_scope.scope.name) for one in of_scope.spans]
            self._changed.notify_all()
        return status

    def wait(self, count: int) -> list[Received]:
        """At least so many spans, within half a minute."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, 30), f"{count} spans; got {self.spans}"
            return list(self.spans)

    def asked(self, count: int) -> None:
        """Return when at least so many requests came, within half a minute."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.paths) >= count, 30)

    def named(self, name: str) -> Received:
        """The one span of this name."""
        found = [one for one in self.spans if one.name == name]
        assert len(found) == 1, f"{name} among {self.spans}"
        return found[0]

    def close(self) -> None:
        if self.holds is not None:
            self.holds.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests says nothing about traces."""
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def traced(tmp_path: Path, collector: Collector) -> Any:
    """Builds an app whose traces go to the collector; settings as keywords."""

    def build(
        plugins: dict[str, str] | None = None,
        modules: dict[str, str] | None = None,
        endpoints: dict[str, str] | None = None,
        **settings: Any,
    ) -> Jan:
        table = {"endpoint": collector.url, "flush_seconds": 0.05, **settings}
        tables = {"tracing-otel": table, "server": {"log_requests": False}}
        return wired(
            tmp_path,
            tables,
            modules={**EVERYTHING, **(modules or {})},
            plugins=plugins or PLUGIN,
            endpoints=endpoints or KERNEL,
        )

    return build
