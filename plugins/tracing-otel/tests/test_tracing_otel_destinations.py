from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from jan_tracing_otel.destinations import Collector, Console, File
from jan_tracing_otel.encoding import Json, Plain, Protobuf
from jan_tracing_otel.sending import Later, Refused
from jan_tracing_otel.spans import INTERNAL, begun

ENCODING = Protobuf({"service.name": "jan"}, "1")


def spans(count: int = 1) -> list[bytes]:
    made = []
    for number in range(count):
        span = begun(INTERNAL, None)
        span.identify()
        span.name, span.common, span.ended = f"span {number}", (), span.began
        made.append(ENCODING.span(span))
    return made


def test_a_collector_gets_headers_and_batch(collector: Any) -> None:
    for compress in (False, True):
        to = Collector(f"{collector.url}/v1/traces", ENCODING, headers={"api-key": "k"}, timeout=10, compress=compress)
        to.send(spans(3))
        to.close()
    assert collector.paths == ["/v1/traces", "/v1/traces"]
    plain, packed = collector.headers
    assert (plain["api-key"], plain["content-type"]) == ("k", "application/x-protobuf")
    assert ("content-encoding" in plain, packed["content-encoding"]) == (False, "gzip")
    assert [one.name for one in collector.spans] == ["span 0", "span 1", "span 2"] * 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_collector_that_is_busy_is_asked_later(collector: Any, status: int) -> None:
    to = Collector(collector.url, ENCODING, headers={}, timeout=10)
    collector.answers, collector.retry_after = [status, status], "7"
    with pytest.raises(Later, match=str(status)) as later:
        to.send(spans())
    assert later.value.after == 7
    collector.retry_after = "soon"
    with pytest.raises(Later) as later:
        to.send(spans())
    assert later.value.after is None
    to.close()


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_collector_that_refuses_is_not_asked_again(collector: Any, status: int) -> None:
    to = Collector(collector.url, ENCODING, headers={}, timeout=10)
    collector.answers = [status]
    with pytest.raises(Refused, match=str(status)):
        to.send(spans())
    to.close()


def test_a_collector_that_is_not_there_is_asked_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        to = Collector(f"http://127.0.0.1:{taken.getsockname()[1]}", ENCODING, headers={}, timeout=10)
        with pytest.raises(Later):
            to.send(spans())
        to.close()


def test_a_file_gets_a_line_a_batch_and_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "new" / "traces.jsonl"
    encoding = Json({}, "1")
    to = File(path, encoding)
    to.send([])
    to.send([])
    path.rename(tmp_path / "old")
    to.send([])
    to.close()
    assert (tmp_path / "old").read_bytes() == encoding.batch([]) * 2
    assert path.read_bytes() == encoding.batch([])


def test_a_file_that_cannot_be_written_is_tried_later(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Later):
        File(tmp_path / "taken" / "traces.jsonl", Json({}, "1")).send([])
    with pytest.raises(Later, match="directory"):
        File(tmp_path, Json({}, "1")).send([])


def test_the_console_gets_a_line_a_span(capsys: pytest.CaptureFixture[str]) -> None:
    to = Console(Plain())
    to.send([b"{}\n", b"{}\n"])
    to.close()
    assert capsys.readouterr().out == "{}\n{}\n"
