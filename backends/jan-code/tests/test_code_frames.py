from __future__ import annotations

import pytest
from jan_code.frames import MARK, Frames, NoFrame, pack


def test_frames_come_in_any_portions() -> None:
    frames, found = Frames(100), []
    data = pack({"a": 1}) + pack({"b": "é\ud800"}) + pack({})
    for at in range(len(data)):
        found += frames.feed(data[at : at + 1])
    assert found == Frames(100).feed(data) == [{"a": 1}, {"b": "é\ud800"}, {}]


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
