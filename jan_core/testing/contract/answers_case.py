"""An app with an endpoint under test whose models write answers, in one reply or as a stream: `chat`, `completions`."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel

from jan_core.testing.contract.case import Broken, Case, same, written
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.grammar import Told, stream_keeps_grammar
from jan_core.testing.contract.streams import StreamCase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FEW = 12
"""Tokens of most answers: real models take their time."""
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class AnswersCase(StreamCase):
    """An app with a model that writes.

    Attributes:
        path: of the requests, below `/v1`.
        schema: of their bodies.
        long: what the model answers at some length.
        endless: what it goes on answering for seconds.
        too_long: what does not fit its context.
    """

    path: ClassVar[str]
    schema: ClassVar[type[BaseModel]]
    long: str
    endless: str
    too_long: str

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directly = itertools.cycle((True, False))

    def asking(self, said: Any) -> dict[str, Any]:
        """The fields of a request that say what is to be answered."""
        raise NotImplementedError

    def said(self, choice: dict[str, Any]) -> str | None:
        """The text of a choice in a reply."""
        raise NotImplementedError

    async def fields(self, said: Any, **more: Any) -> dict[str, Any]:
        """The body of a request whose answer is short, and the same each time.

        Args:
            said: what is to be answered, in any form that the endpoint takes.
            more: fields besides; None leaves one out.
        """
        found = {"model": await self.model(), **self.asking(said), "temperature": 0, "seed": 1, "max_tokens": FEW}
        return {name: value for name, value in {**found, **more}.items() if value is not None}

    async def body(self, said: Any, **more: Any) -> Any:
        """The same as an object."""
        return self.schema.model_validate(await self.fields(said, **more))

    async def answer(self, said: Any, **more: Any) -> dict[str, Any]:
        """An answer in one reply, by turns directly and over HTTP."""
        if next(self._directly):
            return dict(written(await self.ask(f"{self._name}.create", await self.body(said, **more))))
        return await self.sent(said, **more)

    async def sent(self, said: Any, **more: Any) -> dict[str, Any]:
        """An answer in one reply, over HTTP."""
        status, told = await self.send("POST", self.path, await self.fields(said, **more))
        if status != 200:
            raise Broken(f"POST {self.path} answered {status}: {told}")
        return dict(told)

    async def text(self, said: Any, **more: Any) -> str:
        """The text of an answer."""
        return str(self.said((await self.answer(said, **more))["choices"][0]))

    async def chunks(self, said: Any, *, usage: bool = False, **more: Any) -> list[dict[str, Any]]:
        """An answer as a stream, by turns directly and over HTTP."""
        asked = {"stream": True, **({"stream_options": {"include_usage": True}} if usage else {}), **more}
        if next(self._directly):
            found, _ = await self.streamed(f"{self._name}.create_stream", await self.body(said, **asked))
            return [dict(written(one)) for one in found]
        return await self.sent_stream(self.path, await self.fields(said, **asked))

    async def told(self, said: Any, **more: Any) -> Told:
        """What a stream of one choice adds up to, its grammar looked at."""
        return stream_keeps_grammar(await self.chunks(said, **more), choices=1)[0]

    async def begun(self, said: Any, **more: Any) -> AsyncIterator[Any]:
        """A stream that nothing was read of, as other modules get it."""
        body = await self.body(said, stream=True, **more)
        return cast("AsyncIterator[Any]", self.tested.create_stream(body))  # type: ignore[attr-defined]

    @asynccontextmanager
    async def left_over_http(self, said: Any, **more: Any) -> AsyncIterator[None]:
        """A stream over HTTP of which the first bytes are read; the client leaves at the end."""
        body = await self.fields(said, stream=True, **more)
        async with self.http.stream("POST", self.path, json=body) as reply:
            same("the status of a stream", reply.status_code, 200)
            await anext(reply.aiter_raw())
            yield


def counts(usage: dict[str, Any] | None) -> dict[str, Any]:
    """The three counts of `usage`, without the details, which differ from time to time."""
    if usage is None:
        raise Broken("an answer tells its usage; this one does not")
    return {name: usage.get(name) for name in COUNTS}


class OfAnswers(Contract):
    """What contracts of endpoints whose models write have in common.

    Attributes:
        model: the id of the model to ask; None for the first one that `models` lists.
        long: what the model answers at some length: with 12 tokens at least.
        endless: what it goes on answering for seconds, where it is let.
        too_long: what does not fit its context.
    """

    model: ClassVar[str | None] = None
    long: ClassVar[str]
    endless: ClassVar[str]
    too_long: ClassVar[str] = "word " * 100_000

    def opened(self, folder: Path) -> Case:
        """See `Contract`."""
        case = cast("AnswersCase", super().opened(folder))
        case.model_id = self.model
        case.long, case.endless, case.too_long = self.long, self.endless, self.too_long
        return case
