from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.config import Value, load
from jan_core.refusal import Refusal
from jan_core.settings import ServerSettings


def server(tmp_path: Path, **given: Any) -> ServerSettings:
    flags = {("server", key): Value(value, f"flag --{key}") for key, value in given.items()}
    return load(tmp_path, flags=flags, environ={}).table("server", ServerSettings)


def test_safe_from_the_first_day() -> None:
    settings = ServerSettings()
    assert (settings.host, settings.port) == ("127.0.0.1", 1337)
    assert (settings.allowed_hosts, settings.allowed_origins) == ([], [])
    assert settings.log_prompts is False
    assert settings.log_requests is True
    assert settings.header_bytes <= 64 * 1024
    assert settings.body_bytes <= 64 * 1024 * 1024
    assert 0 < settings.header_seconds <= 60
    assert 0 < settings.body_seconds <= 60
    assert 0 < settings.write_seconds <= 300


def test_every_setting_is_described_and_has_a_default() -> None:
    described = ServerSettings.model_json_schema()["properties"]
    for name, field in ServerSettings.model_fields.items():
        assert described[name]["description"], name
        assert not field.is_required(), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("header_bytes", 0),
        ("header_seconds", 0),
        ("body_bytes", 1),
        ("body_seconds", -1),
        ("write_seconds", 0),
        ("keep_alive_seconds", 0),
        ("grace_seconds", -1),
        ("log_prompts", "perhaps"),
        ("header_seconds", "nan"),
        ("allowed_hosts", "localhost"),
        ("prot", 1),
    ],
)
def test_what_would_disarm_a_limit_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        server(tmp_path, **{key: value})
    assert caught.value.asked == f"[server] {key} = {value!r} (flag --{key})"


def test_the_ends_of_the_ranges_are_allowed(tmp_path: Path) -> None:
    assert server(tmp_path, port=0, grace_seconds=0, header_bytes=1024).port == 0
    assert server(tmp_path, port=65535).port == 65535
