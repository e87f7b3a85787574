"""An assistant's own `run` in the place of the model: what its code says and does, as the answers of one.

A piece of text is one of an answer, and what the code has done ends an answer with a call, whose output is there
already. So its runs are stored, told, cancelled and found after a crash as all others are; only that they began is
noted before they do, and such a run is not begun a second time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from jan_code.conversation import Begins, Said, Used
from typing_extensions import override

from jan_core import call
from jan_core.errors import InvalidRequest, NotFound
from jan_core.ids import new_id, now
from jan_runs.asking import Asked, Conversation, readable
from jan_runs.beginning import going
from jan_runs.prompt import Prompt, newest_messages
from jan_runs.tools import Toolbox

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk, FinishReason
    from jan_core.schemas.runs import KeptRun, Run, RunEvent
    from jan_core.schemas.tools import AssistantFunctionTool
    from jan_runs.interrupt import Interrupt
    from jan_runs.notes import Notes
    from jan_runs.record import Record
    from jan_runs.tools import OwnEvent


class OwnRun(Toolbox):
    """One run that is the code's: it is asked in the place of the model, and knows what came of its calls.

    Args:
        jan: gives the thread, the assistant and the messages.
        toolbox: carries out the code.
        record: the run as it is stored.
        notes: what is noted of it.
        interrupt: the wish that it be cancelled.
    """

    def __init__(self, jan: Jan, toolbox: Toolbox, record: Record, notes: Notes, interrupt: Interrupt) -> None:
        self._jan, self._toolbox, self._record = jan, toolbox, record
        self._notes, self._interrupt = notes, interrupt
        self._events: AsyncGenerator[OwnEvent] | None = None
        self._output = ""

    async def ask(
        self,
        run: Run,
        notes: Notes,
        limit: int | None,
        own: Sequence[AssistantFunctionTool] = (),
        read: Conversation | None = None,
    ) -> Asked:
        """What the code says until it has done something, or has ended; as `Asking.ask`.

        Raises:
            JanError: the code cannot be begun, or fails.
            Interrupted, NotFound, NotStored: as `Record.change`.
        """
        if self._events is None:
            context = await self._context(run, notes, limit)
            self._events = self._toolbox.run(run.assistant_id, context)
            await anext(self._events)  # its turn has come, and nothing has been done yet
            with self._interrupt.storing():
                await self._record.change(self._begins)
        rest = self._answer(self._events, run.model)
        return Asked(await anext(rest), rest)

    async def close(self) -> None:
        """End it, wherever it is."""
        if self._events is not None:
            await self._events.aclose()

    @override
    async def tools(self, assistant_id: str) -> Sequence[AssistantFunctionTool]:
        return ()

    @override
    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        return self._output

    def _begins(self, kept: KeptRun) -> list[RunEvent]:
        self._notes.own_run = True
        self._notes.to(kept)
        return going(kept)

    async def _context(self, run: Run, notes: Notes, limit: int | None) -> dict[str, Any]:
        """What the code gets, as JSON."""
        thread = await self._jan.threads.retrieve(run.thread_id)
        try:
            assistant = await self._jan.assistants.retrieve(run.assistant_id)
        except NotFound as error:
            raise InvalidRequest(error.message, param=error.param, code=error.code) from None
        messages = await newest_messages(self._jan, run, notes, await readable(self._jan, run))
        prompt = Prompt(run, notes, messages)
        request = prompt.request(len(prompt), limit)
        return {
            "thread": thread.model_dump(mode="json"),
            "assistant": assistant.model_dump(mode="json"),
            "run": run.model_dump(mode="json"),
            "messages": [one.model_dump(mode="json") for one in messages],
            "request": request.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }

    async def _answer(self, events: AsyncGenerator[OwnEvent], model: str) -> AsyncIterator[ChatCompletionChunk]:
        """What the code says next, as the chunks of an answer, up to something that it has done."""
        head: dict[str, Any] = {"id": new_id("chatcmpl-", 29), "created": now(), "model": model}
        read = written = 0
        finish: FinishReason = "stop"
        while True:
            try:
                event = await anext(events)  # which is gone on with when nobody takes more of this
            except StopAsyncIteration:
                break
            if isinstance(event, Said):
                yield _chunk(head, {"content": event.text})
            elif isinstance(event, Used):
                read, written = read + event.prompt_tokens, written + event.completion_tokens
                if (context := call.current()) is not None:  # counts where the run is cut short
                    context.prompt_tokens, context.completion_tokens = read, written
            elif not isinstance(event, Begins):
                self._output, finish = event.output, "tool_calls"
                function = {"name": event.name, "arguments": event.arguments}
                called = {"index": 0, "id": new_id("call_"), "type": "function", "function": function}
                yield _chunk(head, {"tool_calls": [called]})
                break
        head["usage"] = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        yield _chunk(head, {}, finish)


def _chunk(head: dict[str, Any], delta: dict[str, Any], finish: FinishReason | None = None) -> ChatCompletionChunk:
    from jan_core.schemas.chat import ChatCompletionChunk

    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return ChatCompletionChunk.of_values({**head, "choices": [choice]})
