from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.check import Check


def the_check(jan: Jan) -> Check:
    (found,) = [one for one in jan.checks() if one.name == "traces"]
    return found


def test_a_collector_that_answers_is_right(traced: Any, collector: Any) -> None:
    verdict = the_check(traced()).run()
    assert (verdict.ok, verdict.why) == (True, f"traces reach {collector.url}/v1/traces")
    assert collector.spans == []


def test_a_collector_that_is_down_or_refuses_is_named_with_what_to_do(traced: Any, collector: Any) -> None:
    collector.answers = [401]
    verdict = the_check(traced()).run()
    assert (verdict.ok, "401" in verdict.why) == (False, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        verdict = the_check(traced(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")).run()
    assert not verdict.ok
    assert "[tracing-otel]" in verdict.remedy


def test_there_is_no_check_where_tracing_is_off(traced: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert [one for one in traced().checks() if one.name == "traces"] == []
