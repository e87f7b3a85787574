"""The clauses of `runs` about what comes in between: a deletion, a cancel elsewhere, a limit, the end of an app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from jan_core.errors import NotFound
from jan_core.schemas.runs import RunRequest, ThreadRunRequest
from jan_core.testing.contract.case import Broken, holds, meanwhile, same
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import ENDS, message_stands, story
from jan_core.testing.contract.runs_case import LONG, SOON, OfRuns, RunsCase, calling, script, text_of

Look = Callable[[Any, Any], Awaitable[Any]]


class RunsBreaking(OfRuns):
    """What breaks off."""

    @clause
    async def test_64_a_deletion_is_told(self, case: RunsCase) -> None:
        """A stream whose thread is deleted ends with the error `thread_not_found`, and not as if all were well."""
        thread = await case.thread(LONG)
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "stream": True})
        told: list[Any] = []
        try:
            async with asyncio.timeout(SOON), aclosing(case.tested.create_stream(thread, body)) as events:  # type: ignore[attr-defined]
                async for event in events:
                    told.append((event.event, event.data.model_dump(mode="json")))
                    if event.event == "thread.message.delta" and len(told) == 8:
                        await case.ask("threads.delete", thread)
        except NotFound as error:
            same("the code of the error", error.code, "thread_not_found")
        except TimeoutError:
            raise Broken(f"the stream does not end within {SOON:.0f} seconds after its thread was deleted") from None
        else:
            holds(False, f"the stream ends as if all were well, with {told[-1][0]}")
        story(told, whole=False)
        thread = await case.thread(LONG)
        fields = {"assistant_id": await case.usual(), "stream": True}
        async with asyncio.timeout(SOON):
            reply, _ = await asyncio.gather(
                case.http.request("POST", f"/threads/{thread}/runs", json=fields), _deleted(case, thread)
            )
        *_, last = (block.split("\n") for block in reply.text.split("\n\n") if block)
        same("the last event over HTTP", last[0], "event: error")
        found = json.loads(last[1].removeprefix("data: "))
        same("its code", found["error"]["code"], "thread_not_found")

    @clause
    async def test_65_an_empty_thread(self, case: RunsCase) -> None:
        """In a thread without messages the assistant answers too: a greeting, or what its instructions ask for."""
        thread = await case.thread()
        with case.asked() as asked:
            heard = await case.hear(thread)
            same("how it ended", heard.run["status"], "completed")
            body = body_of(ThreadRunRequest, {"assistant_id": await case.usual()})
            made = await case.ask("runs.create_thread", body)
            await case.ended(made.thread_id, made.id)
        for made_in in (thread, made.thread_id):
            same("the messages", [one["role"] for one in await case.messages(made_in)], ["assistant"])
        same("how often the model was asked", len(asked), 2)

    @clause
    async def test_66_calls_that_a_limit_cut(self, case: RunsCase) -> None:
        """Calls that a limit cut are no calls: their step is `failed` and says so, the run `incomplete`."""
        for text in (calling("add", "add"), script(say=["One ", "moment."], call=[{"name": "add"}])):
            thread = await case.thread(text)
            with case.around("chat.create_stream", _through(_cut)):
                heard = await case.hear(thread)
            run = await case.read(thread, heard.run["id"])
            told = (run["status"], run["incomplete_details"], run["last_error"])
            same("how the run ended", told, ("incomplete", {"reason": "max_completion_tokens"}, None))
            *before, step = await case.steps(thread, run["id"])
            same("the step", (step["type"], step["status"]), ("tool_calls", "failed"))
            holds(len(step["last_error"]["message"]) > 10, f"it says why with {step['last_error']['message']!r}")
            same("the steps before", [one["status"] for one in before], ["completed"] * len(before))
            said = (await case.messages(thread))[1:]
            same("what was said", [(one["status"], text_of(one)) for one in said], _SAID[: len(before)])
            await case.say(thread, "hello")
            await case.done(thread)

    @clause
    async def test_67_a_cancel_from_elsewhere_is_told(self, case: RunsCase) -> None:
        """Who listens hears `cancelling`, once, before the end, whichever app on the storage was asked to cancel."""
        async with case.again() as other:
            for one in (other, case):
                thread = await case.thread(LONG)
                async with meanwhile(case.hear(thread)) as listening:
                    run = await _saying(case, thread)
                    await one.cancel(thread, run)
                    heard = await listening
                same("the statuses", heard.statuses, ["queued", "in_progress", "cancelling", "cancelled"])

    @clause
    async def test_68_a_text_before_calls_is_said_once(self, case: RunsCase) -> None:
        """An app that is closed between a text and its calls leaves the text once, and a run that ends and says why."""
        for listens in (True, False):
            listening: list[asyncio.Task[Any]] = []
            async with case.again() as other:
                thread = await other.thread(script(say=["One ", "moment."], call=[{"name": "add"}]))
                body = body_of(RunRequest, {"assistant_id": await other.usual(), "stream": listens})
                with other.around("chat.create_stream", _through(_hanging)):
                    if listens:
                        stream = other.listened("runs.create_stream", thread, body)
                        listening.append(asyncio.create_task(stream))
                    else:
                        await other.ask("runs.create", thread, body)
                    run = await _calling(other, thread)
            # What the listener gets at the end of its app is no matter here.
            await asyncio.gather(*listening, return_exceptions=True)
            async with case.again() as other:
                ended = await other.until(thread, run, *ENDS, "requires_action")
                steps = await other.steps(thread, run)
                said = (await other.messages(thread))[1:]
                same("the texts", [text_of(one) for one in said], ["One moment."])
                for one in said:
                    message_stands(one)
                same("the statuses", [one["status"] for one in steps], ["completed", "failed"])
                same("how the run ended", (ended["status"], ended["last_error"]["code"]), ("failed", "server_error"))
                await other.say(thread, "hello")
                await other.done(thread)


_SAID = [("completed", "One moment.")]


def _through(change: Callable[[Any], AsyncIterator[Any]]) -> Look:
    """A wrapper that changes the chunks of an answer."""

    async def look(proceed: Any, body: Any) -> Any:
        return change(await proceed(body))

    return look


async def _cut(chunks: Any) -> AsyncIterator[Any]:
    """The answer, as a limit in the middle of its last call ends it."""
    async with aclosing(chunks):
        async for chunk in chunks:
            for choice in chunk.choices:
                choice.finish_reason = "length" if choice.finish_reason else None
            yield chunk


async def _hanging(chunks: Any) -> AsyncIterator[Any]:
    """The answer, up to the beginning of its first call."""
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk
            if any(choice.delta.tool_calls for choice in chunk.choices):
                await asyncio.get_running_loop().create_future()


async def _saying(case: RunsCase, thread: str) -> str:
    """The id of the run of a thread, once it says something."""
    try:
        async with asyncio.timeout(SOON):
            while True:
                told = await case.ask("runs.unfinished", thread)
                if told is not None and told.message is not None and told.message.content:
                    return str(told.run.id)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise Broken(f"a run says nothing within {SOON:.0f} seconds") from None


async def _deleted(case: RunsCase, thread: str) -> None:
    """Delete a thread once its run says something."""
    await _saying(case, thread)
    await case.ask("threads.delete", thread)


async def _calling(case: RunsCase, thread: str) -> str:
    """The id of the run of a thread, once it has a step that calls."""
    try:
        async with asyncio.timeout(SOON):
            while True:
                told = await case.ask("runs.unfinished", thread)
                if told is not None and any(
                    step.type == "tool_calls" for step in (await case.ask("runs.kept", thread, told.run.id)).steps
                ):
                    return str(told.run.id)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise Broken(f"a run calls nothing within {SOON:.0f} seconds") from None
