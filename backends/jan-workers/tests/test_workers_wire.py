from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from jan_workers import wire

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=8)


def taken(pieces: list[bytes]) -> list[tuple[int, int, bytes]]:
    found: list[tuple[int, int, bytes]] = []
    frames = wire.Frames(lambda kind, request, payload: found.append((kind, request, payload)))
    for piece in pieces:
        frames.feed(piece)
    return found


def test_a_frame_is_nine_bytes_and_its_payload() -> None:
    assert wire.pack(wire.EVENT, 258, b"xy") == b"\0\0\0\2" + b"\0\0\1\2" + bytes([wire.EVENT]) + b"xy"
    assert len(wire.pack(wire.CANCEL, 1)) == 9


@given(FRAMES, st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(wire.pack(*frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    assert taken([stream[begin:end] for begin, end in pairwise(edges)]) == frames


def test_frames_come_out_byte_by_byte_and_as_soon_as_they_are_whole() -> None:
    stream = wire.pack(1, 2, b"abc") + wire.pack(3, 4)
    assert taken([bytes([byte]) for byte in stream]) == [(1, 2, b"abc"), (3, 4, b"")]
    assert taken([stream[:11]]) == []
    assert taken([stream[:12]]) == [(1, 2, b"abc")]


def test_the_kinds_are_all_different() -> None:
    kinds = [value for name, value in vars(wire).items() if name.isupper() and isinstance(value, int)]
    assert len(kinds) == len(set(kinds)) == 12
