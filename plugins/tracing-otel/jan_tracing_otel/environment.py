"""What the variables say that every program with OpenTelemetry reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from jan_core.refusal import Refusal

DEFAULT_ENDPOINT = "http://localhost:4318"
"""Where a collector on this machine listens."""
PATH = "v1/traces"
"""What is added to the address of a collector."""
SAMPLERS = ("always_on", "always_off", "traceidratio")
"""The samplers that are known; each also with `parentbased_` before it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found.

    Attributes:
        disabled: `OTEL_SDK_DISABLED`: no traces at all.
        endpoint: where batches are posted.
        headers: headers of each request to the collector.
        compress: whether batches are compressed.
        certificate: a file with certificates to believe; may be empty.
        client: files with an own certificate and its key; may be empty.
        resource: the attributes that describe this server.
        sample: share of the traces to keep.
        follow: whether a trace that comes with a request is kept as that request says.
    """

    disabled: bool
    endpoint: str
    headers: Mapping[str, str]
    compress: bool
    certificate: str
    client: tuple[str, str]
    resource: Mapping[str, str]
    sample: float
    follow: bool


def read(environ: Mapping[str, str]) -> Environment:
    """Read the variables.

    Args:
        environ: the process's environment.

    Raises:
        Refusal: one has a value that cannot be followed.
    """

    def otlp(name: str) -> str:
        return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}") or ""

    protocol = otlp("PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        _refuse("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "jan-tracing-otel speaks http/protobuf only", "http/protobuf")
    compression = otlp("COMPRESSION")
    if compression not in ("", "none", "gzip"):
        _refuse("OTEL_EXPORTER_OTLP_COMPRESSION", compression, "that compression is not known", "gzip, or none")
    own = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    endpoint = own or with_path(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT)
    if urlsplit(endpoint).scheme not in ("http", "https"):
        name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" if own else "OTEL_EXPORTER_OTLP_ENDPOINT"
        _refuse(name, endpoint, "that is no address", "the collector's, such as http://localhost:4318")
    sample, follow = _sampler(environ)
    resource = _pairs(environ, "OTEL_RESOURCE_ATTRIBUTES", environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if environ.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = environ["OTEL_SERVICE_NAME"]
    return Environment(
        disabled=environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
        endpoint=endpoint,
        headers=_pairs(environ, "OTEL_EXPORTER_OTLP_HEADERS", otlp("HEADERS")),
        compress=compression == "gzip",
        certificate=otlp("CERTIFICATE"),
        client=(otlp("CLIENT_CERTIFICATE"), otlp("CLIENT_KEY")),
        resource=resource,
        sample=sample,
        follow=follow,
    )


def with_path(base: str) -> str:
    """The address to which traces are posted, of a collector's."""
    return f"{base.rstrip('/')}/{PATH}"


def _sampler(environ: Mapping[str, str]) -> tuple[float, bool]:
    name = environ.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    bare = name.removeprefix("parentbased_")
    if bare not in SAMPLERS:
        _refuse("OTEL_TRACES_SAMPLER", name, "that sampler is not known", f"one of {', '.join(SAMPLERS)}")
    share = 1.0
    if bare == "traceidratio":
        given = environ.get("OTEL_TRACES_SAMPLER_ARG") or "1"
        try:
            share = float(given)
        except ValueError:
            share = -1
        if not 0 <= share <= 1:
            _refuse("OTEL_TRACES_SAMPLER_ARG", given, "that is no share", "a number from 0 to 1")
    elif bare == "always_off":
        share = 0.0
    return share, bare != name


def _pairs(environ: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """`a=1,b=2`, with values in the percent encoding of URLs."""
    found = {}
    for one in filter(None, map(str.strip, text.split(","))):
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            # The value is not shown: headers hold keys.
            _refuse(name, "…", "a part of it is not of the form name=value", "such as name=value,other=value")
        found[key.strip()] = unquote(value.strip())
    return found


def _refuse(name: str, value: str, cause: str, remedy: str) -> None:
    raise Refusal(f"{name} = {value!r} (environment)", cause, f"Set it to {remedy}, or unset it.")
