from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from jan_tracing_otel.sending import BATCH_SPANS, SLICE, Later, Refused, Sender
from jan_tracing_otel.spans import INTERNAL, Span, begun


class Fake:
    """A destination that does what it is told, the last thing again and again."""

    name = "there"

    def __init__(self, *does: Exception | None) -> None:
        self.does = list(does)
        self.batches: list[list[bytes]] = []
        self.tried = 0
        self.closed = threading.Event()
        self.changed = threading.Condition()

    def send(self, spans: list[bytes]) -> None:
        with self.changed:
            error = self.does.pop(0) if len(self.does) > 1 else self.does[0]
            self.tried += 1
            if error is None:
                self.batches.append(spans)
            self.changed.notify_all()
        if error is not None:
            raise error

    def close(self) -> None:
        self.closed.set()

    def wait(self, tried: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.tried >= tried, 30)


def written(span: Span) -> bytes:
    return span.name.encode()


def a_span(name: str) -> Span:
    span = begun(INTERNAL, None)
    span.name = name
    return span


def sender(fake: Fake, flush_seconds: float = 0.01, spans: int = 4096, size: int = 1 << 20) -> Sender:
    return Sender(lambda: fake, written, "there", flush_seconds=flush_seconds, spans=spans, size=size)


def add(made: Sender, span: Span) -> None:
    made.fresh.append(span)
    if len(made.fresh) >= SLICE:
        made.write()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_what_waits_is_sent_together_in_order_and_the_rest_at_the_end() -> None:
    fake = Fake(None)
    made = sender(fake, flush_seconds=3600)
    for number in range(3):
        add(made, a_span(str(number)))
    made.start()
    assert fake.batches == []
    made.stop().result(30)
    assert fake.batches == [[b"0", b"1", b"2"]]
    assert fake.closed.is_set()


def test_enough_spans_are_sent_without_waiting() -> None:
    fake = Fake(None)
    made = sender(fake, flush_seconds=3600)
    made.start()
    for _ in range(BATCH_SPANS):
        add(made, a_span("x"))
    fake.wait(1)
    made.stop().result(30)
    assert [len(batch) for batch in fake.batches] == [BATCH_SPANS]


@pytest.mark.parametrize("spans", [SLICE, SLICE + 1, 1000, BATCH_SPANS - 1])
def test_a_queue_smaller_than_a_batch_is_sent_before_it_is_full(spans: int) -> None:
    fake = Fake(None)
    made = sender(fake, flush_seconds=3600, spans=spans)
    made.start()
    for _ in range(spans // SLICE * SLICE):
        add(made, a_span("x"))
    fake.wait(1)
    made.stop().result(30)
    assert made.lost == 0


def test_a_span_goes_after_a_while() -> None:
    fake = Fake(None)
    made = sender(fake)
    made.start()
    add(made, a_span("x"))
    fake.wait(1)
    made.stop().result(30)


def test_a_destination_that_is_down_is_named_once_and_gets_everything_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake = Fake(Later("no connection", 0.01), Later("no connection", 0.01), Later("no connection", 0.01), None)
    made = sender(fake)
    for number in range(5):
        add(made, a_span(str(number)))
    made.start()
    fake.wait(4)
    made.stop().result(30)
    assert fake.batches == [[b"0", b"1", b"2", b"3", b"4"]]
    told = warnings(caplog)
    assert len(told) == 2
    assert told[0].startswith("traces do not reach there: no connection.")
    assert told[1] == "traces reach there again; 0 spans were lost"


def test_what_there_is_no_room_for_is_lost_and_counted() -> None:
    made = sender(Fake(None), spans=3)
    for _ in range(5):
        add(made, a_span("x"))
    made.write()
    assert (len(made), made.lost) == (3, 2)
    small = sender(Fake(None), size=10)
    for _ in range(SLICE):
        add(small, a_span("1234"))
    assert (len(small), small.lost) == (2, SLICE - 2)


def test_room_is_there_again_after_sending() -> None:
    fake = Fake(None)
    made = sender(fake, size=10)
    made.start()
    for number in range(1, 6):
        add(made, a_span("12345678"))
        fake.wait(number)
    made.stop().result(30)
    assert made.lost == 0


def test_what_is_refused_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake(Refused("it answers 400"), Refused("it answers 400"), None)
    made = sender(fake)
    made.start()
    for tried in range(1, 4):
        add(made, a_span(str(tried)))
        fake.wait(tried)
    made.stop().result(30)
    assert fake.batches == [[b"3"]]
    told = warnings(caplog)
    assert len(told) == 2
    assert "it answers 400. Those spans are lost." in told[0]
    assert told[1] == "traces reach there again; 2 spans were lost"


def test_a_stop_waits_for_no_pause() -> None:
    fake = Fake(Later("down", 3600))
    made = sender(fake)
    add(made, a_span("x"))
    made.start()
    fake.wait(1)
    made.stop().result(30)
    assert len(made) == 1
    assert fake.closed.is_set()


def test_a_sender_that_was_never_started_stops() -> None:
    made = sender(Fake(None))
    made.stop().result(0)


def test_batches_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jan_tracing_otel.sending.BATCH_BYTES", 10)
    fake = Fake(None)
    made = sender(fake, flush_seconds=3600)
    for name in ("12345", "12345", "1", "123456789012"):
        add(made, a_span(name))
    made.start()
    made.stop().result(30)
    assert fake.batches == [[b"12345", b"12345"], [b"1"], [b"123456789012"]]


def test_a_defect_ends_the_sending_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise RuntimeError("no such thing")

    made = Sender(broken, written, "there", flush_seconds=1, spans=1, size=1)
    made.start()
    made.stop().result(30)
    assert warnings(caplog) == ["traces are not sent any more"]


def test_spans_are_encoded_many_at_once_and_one_that_cannot_be_is_lost_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads = []

    def picky(span: Span) -> bytes:
        threads.append(threading.current_thread())
        if span.name == "bad":
            raise ValueError("secret")
        return span.name.encode()

    fake = Fake(None)
    made = Sender(lambda: fake, picky, "there", flush_seconds=3600, spans=1000, size=1 << 20)
    for _ in range(SLICE - 1):
        add(made, a_span("a"))
    assert threads == []
    add(made, a_span("bad"))
    assert threads == [threading.current_thread()] * SLICE
    add(made, a_span("b"))
    made.start()
    made.stop().result(30)
    assert fake.batches == [[b"a"] * (SLICE - 1) + [b"b"]]
    told = warnings(caplog)
    assert "A span cannot be written: ValueError." in told[0]
    assert "secret" not in str(told)
