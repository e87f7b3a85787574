"""The clauses of `runs` about how one goes on: what the model is shown, what is said, what it takes."""

from __future__ import annotations

import asyncio
from typing import Any

from jan_core.testing.contract.case import holds, same, settled
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.run_grammar import message_stands
from jan_core.testing.contract.runs_case import LONG, SOON, OfRuns, RunsCase, script, text_of

_PICTURE = "data:image/png;base64,iVBORw0KGgo="


class RunsGoing(OfRuns):
    """How a run goes on."""

    @clause
    async def test_14_it_goes_on_by_itself(self, case: RunsCase) -> None:
        """A run goes on without anybody listening, and ends `completed`, with the times of what happened."""
        thread = await case.thread(script(say=["a", "b"], rate=20))
        made = await case.begin(thread)
        run = await case.ended(thread, made["id"])
        holds(run["started_at"] >= made["created_at"], "it started before it was created")
        holds(run["completed_at"] >= run["started_at"], "it was completed before it started")
        heard = await case.hear(await case.thread("hello"))
        same("the statuses", heard.statuses, ["queued", "in_progress", "completed"])
        thread = await case.thread(script(wait=SOON, say=["a"]))
        made = await case.begin(thread)
        await asyncio.sleep(0.1)
        same("the run, while the model has no room", await case.read(thread, made["id"]), made)
        await case.cancel(thread, made["id"])
        run = await case.ended(thread, made["id"], "cancelled")
        same("when it started, where the model never began", run["started_at"], None)

    @clause
    async def test_15_the_answer_is_a_message(self, case: RunsCase) -> None:
        """The answer is one message of the assistant at the end of the thread, and one step that names it."""
        thread = await case.thread(script(say=["Hel", "lo"]))
        run = await case.done(thread)
        step = await case.only_step(thread, run["id"])
        answer = await case.answer(thread)
        message_stands(answer)
        same("the text", text_of(answer), "Hello")
        wanted: dict[str, Any] = {
            "status": "completed",
            "run_id": run["id"],
            "assistant_id": run["assistant_id"],
            "thread_id": thread,
            "content": [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
        }
        same("the message", {name: answer[name] for name in wanted}, wanted)
        same("those that the run made", await case.messages(thread, run_id=run["id"]), [answer])
        same("the other message", (await case.messages(thread))[0]["run_id"], None)
        wanted = {
            "type": "message_creation",
            "status": "completed",
            "run_id": run["id"],
            "assistant_id": run["assistant_id"],
            "thread_id": thread,
            "step_details": {"type": "message_creation", "message_creation": {"message_id": answer["id"]}},
        }
        same("the step", {name: step[name] for name in wanted}, wanted)

    @clause
    async def test_16_the_model_is_shown_the_thread(self, case: RunsCase) -> None:
        """The model is shown the instructions and all messages, oldest first, also earlier answers, and images."""
        picture = {"type": "image_url", "image_url": {"url": _PICTURE, "detail": "low"}}
        first = {"role": "user", "content": [{"type": "text", "text": "one"}, picture]}
        messages = [first, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
        thread = await case.thread(messages=messages)
        with case.asked() as asked:
            await case.done(thread, instructions="Be kind.")
            await case.say(thread, "four")
            await case.done(thread)
        shown: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "text", "text": "one"}, picture]},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]
        same("what the model is shown", asked[0]["messages"], [{"role": "system", "content": "Be kind."}, *shown])
        shown += [{"role": "assistant", "content": "three "}, {"role": "user", "content": "four"}]
        same("what it is shown then", asked[1]["messages"], shown)
        for one in asked:
            same("how it is asked", (one["stream"], one["stream_options"]["include_usage"]), (True, True))

    @clause
    async def test_17_only_the_newest_messages(self, case: RunsCase) -> None:
        """`last_messages` shows the model so many of the newest messages, and the instructions."""
        texts = [f"{number}" for number in range(130)]
        thread = await case.thread(*texts)
        for count in (1, 3, 120, 500):
            with case.asked() as asked:
                strategy = {"type": "last_messages", "last_messages": count}
                await case.done(thread, truncation_strategy=strategy, instructions="Be kind.")
            shown = [(one["role"], one["content"]) for one in asked[0]["messages"]]
            wanted = [("system", "Be kind."), *(("user", text) for text in texts[-count:])]
            same(f"what the model is shown with {count}", shown, wanted)
            answer = (await case.messages(thread, run_id=(await case.runs(thread))[-1]["id"]))[0]["id"]
            await case.ask("messages.delete", thread, answer)
        with case.asked() as asked:
            await case.done(thread)
        same("how many it is shown by default", len(asked[0]["messages"]), 130)

    @clause
    async def test_18_what_is_being_said_can_be_read(self, case: RunsCase) -> None:
        """What is being said is a message `in_progress`, read and listed as the newest one, until it has ended."""
        thread, run = await case.answering(script(say=["once ", "upon "], rate=50, hang=True))
        told = await case.ask("runs.unfinished", thread)
        same("its status", (told.message.status, told.message.run_id), ("in_progress", run["id"]))
        id = told.message.id
        found = await case.ask("messages.retrieve", thread, id)
        same("the message that is read", (found.id, found.status), (id, "in_progress"))
        holds(found.content[0].text.value.startswith("once "), f"its text is {found.content[0].text.value!r}")
        listed = await case.messages(thread)
        same("those that are listed", [one["status"] for one in listed], ["completed", "in_progress"])
        same("the newest", listed[1]["id"], id)
        async with case.again() as other:
            there = await other.ask("runs.unfinished", thread)
            holds(there is not None and there.run.id == run["id"], "another app does not know of the run")
        await case.cancel(thread, run["id"])
        await case.ended(thread, run["id"], "cancelled")
        stored = await case.messages(thread)
        same("when it has ended", [one["id"] for one in stored], [listed[0]["id"], id])
        same("what is unfinished then", await case.ask("runs.unfinished", thread), None)

    @clause
    async def test_19_nothing_said_is_an_empty_message(self, case: RunsCase) -> None:
        """Where the model says nothing, the answer is a message without text."""
        thread = await case.thread(script(say=[]))
        heard = await case.hear(thread)
        same("the status", heard.run["status"], "completed")
        step = await case.only_step(thread, heard.run["id"])
        same("the step", (step["type"], step["status"]), ("message_creation", "completed"))
        same("the texts", (await case.texts(thread))[1:], [""])

    @clause
    async def test_20_usage_is_counted_once(self, case: RunsCase) -> None:
        """The run's usage is what the model read and wrote for it; those of its steps add up to it."""
        thread = await case.thread(script(say=["a", "b", "c"], prompt_tokens=5, call=[{"name": "add"}]))
        made = await case.begin(thread)
        waiting = await case.until(thread, made["id"], "requires_action")
        again = script(say=["d", "e"], prompt_tokens=11)
        await case.submit(thread, made["id"], dict.fromkeys(case.calls(waiting), again))
        run = await case.ended(thread, made["id"])
        wanted = {"prompt_tokens": 16, "completion_tokens": 7, "total_tokens": 23}
        same("the run's usage", run["usage"], wanted)
        steps = await case.steps(thread, run["id"])
        found = {name: sum(step["usage"][name] for step in steps) for name in wanted}
        same("that of its steps together", found, wanted)

    @clause
    async def test_21_text_and_calls(self, case: RunsCase) -> None:
        """Text that comes before calls is a message and a step of its own, done before the step of the calls begins."""
        thread = await case.thread(script(say=["Let me ", "see."], call=[{"name": "add"}]))
        heard = await case.hear(thread)
        same("the status", heard.run["status"], "requires_action")
        steps = await case.steps(thread, heard.run["id"])
        told = [(step["type"], step["status"]) for step in steps]
        same("the steps", told, [("message_creation", "completed"), ("tool_calls", "in_progress")])
        said = await case.messages(thread)
        same("what was said", [text_of(one) for one in said][1:], ["Let me see."])
        same("its status", said[1]["status"], "completed")
        with case.asked() as asked:
            await case.submit(thread, heard.run["id"], dict.fromkeys(case.calls(heard.run), "3"))
            await case.ended(thread, heard.run["id"])
        roles = [one["role"] for one in asked[0]["messages"]]
        same("what the model is shown then", roles, ["user", "assistant", "tool"])
        same("its own words", asked[0]["messages"][1]["content"], "Let me see.")
        same("the messages in the end", (await case.texts(thread))[1:], ["Let me see.", "3 "])

    @clause
    async def test_22_threads_at_once(self, case: RunsCase) -> None:
        """Runs of different threads go on at once, and each answers its own."""
        endless, run = await case.answering(LONG)
        texts = [f"word{number}" for number in range(8)]
        threads = [await case.thread(script(say=[text, " and"] * 5, rate=100)) for text in texts]
        made = await settled([case.begin(thread) for thread in threads])
        for thread, one, text in zip(threads, made, texts, strict=True):
            await case.ended(thread, one["id"])
            same("the answer", (await case.texts(thread))[1], (text + " and") * 5)
        await case.cancel(endless, run["id"])
        await case.ended(endless, run["id"], "cancelled")
