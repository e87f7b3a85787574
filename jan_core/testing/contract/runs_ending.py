"""The clauses of `runs` about ends that are none of success: cancelled, at a limit, failed, expired."""

from __future__ import annotations

import asyncio
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import RunRequest, RunsQuery, ToolOutputsRequest
from jan_core.testing.contract.case import holds, same, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import message_stands, run_stands
from jan_core.testing.contract.runs_case import ADD, LONG, SOON, OfRuns, RunsCase, outputs_of, script, text_of

_FAILURES = {
    "engine_error": "server_error",
    "queue_full": "rate_limit_exceeded",
}
"""What an engine fails with, and what becomes of it."""


class RunsEnding(OfRuns):
    """How a run ends."""

    @clause
    async def test_29_cancelling_stops_an_answer(self, case: RunsCase) -> None:
        """A cancelled run is `cancelling`, then `cancelled`; the model stops, and what was said stays, `incomplete`."""
        closed = asyncio.Event()

        async def look(proceed: Any, body: Any) -> Any:
            events = await proceed(body)

            async def through() -> Any:
                try:
                    async for event in events:
                        yield event
                finally:
                    closed.set()

            return through()

        with case.around("chat.create_stream", look):
            thread, run = await case.answering(LONG)
            reply = await case.cancel(thread, run["id"])
            run_stands(reply)
            holds(reply["status"] in ("cancelling", "cancelled"), f"the reply says {reply['status']}")
            ended = await case.ended(thread, run["id"], "cancelled")
            try:
                await asyncio.wait_for(closed.wait(), SOON)
            except TimeoutError:
                holds(False, "the model's stream was not closed")
        holds(ended["cancelled_at"] >= ended["started_at"], "it was cancelled before it started")
        step = await case.only_step(thread, run["id"])
        same("the step", step["status"], "cancelled")
        said = await case.answer(thread)
        message_stands(said)
        same("what was said", (said["status"], said["run_id"]), ("incomplete", run["id"]))
        same("why it broke off", said["incomplete_details"], {"reason": "run_cancelled"})
        holds("once upon a time ".startswith(text_of(said)) and text_of(said), f"its text is {text_of(said)!r}")
        await case.say(thread, "go on")
        with case.asked() as asked:
            await case.done(thread)
        same("what the model is shown then", asked[0]["messages"][1]["content"], text_of(said))

    @clause
    async def test_30_cancelling_ends_a_wait(self, case: RunsCase) -> None:
        """A run that waits for outputs can be cancelled, from any app; then it takes none, and its thread is free."""
        for elsewhere in (False, True):
            thread, run, calls = await case.waiting()
            async with case.again() as other:
                await (other if elsewhere else case).cancel(thread, run["id"])
                await case.ended(thread, run["id"], "cancelled")
            step = await case.only_step(thread, run["id"])
            same("the step", (step["type"], step["status"]), ("tool_calls", "cancelled"))
            body = body_of(ToolOutputsRequest, outputs_of(dict.fromkeys(calls, "late")))
            expected = {"code": "run_not_waiting", "status": 400}
            await case.refused(InvalidRequest, "runs.submit_tool_outputs", thread, run["id"], body, **expected)
            same("the messages", len(await case.messages(thread)), 1)
            await case.say(thread, "hello")
            await case.done(thread)

    @clause
    async def test_31_what_ended_stays_as_it_ended(self, case: RunsCase) -> None:
        """A run that ended cannot be cancelled, 400, `run_ended`; cancelled again meanwhile, it is what it is."""
        thread, run = await case.answering(LONG)
        async with case.again() as other:
            wishes = (case.cancel(thread, run["id"]), other.cancel(thread, run["id"]))
            found = await asyncio.gather(*wishes, return_exceptions=True)
        for one in found:
            # The later one may find that the run has ended by then.
            if isinstance(one, BaseException) and "run_ended" not in (getattr(one, "code", ""), *str(one).split("'")):
                raise one
        same("which run", {one["id"] for one in found if isinstance(one, dict)}, {run["id"]})
        cancelled = await case.ended(thread, run["id"], "cancelled")
        other_thread = await case.thread("hello")
        completed = await case.done(other_thread)
        for one in (cancelled, completed):
            expected = {"code": "run_ended", "status": 400}
            await case.refused(InvalidRequest, "runs.cancel", one["thread_id"], one["id"], **expected)
            status, _ = await case.send("POST", f"/threads/{one['thread_id']}/runs/{one['id']}/cancel")
            same("the status over HTTP", status, 400)
            same("the run", await case.read(one["thread_id"], one["id"]), one)

    @clause
    async def test_32_cancelled_at_any_moment(self, case: RunsCase) -> None:
        """A run that is cancelled at whatever moment ends, and its thread is free; nothing is in progress any more."""
        for number in range(12):
            called = [{"name": "add"}] if number % 2 else []
            thread = await case.thread(script(say=["a"] * number, call=called, rate=1000))
            run = await case.begin(thread)
            await asyncio.sleep(number % 4 * number / 4000)
            try:
                await case.ask("runs.cancel", thread, run["id"])
            except InvalidRequest as error:
                same("the code of a refusal", error.code, "run_ended")
            ended = await case.until(thread, run["id"], "cancelled", "completed")
            for step in await case.steps(thread, run["id"]):
                holds(step["status"] != "in_progress", f"a step is in progress in a run that is {ended['status']}")
            for said in (await case.messages(thread))[1:]:
                message_stands(said)
                holds(said["status"] != "in_progress", f"a message is in progress in a run that is {ended['status']}")
            same("what is unfinished", await case.ask("runs.unfinished", thread), None)

    @clause
    async def test_33_at_most_so_many_tokens_written(self, case: RunsCase) -> None:
        """At `max_completion_tokens`, of all answers together, it ends `incomplete`, and so does what was said."""
        thread = await case.thread(script(say=["x"] * 300))
        run = await case.done(thread, "incomplete", max_completion_tokens=256)
        same("why", run["incomplete_details"], {"reason": "max_completion_tokens"})
        said = await case.answer(thread)
        message_stands(said)
        told = (said["status"], said["incomplete_details"], text_of(said))
        same("what was said", told, ("incomplete", {"reason": "max_tokens"}, "x" * 256))
        step = await case.only_step(thread, run["id"])
        same("the step", step["status"], "completed")
        thread, run, calls = await case.waiting(
            script(say=["x"] * 200, call=[{"name": "add"}]), max_completion_tokens=256
        )
        with case.asked() as asked:
            await case.submit(thread, run["id"], dict.fromkeys(calls, script(say=["y"] * 300)))
            run = await case.ended(thread, run["id"], "incomplete")
        left = 256 - 202
        same("what the second answer may have", asked[0]["max_completion_tokens"], left)
        same("the texts", (await case.texts(thread))[1:], ["x" * 200, "y" * left])
        same("what it took", run["usage"]["completion_tokens"], 256)
        thread = await case.thread(script(say=["x"] * 300), parameters={"max_tokens": 10})
        with case.asked() as asked:
            run = await case.done(thread, "incomplete", max_completion_tokens=256)
        same("the texts with the thread's own limit", (await case.texts(thread))[1], "x" * asked_for(asked[0]))

    @clause
    async def test_34_at_most_so_many_tokens_read(self, case: RunsCase) -> None:
        """A run that has read `max_prompt_tokens` asks the model no more: it ends `incomplete`."""
        text = script(call=[{"name": "add"}], prompt_tokens=300)
        thread, run, calls = await case.waiting(text, max_prompt_tokens=256)
        with case.asked() as asked:
            await case.submit(thread, run["id"], dict.fromkeys(calls, "done"))
            run = await case.ended(thread, run["id"], "incomplete")
        same("why", run["incomplete_details"], {"reason": "max_prompt_tokens"})
        same("how often the model was asked", len(asked), 0)
        same("the steps", [one["status"] for one in await case.steps(thread, run["id"])], ["completed"])
        same("the messages", len(await case.messages(thread)), 1)

    @clause
    async def test_35_a_failing_engine(self, case: RunsCase) -> None:
        """Where the model fails the run is `failed` and says why; what was said stays, and the next run goes."""
        for failure, code in _FAILURES.items():
            # A full queue is waited for; where an answer has begun there is nothing to wait for any more.
            for after in (2,) if failure == "queue_full" else (0, 2):
                thread = await case.thread(script(say=["a", "b", "c"], fail=failure, fail_after=after))
                run = await case.done(thread, "failed")
                same(f"the code for {failure}", run["last_error"]["code"], code)
                holds(len(run["last_error"]["message"]) > 10, f"it says why with {run['last_error']['message']!r}")
                steps = await case.steps(thread, run["id"])
                same("the steps", [step["status"] for step in steps], ["failed"] if after else [])
                for step in steps:
                    same("why the step failed", step["last_error"]["message"], run["last_error"]["message"])
                said = (await case.messages(thread))[1:]
                same("what was said", [text_of(one) for one in said], ["ab"] if after else [])
                for one in said:
                    message_stands(one)
                    told = (one["status"], one["incomplete_details"])
                    same("how it broke off", told, ("incomplete", {"reason": "run_failed"}))
                await case.say(thread, "hello")
                await case.done(thread)

    @clause
    async def test_36_a_model_that_is_not_there(self, case: RunsCase) -> None:
        """Where the model is not there no run begins: 400, `model_not_found`, naming the model."""
        expected = {"param": "model", "code": "model_not_found", "status": 400}
        for fields in ({"model": "no-such-model"}, {"assistant_id": await case.assistant(model="no-such-model")}):
            thread = await case.thread("hello")
            body = body_of(RunRequest, {"assistant_id": "jan", **fields})
            refusal = await case.refused(InvalidRequest, "runs.create", thread, body, **expected)
            holds("no-such-model" in refusal.message, f"it says {refusal.message!r}")
            same("the runs", (await case.ask("runs.list", thread, RunsQuery())).data, [])
            await case.done(thread)

    @clause
    async def test_37_what_needs_files(self, case: RunsCase) -> None:
        """What needs files has the run fail and say so: `file_search`, `code_interpreter`, `image_file`."""
        image = {"type": "image_file", "image_file": {"file_id": "file-1"}}
        with_image = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}, image]}]}
        for thread, fields, word in (
            ({}, {"tools": [{"type": "file_search"}]}, "file_search"),
            ({}, {"tools": [ADD, {"type": "code_interpreter"}]}, "code_interpreter"),
            (with_image, {}, "image_file"),
        ):
            made = await case.thread(*([] if thread else ["hello"]), **thread)
            with case.asked() as asked:
                run = await case.done(made, "failed", **fields)
            same("the code", run["last_error"]["code"], "invalid_prompt")
            message = run["last_error"]["message"]
            holds(word in message and "file" in message, f"it says {message!r}, and nothing of {word}")
            same("how often the model was asked", len(asked), 0)
            same("the messages", len(await case.messages(made)), 1)

    @clause
    async def test_38_a_wait_that_is_too_long(self, case: RunsCase) -> None:
        """A run beyond its `expires_at` is `expired`, with its step; it takes no outputs, and its thread is free."""
        async with case.expiring() as brief:
            thread, run, calls = await brief.in_time(brief.waiting)
            same("when it expires", run["expires_at"] - run["created_at"], 2)
            ended = await brief.ended(thread, run["id"], "expired")
            same("when it was to expire", ended["expires_at"], run["expires_at"])
            step = await brief.only_step(thread, run["id"])
            same("the step", step["status"], "expired")
            body = body_of(ToolOutputsRequest, outputs_of(dict.fromkeys(calls, "late")))
            expected = {"code": "run_not_waiting", "status": 400}
            await brief.refused(InvalidRequest, "runs.submit_tool_outputs", thread, run["id"], body, **expected)
            await case.say(thread, "hello")
            await case.done(thread)
            same("elsewhere", written(await case.ask("runs.retrieve", thread, run["id"])), ended)
            endless = script(say=["a", "b"], hang=True)
            thread, run = await brief.in_time(lambda: brief.answering(endless))
            ended = await brief.ended(thread, run["id"], "expired")
            said = await brief.answer(thread)
            message_stands(said)
            told = (said["status"], said["incomplete_details"], text_of(said))
            same("an answer that takes longer", told, ("incomplete", {"reason": "run_expired"}, "ab"))
            same("its step", (await brief.only_step(thread, run["id"]))["status"], "expired")
            for text in (script(wait=SOON), script(fail="queue_full")):
                thread = await brief.thread(text)
                heard = await brief.hear(thread)
                same("the statuses", heard.statuses, ["queued", "expired"])
                same("the steps", await brief.steps(thread, heard.run["id"]), [])
                same("the messages", len(await brief.messages(thread)), 1)
                await case.say(thread, "hello")
                await case.done(thread)


def asked_for(request: dict[str, Any]) -> int:
    """How many tokens a chat request allows."""
    found = [request[name] for name in ("max_tokens", "max_completion_tokens") if name in request]
    same("how many limits the model is given", len(found), 1)
    return int(found[0])
