"""An app with completions under test, and short names for what the clauses do most."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core.endpoint import Endpoint
from jan_core.endpoints.completions import Completions
from jan_core.schemas.completions import CompletionRequest
from jan_core.testing.contract.case import Broken, Case, same, written
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.grammar import Told, stream_keeps_grammar
from jan_core.testing.contract.streams import StreamCase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/completions"
FEW = 12
"""Tokens of most answers: real models take their time."""
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class CompletionsCase(StreamCase):
    """An app with a model that goes on with texts."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directly = itertools.cycle((True, False))

    async def fields(self, said: Any, **more: Any) -> dict[str, Any]:
        """The body of a request whose answer is short, and the same each time.

        Args:
            said: a prompt, in whichever form.
            more: fields besides; None leaves one out.
        """
        found = {"model": await self.model(), "prompt": said, "temperature": 0, "seed": 1, "max_tokens": FEW}
        return {name: value for name, value in {**found, **more}.items() if value is not None}

    async def body(self, said: Any, **more: Any) -> CompletionRequest:
        """The same as an object."""
        return CompletionRequest.model_validate(await self.fields(said, **more))

    async def answer(self, said: Any, **more: Any) -> dict[str, Any]:
        """An answer in one reply, by turns directly and over HTTP."""
        if next(self._directly):
            return dict(written(await self.ask("completions.create", await self.body(said, **more))))
        return await self.sent(said, **more)

    async def sent(self, said: Any, **more: Any) -> dict[str, Any]:
        """An answer in one reply, over HTTP."""
        status, told = await self.send("POST", PATH, await self.fields(said, **more))
        if status != 200:
            raise Broken(f"POST {PATH} answered {status}: {told}")
        return dict(told)

    async def text(self, said: Any, **more: Any) -> str:
        """The text of an answer."""
        return str((await self.answer(said, **more))["choices"][0]["text"])

    async def chunks(self, said: Any, *, usage: bool = False, **more: Any) -> list[dict[str, Any]]:
        """An answer as a stream, by turns directly and over HTTP."""
        asked = {"stream": True, **({"stream_options": {"include_usage": True}} if usage else {}), **more}
        if next(self._directly):
            found, _ = await self.streamed("completions.create_stream", await self.body(said, **asked))
            return [dict(written(one)) for one in found]
        return await self.sent_stream(PATH, await self.fields(said, **asked))

    async def told(self, said: Any, **more: Any) -> Told:
        """What a stream of one choice adds up to, its grammar looked at."""
        return stream_keeps_grammar(await self.chunks(said, **more), choices=1)[0]

    @asynccontextmanager
    async def left_over_http(self, said: Any, **more: Any) -> AsyncIterator[None]:
        """A stream over HTTP of which the first bytes are read; the client leaves at the end."""
        body = await self.fields(said, stream=True, **more)
        async with self.http.stream("POST", PATH, json=body) as reply:
            same("the status of a stream", reply.status_code, 200)
            await anext(reply.aiter_raw())
            yield


def counts(usage: dict[str, Any] | None) -> dict[str, Any]:
    """The three counts of `usage`, without the details, which differ from time to time."""
    if usage is None:
        raise Broken("an answer tells its usage; this one does not")
    return {name: usage.get(name) for name in COUNTS}


class OfCompletions(Contract):
    """What the parts of the contract share.

    Attributes:
        model: the id of the model to ask; None for the first one that `models` lists.
        long: what the model goes on with at some length: with 12 tokens at least.
        endless: what it goes on with for seconds, where it is let.
        too_long: what does not fit its context.
    """

    endpoint: ClassVar[type[Endpoint]] = Completions
    letter: ClassVar[str] = "P"
    case: ClassVar[type[Case]] = CompletionsCase
    model: ClassVar[str | None] = None
    whole_characters: ClassVar[bool] = True
    """False for a model that writes bytes by itself which are no characters."""
    long: ClassVar[str] = (
        "one two three four five six seven eight nine ten one two three four five six seven eight nine ten "
        "one two three four five six seven eight nine ten one two three four"
    )
    endless: ClassVar[str] = "Once upon a time there was a sailor, who told a very long story about the sea:"
    too_long: ClassVar[str] = "word " * 100_000

    def opened(self, folder: Path) -> Case:
        """See `Contract`."""
        case = super().opened(folder)
        assert isinstance(case, StreamCase)
        case.model_id = self.model
        return case
