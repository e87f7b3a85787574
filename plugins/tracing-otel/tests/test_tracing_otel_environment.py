from __future__ import annotations

import pytest
from jan_tracing_otel.environment import DEFAULT_ENDPOINT, read, with_path

from jan_core.refusal import Refusal


def test_nothing_said_is_a_collector_on_this_machine_and_every_trace() -> None:
    found = read({})
    assert found.endpoint == f"{DEFAULT_ENDPOINT}/v1/traces"
    assert (found.disabled, found.compress, found.sample, found.follow) == (False, False, 1.0, True)
    assert (found.headers, found.resource, found.certificate, found.client) == ({}, {}, "", ("", ""))


def test_what_is_said_for_traces_goes_before_what_is_said_for_all() -> None:
    general = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=1, b=x%20y",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
    }
    found = read(general)
    assert (found.endpoint, found.headers) == ("http://c:1/v1/traces", {"a": "1", "b": "x y"})
    assert (found.compress, found.certificate) == (True, "ca.pem")
    own = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d:2/otlp",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "c=3",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": "me.pem",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "me.key",
    }
    found = read(general | own)
    assert (found.endpoint, found.headers, found.compress) == ("http://d:2/otlp", {"c": "3"}, False)
    assert found.client == ("me.pem", "me.key")


def test_the_server_is_described() -> None:
    told = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment.name=test"}
    assert read(told).resource == {"service.name": "a", "deployment.environment.name": "test"}
    assert read(told | {"OTEL_SERVICE_NAME": "b"}).resource["service.name"] == "b"
    assert read({"OTEL_SDK_DISABLED": "True"}).disabled


@pytest.mark.parametrize(
    ("name", "share", "sample", "follow"),
    [
        ("always_on", "", 1.0, False),
        ("parentbased_always_on", "", 1.0, True),
        ("always_off", "", 0.0, False),
        ("traceidratio", "0.25", 0.25, False),
        ("parentbased_traceidratio", "0.25", 0.25, True),
        ("traceidratio", "", 1.0, False),
        ("always_on", "0.25", 1.0, False),
    ],
)
def test_samplers(name: str, share: str, sample: float, follow: bool) -> None:
    found = read({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share})
    assert (found.sample, found.follow) == (sample, follow)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "http://localhost:4318"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "traceidratio"),
    ],
)
def test_what_cannot_be_followed_is_refused(name: str, value: str, remedy: str) -> None:
    with pytest.raises(Refusal) as refused:
        read({name: value})
    facts = refused.value.facts()
    assert facts["asked"].startswith(f"{name} = '{value}")
    assert remedy in facts["remedy"]


@pytest.mark.parametrize("share", ["x", "2", "-1", "nan"])
def test_a_share_is_from_0_to_1(share: str) -> None:
    with pytest.raises(Refusal, match="no share"):
        read({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": share})


def test_headers_are_not_shown_when_they_are_refused() -> None:
    with pytest.raises(Refusal) as refused:
        read({"OTEL_EXPORTER_OTLP_HEADERS": "authorization"})
    assert "authorization" not in str(refused.value.facts())


def test_a_path_is_added_once() -> None:
    assert with_path("http://c:1") == with_path("http://c:1/") == "http://c:1/v1/traces"
