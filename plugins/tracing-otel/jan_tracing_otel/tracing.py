"""The tracing of one app: where its spans go, and for how long."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
from contextlib import suppress
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_core.backend import Backend
from jan_tracing_otel import environment
from jan_tracing_otel.destinations import Collector, Console, File
from jan_tracing_otel.encoding import Encoding, Json, Plain, Protobuf
from jan_tracing_otel.sending import Destination, Sender, log
from jan_tracing_otel.settings import Settings
from jan_tracing_otel.spans import Span

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.asgi import Routes

MIB = 1024 * 1024


class Tracing(Backend):
    """Takes the spans of one app, and sends them from the moment it is entered until it is closed.

    Attributes:
        on: False where `OTEL_SDK_DISABLED` turns tracing off.
        content: whether what people write is noted.
        internal: whether operations without a route are.
        sample: share of the traces to keep, from 0 to 1.
        follow: whether a trace that comes with a request is kept as that request says.
        encoding: how spans are written.
        sender: where they wait.
    """

    name: ClassVar[str] = "tracing-otel"
    settings_model = Settings

    def __init__(self, settings: Settings, jan: Jan) -> None:
        super().__init__(settings, jan)
        found = environment.read(os.environ)
        self.on = not found.disabled
        self.content = settings.content
        self.internal = settings.internal
        self.sample = found.sample if settings.sample is None else settings.sample
        self.follow = found.follow
        self._puzzled = False
        self._bound = round(self.sample * 2**64)
        self._shutdown = settings.shutdown_seconds
        resource = _resource(settings, found)
        own = version("jan-tracing-otel")
        encoding: Encoding = Plain()
        if settings.exporter != "console":
            encoding = (Protobuf if settings.exporter == "otlp" else Json)(resource, own)
        self.encoding = encoding
        self.url = _url(settings.endpoint) if settings.endpoint else found.endpoint
        path = jan.root / os.path.expanduser(settings.file)

        def destination() -> Destination:
            if settings.exporter == "console":
                return Console(encoding)
            if settings.exporter == "file":
                return File(path, encoding)
            return Collector(
                self.url,
                encoding,
                headers=found.headers,
                timeout=settings.timeout_seconds,
                compress=found.compress,
                certificate=found.certificate,
                client=found.client,
            )

        self.destination = destination
        named = {"otlp": self.url, "file": str(path), "console": Console.name}
        self.sender = Sender(
            destination,
            self._encode,
            named[settings.exporter],
            flush_seconds=settings.flush_seconds,
            spans=settings.queue_spans,
            size=settings.queue_mib * MIB,
        )

    @property
    def routes(self) -> Routes | None:
        """The routes of the app."""
        return self.jan.routes

    def _encode(self, span: Span) -> bytes:
        span.identify()
        try:
            span.late(span)
        except Exception as error:  # a reply of another make than any that is known: the span is sent all the same
            if not self._puzzled:
                self._puzzled = True
                log.warning("spans of %s say little: %s: %s", span.name, type(error).__name__, error)
        return self.encoding.span(span)

    def keeps(self, trace_id: bytes) -> bool:
        """Whether a trace that begins here is kept; other servers with the same share decide the same."""
        return int.from_bytes(trace_id[8:], "big") < self._bound

    async def __aenter__(self) -> Self:
        if self.on:
            self.sender.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def told(_: object) -> None:
            with suppress(RuntimeError):  # the loop may have gone by now
                loop.call_soon_threadsafe(ended.set)

        self.sender.stop().add_done_callback(told)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._shutdown):
                await ended.wait()
        left = len(self.sender) + self.sender.lost
        if left:
            log.warning("%d spans were never sent to %s", left, self.sender.name)


def _url(endpoint: str) -> str:
    from urllib.parse import urlsplit

    return endpoint if urlsplit(endpoint).path.strip("/") else environment.with_path(endpoint)


def _resource(settings: Settings, found: environment.Environment) -> dict[str, Any]:
    told = {
        "service.name": "jan",
        "service.version": version("jan-core"),
        "service.instance.id": secrets.token_hex(8),
        "telemetry.sdk.name": "jan-tracing-otel",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version("jan-tracing-otel"),
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }
    told |= found.resource
    if settings.service_name:
        told["service.name"] = settings.service_name
    return told
