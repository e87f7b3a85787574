from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from jan_upstreams.together import AT_ONCE, together


class Counted:
    """Streams that are counted while they are open."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    async def of(self, *pieces: str, fails: bool = False, hangs: bool = False) -> AsyncIterator[str]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece
            if fails:
                raise ValueError("broken")
            if hangs:
                await asyncio.Event().wait()
        finally:
            self.open -= 1


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 3, 3 * AT_ONCE])
async def test_every_piece_comes_with_its_number_and_not_too_many_are_read_at_once(count: int) -> None:
    streams = Counted()
    found: dict[int, str] = {}
    async for number, piece in together([partial(streams.of, *"abc") for _ in range(count)]):
        found[number] = found.get(number, "") + piece
    assert found == dict.fromkeys(range(count), "abc")
    assert streams.open == 0
    assert streams.most <= AT_ONCE


@pytest.mark.anyio
async def test_what_one_refuses_is_known_before_anything_is_told() -> None:
    streams = Counted()
    pieces = together([partial(streams.of, *"abc"), partial(streams.of, fails=True)])
    with pytest.raises(ValueError, match="broken"):
        await anext(pieces)
    assert streams.open == 0


@pytest.mark.anyio
async def test_one_that_breaks_later_ends_all() -> None:
    streams = Counted()
    pieces = together([partial(streams.of, "a", hangs=True), partial(streams.of, *"abc", fails=True)])
    assert await anext(pieces)
    with pytest.raises(ValueError, match="broken"):
        _ = [piece async for piece in pieces]
    assert streams.open == 0


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 3])
async def test_closing_closes_all(count: int) -> None:
    streams = Counted()
    pieces = together([partial(streams.of, *"abcdefghijklmnopqrstuvwxyz", hangs=True) for _ in range(count)])
    await anext(pieces)
    assert streams.open == count
    await pieces.aclose()  # type: ignore[attr-defined]
    assert streams.open == 0
