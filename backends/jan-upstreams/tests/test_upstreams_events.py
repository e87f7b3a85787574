from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jan_upstreams import events
from jan_upstreams.events import Events, TooLong

WHOLE = (
    'data: {"a": 1}\n\n: a remark\n\ndata:b\r\n\r\nevent: x\ndata: c\ndata: d\nid: 4\n\n\n\n'
    "data: ü你\n\ndata: [DONE]\n\n"
)
FOUND = [b'{"a": 1}', b"b", b"c\nd", "ü你".encode(), b"[DONE]"]


def read(pieces: list[bytes]) -> list[bytes]:
    cut = Events()
    found = [one for piece in pieces for one in cut.feed(piece)]
    assert not cut.within
    return found


def test_whatever_form_events_have() -> None:
    assert read([WHOLE.encode()]) == FOUND
    assert read([WHOLE.replace("\r\n", "\n").replace("\n", "\r").encode(), b""]) == FOUND


@given(st.lists(st.integers(0, len(WHOLE.encode())), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_whatever_portions_they_come_in(cuts: list[int], end: str) -> None:
    data = WHOLE.replace("\r\n", "\n").replace("\n", end).encode()
    places = [0, *sorted(min(one, len(data)) for one in cuts), len(data)]
    pieces = [data[first:last] for first, last in pairwise(places)]
    assert read([one for one in pieces if one]) == FOUND


def test_half_an_event_is_known() -> None:
    cut = Events()
    assert list(cut.feed(b'data: {"a"')) == []
    assert cut.within
    assert list(cut.feed(b": 1}\n")) == []
    assert cut.within
    assert list(cut.feed(b"\n")) == [b'{"a": 1}']
    assert not cut.within


@pytest.mark.parametrize("piece", [b"data: " + b"a" * 99, b"data: aaaaaaaaaa\n", b"x" * 50])
def test_what_never_ends_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST", 1000)
    cut = Events()

    def read_on() -> None:
        for _ in range(1000):
            assert not list(cut.feed(piece))

    with pytest.raises(TooLong):
        read_on()
