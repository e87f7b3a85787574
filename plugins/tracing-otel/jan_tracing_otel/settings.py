"""The table `[tracing-otel]`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class Settings(Described):
    """`[tracing-otel]` of `jan.toml`: where traces go, how many, and what is in them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    exporter: Literal["otlp", "file", "console"] = "otlp"
    """Where traces go: `otlp` to a collector; for trying it out `file`, into a file of OTLP as JSON lines, or
    `console`, a line for each span on standard output."""
    endpoint: str = Field(default="", pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$")
    """The collector's address, OTLP over HTTP; `/v1/traces` is added where it has no path. Where it is left out, that
    of the variables `OTEL_EXPORTER_OTLP_…`, else `http://localhost:4318`."""
    file: str = Field(default="traces.jsonl", pattern=r"^[^\x00]+$")
    """For `exporter = "file"`: the file to append to; a path that does not begin at the top begins in the root."""
    service_name: str = ""
    """The name of this server in the traces. Where it is left out, that of `OTEL_SERVICE_NAME`, else `jan`."""
    sample: float | None = Field(default=None, ge=0, le=1)
    """The share of the traces that begin here which is kept; a request that says it belongs to a trace is kept as that
    trace is. Where it is left out, that of `OTEL_TRACES_SAMPLER`, else 1."""
    content: bool = False
    """Add prompts and answers, messages of errors and stop strings. They are private: off unless you need them."""
    internal: bool = False
    """Also trace the operations without a route, such as looking a model up."""
    flush_seconds: float = Field(default=2, gt=0, le=3600)
    """Longest time that a span waits for others to be sent with it."""
    queue_spans: int = Field(default=8192, ge=1, le=1_000_000)
    """Spans that wait while they cannot be sent; further ones are lost, and counted."""
    queue_mib: int = Field(default=32, ge=1, le=65536)
    """Memory for them, in MiB."""
    timeout_seconds: float = Field(default=10, gt=0, le=600)
    """Longest time for the collector to answer."""
    shutdown_seconds: float = Field(default=3, ge=0, le=600)
    """Longest time to send what is left when the server stops."""
