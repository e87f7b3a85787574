from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from jan_core.errors import EngineError
from jan_core.gathering import gathered

pytestmark = pytest.mark.anyio


class Letters:
    def __init__(self) -> None:
        self.text = ""
        self.finish_reason: str | None = None

    def add(self, choice: Any) -> None:
        self.text += choice.text
        self.finish_reason = choice.reason or self.finish_reason


def chunk(name: str, *choices: tuple[int, str, str | None], usage: Any = None) -> Any:
    told = [SimpleNamespace(index=index, text=text, reason=reason) for index, text, reason in choices]
    return SimpleNamespace(name=name, choices=told, usage=usage)


class Stream:
    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks
        self.closed = False

    async def read(self) -> AsyncIterator[Any]:
        try:
            for one in self.chunks:
                yield one
        finally:
            self.closed = True


async def test_choices_are_gathered_each_for_itself_in_their_order() -> None:
    stream = Stream(
        chunk("first", (1, "b", None)),
        chunk("second", (0, "a", "stop"), (1, "c", "length")),
        chunk("last", usage="five tokens"),
    )
    first, usage, choices = await gathered(stream.read(), Letters)
    assert (first.name, usage) == ("first", "five tokens")
    assert [(index, one.text, one.finish_reason) for index, one in choices] == [(0, "a", "stop"), (1, "bc", "length")]
    assert stream.closed


@pytest.mark.parametrize(
    "chunks", [[], [chunk("a", usage=1)], [chunk("a", (0, "a", "stop"), (1, "b", None))]], ids=["none", "usage", "half"]
)
async def test_a_stream_without_its_end_is_an_error(chunks: list[Any]) -> None:
    stream = Stream(*chunks)
    with pytest.raises(EngineError) as failed:
        await gathered(stream.read(), Letters)
    assert failed.value.code == "incomplete_answer"
    assert stream.closed


async def test_a_stream_that_fails_is_closed() -> None:
    stream = Stream(chunk("a", (0, "a", None)), SimpleNamespace())
    with pytest.raises(AttributeError):
        await gathered(stream.read(), Letters)
    assert stream.closed
