from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from jan_core.writes import MOST, JoinedWrites, rounds_of

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Transport:
    """Notes each call that becomes one of the system."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.calls.append(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


def joined(transport: Transport) -> JoinedWrites:
    return JoinedWrites(cast(Any, transport), rounds_of(asyncio.get_running_loop()))


@pytest.mark.anyio
async def test_a_head_goes_with_what_follows_it_at_once() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    writes.write(b"body")
    assert transport.calls == [HEAD + b"body"]
    await asyncio.sleep(0)
    assert len(transport.calls) == 1


@pytest.mark.anyio
async def test_a_head_waits_for_one_round_of_the_loop_only() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    assert transport.calls == []
    await asyncio.sleep(0)
    assert transport.calls == [HEAD]
    writes.write(b"body")
    await asyncio.sleep(0)
    assert transport.calls == [HEAD, b"body"]


@pytest.mark.anyio
async def test_pieces_of_all_connections_are_made_first_and_written_then() -> None:
    first, second = Transport(), Transport()
    for transport in (first, second):
        writes = joined(transport)
        for piece in (HEAD, b"a", b"b", b"c"):
            writes.write(piece)
        assert transport.calls == [HEAD + b"a"]
    await asyncio.sleep(0)
    assert first.calls == second.calls == [HEAD + b"a", b"bc"]


@pytest.mark.anyio
async def test_a_piece_waits_for_one_round_only() -> None:
    transport = Transport()
    writes = joined(transport)
    for piece in (b"a", b"b", b"c"):
        writes.write(piece)
        await asyncio.sleep(0)
    assert transport.calls == [b"a", b"b", b"c"]


@pytest.mark.anyio
async def test_many_bytes_do_not_wait() -> None:
    transport = Transport()
    writes = joined(transport)
    piece = b"x" * (MOST // 4)
    for _ in range(9):
        writes.write(piece)
    assert transport.calls == [piece * 4, piece * 4]
    await asyncio.sleep(0)
    assert transport.calls == [piece * 4, piece * 4, piece]
    writes.write(b"y" * MOST)
    assert len(transport.calls) == 4


@pytest.mark.anyio
async def test_the_end_of_an_answer_goes_at_once_with_all_before_it() -> None:
    transport = Transport()
    writes = joined(transport)
    for piece in (b"a", b"b", b"c", b"0\r\n\r\n"):
        writes.write(piece)
    assert transport.calls == [b"abc0\r\n\r\n"]
    other = joined(transport)  # the next answer of the connection
    other.write(b"d")
    other.write(b"0\r\n\r\n")
    assert transport.calls[1:] == [b"d0\r\n\r\n"]


@pytest.mark.anyio
async def test_closing_writes_what_waits_and_does_what_it_is_told() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    writes.close()
    assert (transport.calls, transport.closing) == ([HEAD], True)
    await asyncio.sleep(0)
    other = joined(transport := Transport())
    told: list[str] = []
    other.closes = lambda: told.append("closes")
    other.close()
    assert (told, transport.closing) == (["closes"], False)


@pytest.mark.anyio
async def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.calls == []
