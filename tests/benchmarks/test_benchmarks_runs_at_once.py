from __future__ import annotations

import json

import pytest

from tests.benchmarks.runs_at_once import AROUND, RATE, Reading, words, wrong

SAID = ["one ", "two ", "three "]


def frame(name: str, data: str = "{}") -> bytes:
    """An event as it arrives: framed, in a chunk of a reply."""
    event = f"event: {name}\ndata: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def delta(text: str) -> bytes:
    data = {"delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]}}
    return frame("thread.message.delta", json.dumps(data))


BEFORE, AFTER = (b"".join(map(frame, names)) for names in AROUND)
WHOLE = b"HTTP/1.1 200 OK\r\n\r\n" + BEFORE + b"".join(map(delta, SAID)) + AFTER


def test_a_stream_with_every_event_in_order_is_right() -> None:
    assert wrong(WHOLE, SAID) == ""


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (WHOLE.replace(delta("two "), b""), "2 deltas where there should be 3, other ones from number 1 on"),
        (WHOLE.replace(delta("three "), b""), "2 deltas where there should be 3, other ones from number 2 on"),
        (BEFORE + delta("two ") + delta("one ") + delta("three ") + AFTER, "other ones from number 0 on"),
        (BEFORE + b"".join(map(delta, SAID)) + delta("three ") + AFTER, "4 deltas where there should be 3"),
        (WHOLE.replace(frame("thread.run.queued"), b""), "in another order"),
        (BEFORE + delta("one ") + AFTER + delta("two ") + delta("three "), "in another order"),
        (WHOLE.replace(b"thread.run.completed", b"thread.run.failed"), "in another order"),
    ],
    ids=["a lost one", "the last one lost", "two exchanged", "one twice", "no event", "behind the end", "another end"],
)
def test_a_stream_with_something_lost_or_exchanged_is_told(data: bytes, told: str) -> None:
    assert told in wrong(data, SAID)


def test_deltas_are_counted_however_they_arrive() -> None:
    class Ended:
        set = False

        def done(self) -> bool:
            return self.set

        def set_result(self, _: None) -> None:
            self.set = True

    for size in (1, 7, 27, 28, 29, len(WHOLE)):
        reading = Reading(b"", Ended())  # type: ignore[arg-type]
        for at in range(0, len(WHOLE), size):
            reading.data_received(WHOLE[at : at + size])
        assert len(reading.arrived) == 3, size
        assert reading.ended.done()
        assert reading.data == WHOLE


def test_delays_count_from_the_sending() -> None:
    reading = Reading(b"", None)  # type: ignore[arg-type]
    reading.sent, reading.arrived = 100.0, [100.01, 100.03, 100.09]
    assert reading.delays() == pytest.approx([0.01, 0.01, 0.05])


def test_every_run_says_something_else() -> None:
    assert words(1, 2)[:2] == ["word1-0 ", "word1-1 "]
    assert len(words(1, 2)) == 2 * RATE
    assert not set(words(1, 2)) & set(words(2, 2))
