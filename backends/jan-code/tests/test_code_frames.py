from __future__ import annotations

import pytest
from jan_code.frames import MARK, Frames, NoFrame, pack, pack_in_pieces


def test_frames_come_in_any_portions() -> None:
    frames, found = Frames(100), []
    data = pack({"a": 1}) + pack({"b": "é\ud800"}) + pack({})
    for at in range(len(data)):
        found += frames.feed(data[at : at + 1])
    assert found == Frames(100).feed(data) == [{"a": 1}, {"b": "é\ud800"}, {}]


def test_in_pieces_they_are_the_same() -> None:
    message = {"run": {"number": 1, "context": {"x": ["é\ud800", None, True, 1.5, {}], "y": "a" * 100_000}}}
    assert pack_in_pieces(message) == pack(message)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage!",
        MARK + b"\x00\x00\x00\x65",
        MARK + b"\x00\x00\x00\x02[]",
        MARK + b"\x00\x00\x00\x02{x",
        MARK + b"\x00\x00\x00\x02\xff\xff",
    ],
)
def test_what_is_no_frame_is_told(data: bytes) -> None:
    with pytest.raises(NoFrame):
        Frames(100).feed(data)
