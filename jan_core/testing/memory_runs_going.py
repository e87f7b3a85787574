"""How a run goes on in the reference implementation of `runs`: messages to chat, chat to messages, steps and events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jan_core.errors import Busy, InvalidRequest, JanError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.messages import (
    AnnotatedText,
    IncompleteDetails,
    Message,
    MessagesQuery,
    TextPart,
)
from jan_core.schemas.runs import (
    FunctionStepCall,
    FunctionStepCallBody,
    MessageCreation,
    MessageCreationDetails,
    MessageDelta,
    RequiredAction,
    Run,
    RunError,
    RunIncompleteDetails,
    RunStepDelta,
    RunToolCall,
    RunUsage,
    ToolCallsDetails,
)
from jan_core.testing.memory_runs_kept import Kept

if TYPE_CHECKING:
    from jan_core.app import Jan

log = logging.getLogger("jan")

_REASONS = {"cancelled": "run_cancelled", "failed": "run_failed", "expired": "run_expired", "incomplete": "max_tokens"}


class Going:
    """The runs of one app that go on.

    Args:
        jan: gives the other endpoints.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._tasks: set[asyncio.Task[None]] = set()

    def go(self, kept: Kept) -> None:
        """Carry a run on, in the background."""
        self._spawn(kept, self._go(kept))

    def cancel(self, kept: Kept) -> None:
        """Stop a run that is `cancelling`."""
        if kept.task is not None and not kept.task.done():
            kept.task.cancel()
        else:
            self._spawn(kept, self._finish(kept, "cancelled"))

    async def forget(self, kept: Kept) -> None:
        """Stop a run whose thread is gone: nothing of it is stored."""
        kept.forget()
        if kept.task is not None:
            kept.task.cancel()
            await asyncio.wait({kept.task})

    async def expire(self, kept: Kept) -> None:
        """End a run that has waited too long."""
        if kept.run.status == "requires_action" and _late(kept.run):
            await self._finish(kept, "expired")

    async def stop(self) -> None:
        """End all runs that are going on: the app stops."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, kept: Kept, work: Coroutine[Any, Any, None]) -> None:
        kept.task = asyncio.create_task(work)
        self._tasks.add(kept.task)
        kept.task.add_done_callback(self._tasks.discard)

    async def _go(self, kept: Kept) -> None:
        try:
            async with asyncio.timeout(_left(kept.run)):
                await self._answer(kept)
        except TimeoutError:
            await self._finish(kept, "expired")
        except asyncio.CancelledError:
            if kept.run.status == "cancelling":
                await self._finish(kept, "cancelled")
            else:
                await self._failed(kept, JanError("The server stopped while the assistant answered."))
        except JanError as error:
            await self._failed(kept, error)
        except Exception as error:
            log.error("the run %s failed", kept.run.id, exc_info=error)
            await self._failed(kept, JanError("The run failed; the server's log says why."))

    async def _answer(self, kept: Kept) -> None:
        run = kept.run
        if _late(run):
            await self._finish(kept, "expired")
        elif run.max_prompt_tokens is not None and kept.usage.prompt_tokens >= run.max_prompt_tokens:
            await self._finish(kept, "incomplete", "max_prompt_tokens")
        elif run.max_completion_tokens is not None and kept.usage.completion_tokens >= run.max_completion_tokens:
            await self._finish(kept, "incomplete", "max_completion_tokens")
        else:
            reason = await self._asked(kept, await self._request(kept))
            if reason == "length":
                self._cut(kept)
                await self._finish(kept, "incomplete", "max_completion_tokens")
            elif kept.steps[-1].type == "tool_calls":
                details = kept.steps[-1].step_details
                assert isinstance(details, ToolCallsDetails)
                calls = [one for one in details.tool_calls if isinstance(one, FunctionStepCall)]
                wanted = [RunToolCall.of(one.id, one.function.name, one.function.arguments) for one in calls]
                kept.become("requires_action", required_action=RequiredAction.of(wanted))
            else:
                await self._message_ends(kept, "completed")
                kept.end_step("completed", kept.last)
                kept.become("completed")

    async def _asked(self, kept: Kept, request: ChatCompletionRequest) -> str | None:
        """Have the model answer once it has room, and return why it stopped."""
        while True:
            try:
                return await self._say(kept, request)
            except Busy:
                if kept.run.status != "queued":
                    raise
                await asyncio.sleep(0.05)

    async def _say(self, kept: Kept, request: ChatCompletionRequest) -> str | None:
        """Have the model answer, and return why it stopped."""
        calls: list[FunctionStepCall] = []
        reason, kept.last, text = None, RunUsage(), ""
        async with aclosing(self._jan.chat.create_stream(request)) as chunks:
            async for chunk in chunks:
                if kept.run.status == "queued":
                    kept.become("in_progress")
                if chunk.usage is not None:
                    kept.last = RunUsage.of(chunk.usage)
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    if choice.delta.content:
                        text += choice.delta.content
                        self._text(kept, choice.delta.content)
                    for delta in choice.delta.tool_calls or ():
                        if delta.index == len(calls):
                            await self._message_ends(kept, "completed")
                            self._call(kept, calls, delta.id or new_id("call_"), delta.function.name)
                        arguments = delta.function.arguments or "" if delta.function is not None else ""
                        if arguments:
                            calls[delta.index].function.arguments += arguments
                            kept.tell(
                                "thread.run.step.delta",
                                RunStepDelta.of(kept.steps[-1].id, delta.index, arguments=arguments),
                            )
        kept.usage = kept.usage.plus(kept.last)
        if not text and not calls:
            self._text(kept, "")
        asked = [one.model_dump(exclude={"function": {"output"}}) for one in calls]
        kept.rounds.append({"role": "assistant", "content": text, **({"tool_calls": asked} if asked else {})})
        return reason

    def _text(self, kept: Kept, text: str) -> None:
        """More of a text, and the step and the message where it is the first."""
        first = kept.message is None
        if kept.message is None:
            run = kept.run
            kept.message = Message(
                id=new_id("msg_"),
                created_at=now(),
                thread_id=run.thread_id,
                status="in_progress",
                role="assistant",
                content=[],
                assistant_id=run.assistant_id,
                run_id=run.id,
                attachments=[],
            )
            creation = MessageCreation(message_id=kept.message.id)
            kept.begin_step(MessageCreationDetails(message_creation=creation))
            kept.tell("thread.message.created", kept.message)
            kept.tell("thread.message.in_progress", kept.message)
            kept.message.content = [TextPart(text=AnnotatedText(value=""))]
        part = kept.message.content[0]
        assert isinstance(part, TextPart)
        part.text.value += text
        if text:
            kept.tell("thread.message.delta", MessageDelta.of(kept.message.id, text, first=first))

    def _call(self, kept: Kept, calls: list[FunctionStepCall], id: str, name: str) -> None:
        """A further call, and the step where it is the first."""
        calls.append(FunctionStepCall(id=id, function=FunctionStepCallBody(name=name, arguments="")))
        if len(calls) == 1:
            kept.end_step("completed", RunUsage())
            kept.begin_step(ToolCallsDetails(tool_calls=[]))
        details = kept.steps[-1].step_details
        assert isinstance(details, ToolCallsDetails)
        details.tool_calls.append(calls[-1])
        kept.tell("thread.run.step.delta", RunStepDelta.of(kept.steps[-1].id, len(calls) - 1, id=id, name=name))

    async def _message_ends(self, kept: Kept, status: str, reason: Any = None) -> None:
        """What it is saying ends, and enters the thread."""
        if kept.message is None:
            return
        changes: dict[str, Any] = {"status": status, f"{status}_at": now()}
        if reason is not None:
            changes["incomplete_details"] = IncompleteDetails(reason=reason)
        message = kept.message.model_copy(update=changes)
        await self._jan.messages.put(message)
        kept.message = None
        kept.tell(f"thread.message.{status}", message)

    def _cut(self, kept: Kept) -> None:
        """A limit has come in the middle of the answer: calls are no calls then."""
        if kept.steps[-1].type == "tool_calls":
            error = RunError(code="server_error", message="The calls are not whole: the answer came to its limit.")
            kept.end_step("failed", kept.last, error)

    async def _failed(self, kept: Kept, error: JanError) -> None:
        await self._finish(kept, "failed", error=RunError.of(error))

    async def _finish(self, kept: Kept, status: str, reason: Any = None, *, error: RunError | None = None) -> None:
        """The run ends, and with it what it is saying and its step."""
        with suppress(JanError):  # the messages cannot be stored: the run ends all the same
            await self._message_ends(kept, "incomplete", _REASONS[status])
        kept.message = None
        if kept.run.status == "queued" and status in ("failed", "incomplete"):
            kept.become("in_progress")
        kept.end_step(status, kept.last, error)
        details = RunIncompleteDetails(reason=reason) if reason is not None else None
        kept.become(status, incomplete_details=details, last_error=error)

    async def _request(self, kept: Kept) -> ChatCompletionRequest:
        """What the model is asked."""
        run = kept.run
        names = ChatCompletionRequest.model_fields.keys() - {"model", "messages", "tools", "response_format", "stream"}
        asked = {name: value for name, value in kept.parameters.items() if name in names}
        if run.response_format != "auto":
            asked["response_format"] = run.response_format.model_dump(mode="json", exclude_unset=True)
        if run.tools:
            asked["tools"] = [_function(tool) for tool in run.tools]
            choice = run.tool_choice
            forced = choice not in ("none", "auto")
            # What is demanded is demanded once: then the model has called, and may answer.
            asked["tool_choice"] = "auto" if forced and kept.rounds else _json(choice)
            asked["parallel_tool_calls"] = run.parallel_tool_calls
        if run.max_completion_tokens is not None:
            asked.pop("max_tokens", None)
            asked["max_completion_tokens"] = run.max_completion_tokens - kept.usage.completion_tokens
        messages = [{"role": "system", "content": run.instructions}] if run.instructions else []
        messages += [_said(one) for one in await self._messages(run)] or [{"role": "user", "content": ""}]
        try:
            return ChatCompletionRequest.model_validate(
                {
                    **asked,
                    "model": run.model,
                    "messages": messages + kept.rounds,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
            )
        except ValidationError as error:
            raise InvalidRequest(f"The model cannot be asked this: {error.errors()[0]['msg']}.") from None

    async def _messages(self, run: Run) -> list[Message]:
        """The messages that the model is shown, oldest first."""
        most = run.truncation_strategy.last_messages
        found: list[Message] = []
        after = None
        while most is None or len(found) < most:
            query = MessagesQuery(limit=100, after=after)
            page = await self._jan.messages.list(run.thread_id, query)
            found += [one for one in page.data if one.run_id != run.id]
            after = page.last_id
            if not page.has_more:
                break
        return found[:most][::-1]


def _late(run: Run) -> bool:
    return run.expires_at is not None and run.expires_at <= now()


def _left(run: Run) -> float | None:
    """Seconds until a run expires; None where it does not."""
    return None if run.expires_at is None else max(0.0, run.expires_at - time.time())


def _json(value: Any) -> Any:
    return value if isinstance(value, str) else value.model_dump(mode="json")


def _function(tool: Any) -> dict[str, Any]:
    if tool.type != "function":
        raise InvalidRequest(f"The tool {tool.type} needs files, which are not kept here; leave it out.", param="tools")
    return dict(tool.model_dump(mode="json", exclude_unset=True))


def _said(message: Message) -> dict[str, Any]:
    """A message of the thread, as the model is shown it."""
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if part.type == "image_file":
            raise InvalidRequest(f"The message {message.id} has an image_file, and no files are kept here.")
        if part.type == "text":
            parts.append({"type": "text", "text": part.text.value})
        else:
            parts.append(part.model_dump(mode="json", exclude_unset=True))
    if len(parts) == 1 and parts[0]["type"] == "text":
        return {"role": message.role, "content": parts[0]["text"]}
    return {"role": message.role, "content": parts}
