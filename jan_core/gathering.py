"""What folding streams into replies has in common: reading one to its end, choice by choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

from jan_core.errors import EngineError


class Folded(Protocol):
    """What has arrived of one choice; `finish_reason` is None until it has ended."""

    finish_reason: Any

    def add(self, choice: Any) -> None:
        """Take one more piece of it."""


F = TypeVar("F", bound=Folded)


async def gathered(chunks: AsyncIterator[Any], new: Callable[[], F]) -> tuple[Any, Any, list[tuple[int, F]]]:
    """Read a stream to its end; it is closed in every case.

    Args:
        chunks: the stream; each chunk has `usage`, or None, and `choices` with an `index` each.
        new: makes what a choice is folded into.

    Returns:
        The first chunk, the usage (None where no chunk told it), and the choices in their order.

    Raises:
        EngineError: the stream ended without a chunk, or a choice without its `finish_reason`.
    """
    first: Any = None
    usage: Any = None
    choices: dict[int, F] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(chunks.aclose)  # type: ignore[attr-defined]
        async for chunk in chunks:
            first = first or chunk
            usage = chunk.usage or usage
            for choice in chunk.choices:
                choices.setdefault(choice.index, new()).add(choice)
    if not choices or any(one.finish_reason is None for one in choices.values()):
        raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")
    return first, usage, sorted(choices.items())
