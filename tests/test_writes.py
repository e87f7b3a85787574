from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from jan_core.writes import JoinedWrites

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
    return JoinedWrites(cast(Any, transport), asyncio.get_running_loop())


@pytest.mark.anyio
async def test_a_head_goes_with_what_follows_it_at_once() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    writes.write(b"body")
    writes.write(b"more")
    assert transport.calls == [HEAD + b"body", b"more"]
    await asyncio.sleep(0)
    assert len(transport.calls) == 2


@pytest.mark.anyio
async def test_a_head_waits_for_one_round_of_the_loop_only() -> None:
    transport = Transport()
    writes = joined(transport)
    writes.write(HEAD)
    assert transport.calls == []
    await asyncio.sleep(0)
    writes.write(b"body")
    assert transport.calls == [HEAD, b"body"]


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
