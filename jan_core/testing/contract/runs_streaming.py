"""The clauses of `runs` about its events: their order, what they add up to, and those who leave."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from jan_core.schemas.runs import RunRequest
from jan_core.testing.contract.case import holds, meanwhile, same, settled
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import Story, story
from jan_core.testing.contract.runs_case import LONG, SOON, OfRuns, RunsCase, calling, script, text_of

_PLAIN = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


class RunsStreaming(OfRuns):
    """Events."""

    @clause
    async def test_39_the_events_of_an_answer(self, case: RunsCase) -> None:
        """The stream of an answer has these events in this order, and its deltas as the model said them."""
        for _ in range(2):
            thread = await case.thread(script(say=["Hel", "lo \U0001f600"]))
            heard = await case.hear(thread)
            same("the events", heard.names, _PLAIN)
            same("the pieces", [*heard.pieces.values()], [["Hel", "lo \U0001f600"]])
            await self._is_stored(case, heard)

    @clause
    async def test_40_the_events_of_calls(self, case: RunsCase) -> None:
        """A stream ends with `requires_action`; with the outputs it goes on with the end of the step, then `queued`."""
        for text in (calling("add", "add"), script(say=["One ", "moment."], call=[{"name": "add", "arguments": "{"}])):
            thread = await case.thread(text)
            heard = await case.hear(thread)
            same("the last event", heard.names[-1], "thread.run.requires_action")
            await self._is_stored(case, heard)
            outputs = dict.fromkeys(case.calls(heard.run), "done now")
            then = story(await case.submit_heard(thread, heard.run["id"], outputs), resumed=True)
            begins = ["thread.run.step.completed", "thread.run.queued", *_PLAIN[2:]]
            same("the events then", then.names, begins)
            same("the run", then.run["id"], heard.run["id"])
            await self._is_stored(case, then)

    @clause
    async def test_41_the_events_of_other_ends(self, case: RunsCase) -> None:
        """A stream tells every other end too: what was being said, and the step, end first, and then the run."""
        broken = ["thread.message.incomplete", "thread.run.step.{}", "thread.run.{}"]
        for text, fields, status, step in (
            (script(say=["a", "b"], fail="engine_error", fail_after=1), {}, "failed", "failed"),
            (script(say=["x"] * 300), {"max_completion_tokens": 256}, "incomplete", "completed"),
        ):
            heard = await case.hear(await case.thread(text), **fields)
            same("the last events", heard.names[-3:], [broken[0], broken[1].format(step), broken[2].format(status)])
            await self._is_stored(case, heard)
        heard = await case.hear(await case.thread("hello"), tools=[{"type": "file_search"}])
        same("the events without an answer", heard.names, [*_PLAIN[:3], "thread.run.failed"])
        for _ in range(2):
            thread = await case.thread(LONG)
            async with meanwhile(case.heard(thread)) as listening:
                run = await _begun(case, thread)
                await case.cancel(thread, run)
                heard = story(await listening)
            same("the statuses", heard.statuses, ["queued", "in_progress", "cancelling", "cancelled"])
            wanted = [one.format("cancelled") for one in broken]
            rest = [name for name in heard.names if name != "thread.run.cancelling"][-3:]
            same("the last events of a cancelled run", rest, wanted)
            await self._is_stored(case, heard)

    @clause
    async def test_42_events_come_as_it_happens(self, case: RunsCase) -> None:
        """Events come while the model speaks, not when it has ended; whoever hears of a message finds it."""
        thread = await case.thread(LONG)
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "stream": True})
        told: list[tuple[str, Any]] = []
        try:
            async with asyncio.timeout(SOON), aclosing(case.tested.create_stream(thread, body)) as events:  # type: ignore[attr-defined]
                async for event in events:
                    told.append((event.event, event.data.model_dump(mode="json")))
                    if event.event == "thread.message.delta":
                        break
        except TimeoutError:
            holds(False, f"there is no delta within {SOON:.0f} seconds, of an answer that goes on")
        heard = story(told, whole=False)
        same("the events so far", heard.names, _PLAIN[:8])
        (said,) = heard.messages
        found = await case.ask("messages.retrieve", thread, said)
        same("the message", found.status, "in_progress")
        await case.cancel(thread, heard.run["id"])
        await case.ended(thread, heard.run["id"], "cancelled")
        thread = await case.thread("hello")
        seen: list[str] = []
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "stream": True})
        async with asyncio.timeout(SOON), aclosing(case.tested.create_stream(thread, body)) as events:  # type: ignore[attr-defined]
            async for event in events:
                if event.event == "thread.message.completed":
                    seen.append((await case.ask("messages.retrieve", thread, event.data.id)).status)
                if event.event == "thread.run.completed":
                    seen.append((await case.ask("runs.retrieve", thread, event.data.id)).status)
                    seen.append(str(await case.ask("runs.unfinished", thread)))
        same("what is found at the event that tells of it", seen, ["completed", "completed", "None"])

    @clause
    async def test_43_who_leaves_loses_nothing(self, case: RunsCase) -> None:
        """A listener that leaves, at whatever event, or is cancelled, changes nothing: the run goes on to its end."""
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "stream": True})
        for number in (1, 2, 3, 5, 8, 9):
            thread = await case.thread(script(say=["a", "b", "c", "d"], rate=100))
            async with aclosing(case.tested.create_stream(thread, body)) as events:  # type: ignore[attr-defined]
                told = [await anext(events) for _ in range(number)]
            await case.ended(thread, told[0].data.id)
            same("the answer", (await case.texts(thread))[1], "abcd")
        thread = await case.thread(script(say=["a", "b", "c", "d"], rate=50))
        async with meanwhile(case.listened("runs.create_stream", thread, body)):
            run_id = await _begun(case, thread)
        await case.ended(thread, run_id)
        same("the answer without a listener", (await case.texts(thread))[1], "abcd")

    @clause
    async def test_44_who_is_slow_holds_up_nobody(self, case: RunsCase) -> None:
        """A listener that does not go on reading holds up neither its run nor others, and gets every event."""
        thread, quick = await case.thread(script(say=["x"] * 3000)), await case.thread("hello")
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "stream": True})
        async with aclosing(case.tested.create_stream(thread, body)) as events:  # type: ignore[attr-defined]
            first = await anext(events)
            told = [(first.event, first.data.model_dump(mode="json"))]
            await settled([case.ended(thread, first.data.id), case.done(quick)])
            try:
                async with asyncio.timeout(SOON):
                    async for event in events:
                        told.append((event.event, event.data.model_dump(mode="json")))
            except TimeoutError:
                holds(False, "the events of a run that has ended do not come to their end")
        heard = story(told)
        same("the pieces", sum(len(pieces) for pieces in heard.pieces.values()), 3000)

    @clause
    async def test_45_streams_at_once(self, case: RunsCase) -> None:
        """Streams of several threads at once each have the events of their own run, all of them, in order."""
        threads = [await case.thread(script(say=[f"{number} "] * 6, rate=100)) for number in range(6)]
        found = await settled([case.hear(thread) for thread in threads])
        for number, (thread, heard) in enumerate(zip(threads, found, strict=True)):
            same("the thread", heard.run["thread_id"], thread)
            same("the pieces", [*heard.pieces.values()], [[f"{number} "] * 6])
            await self._is_stored(case, heard)

    async def _is_stored(self, case: RunsCase, heard: Story) -> None:
        """Look whether what the events told last is what is stored."""
        thread = heard.run["thread_id"]
        same("the run, as it is stored", await case.read(thread, heard.run["id"]), heard.run)
        steps = {step["id"]: step for step in await case.steps(thread, heard.run["id"])}
        waiting = heard.run["status"] == "requires_action"
        for id, step in heard.steps.items():
            holds(id in steps, f"the step {id} is not there")
            if not waiting or step["status"] != "in_progress":
                same("a step, as it is stored", steps[id], step)
        stored = {one["id"]: one for one in await case.messages(thread)}
        same("the messages, as they are stored", {id: stored.get(id) for id in heard.messages}, heard.messages)
        for id, pieces in heard.pieces.items():
            same("the text, as it is stored", text_of(stored[id]), "".join(pieces))


async def _begun(case: RunsCase, thread: str) -> str:
    """The id of the run of a thread, once it says something."""
    try:
        async with asyncio.timeout(SOON):
            while True:
                told = await case.ask("runs.unfinished", thread)
                if told is not None and told.message is not None and told.message.content:
                    return str(told.run.id)
                await asyncio.sleep(0.005)
    except TimeoutError:
        holds(False, f"a run says nothing within {SOON:.0f} seconds")
    raise AssertionError
