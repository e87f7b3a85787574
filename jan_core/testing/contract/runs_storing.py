"""The clauses of `runs` about keeping them: for good, once only, for every app on the storage."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from pydantic_core import from_json, to_json

from jan_core.errors import Conflict, InvalidRequest
from jan_core.lines import line_of
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.runs import (
    FunctionStepCall,
    FunctionStepCallBody,
    KeptRun,
    Run,
    RunRequest,
    RunsQuery,
    RunStep,
    RunStepsQuery,
    RunUpdate,
    StoredRun,
    ToolCallsDetails,
)
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.contract.case import Broken, holds, same, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.objects_storing import spoil
from jan_core.testing.contract.run_grammar import ENDS, message_stands, run_stands, story
from jan_core.testing.contract.runs_case import ADD, LONG, OfRuns, RunsCase, calling, script

STILL = 10
"""Looks, 20 ms apart, that must find nothing before nothing is taken to have been begun."""
_ENDED: dict[str, Any] = {
    "id": "run_own",
    "created_at": 5,
    "thread_id": "",
    "assistant_id": "asst_gone",
    "status": "failed",
    "last_error": {"code": "rate_limit_exceeded", "message": "Too much, 你好."},
    "started_at": 6,
    "failed_at": 7,
    "model": "gone",
    "instructions": "Be kind.",
    "tools": [ADD, {"type": "file_search"}],
    "metadata": {"a": "b"},
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "temperature": 0.5,
    "truncation_strategy": {"type": "last_messages", "last_messages": 7},
    "tool_choice": {"type": "function", "function": {"name": "add"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
}


class RunsStoring(OfRuns):
    """Storage."""

    @clause
    async def test_55_what_was_answered_is_there_for_others(self, case: RunsCase) -> None:
        """A run that began or changed is at once the same for every app on the same storage, and for the next one."""
        thread = await case.thread(calling())
        made = await case.begin(thread)
        async with case.again() as other:
            run = await other.until(thread, made["id"], "requires_action")
            same("the run here", await case.read(thread, made["id"]), run)
            same("its steps there", await other.steps(thread, made["id"]), await case.steps(thread, made["id"]))
            changed = written(await other.ask("runs.update", thread, made["id"], RunUpdate(metadata={"a": "b"})))
            same("what was changed there", await case.read(thread, made["id"]), changed)
            heard = story(
                await other.submit_heard(thread, run["id"], dict.fromkeys(case.calls(run), "x")), resumed=True
            )
            same("what was heard there", heard.run["status"], "completed")
            same("the end, here", await case.read(thread, run["id"]), heard.run)
            there, second = await other.answering(LONG)
            holds(await case.ask("runs.unfinished", there) is not None, "what goes on there is not known here")
            await case.cancel(there, second["id"])
            await other.ended(there, second["id"], "cancelled")
        async with case.again() as other:
            same("the runs, opened once more", await other.runs(thread), [heard.run])
            same("its steps", await other.steps(thread, run["id"]), await case.steps(thread, run["id"]))
            await other.say(thread, "more")
            await other.done(thread)

    @clause
    async def test_56_a_wait_outlives_its_app(self, case: RunsCase) -> None:
        """A run that waits for outputs goes on waiting when its app is closed, and goes on in another one."""
        async with case.again() as other:
            thread, run, calls = await other.waiting(script(say=["Wait."], call=[{"name": "add"}]), metadata={"a": "b"})
            steps = await other.steps(thread, run["id"])
        async with case.again() as other:
            same("the run", await other.read(thread, run["id"]), run)
            same("its steps", await other.steps(thread, run["id"]), steps)
            same("here", await case.read(thread, run["id"]), run)
            with case.asked() as asked:
                await case.submit(thread, run["id"], dict.fromkeys(calls, "done"))
                ended = await case.ended(thread, run["id"])
        roles = [one["role"] for one in asked[0]["messages"]]
        same("what the model is shown", roles, ["user", "assistant", "tool"])
        same("the metadata", ended["metadata"], {"a": "b"})
        same("the messages", (await case.texts(thread))[1:], ["Wait.", "done "])

    @clause
    async def test_57_nothing_is_in_progress_for_ever(self, case: RunsCase) -> None:
        """A run whose app is closed while it answers goes on in the next one, or ends and says why; once only."""
        async with case.again() as other:
            thread, run = await other.answering(script(say=["once ", "upon ", "a ", "time"], rate=10))
        async with case.again() as other:
            ended = await other.until(thread, run["id"], *ENDS)
            holds(ended["status"] in ("completed", "failed"), f"it is {ended['status']}")
            if ended["status"] == "failed":
                same("the code", ended["last_error"]["code"], "server_error")
            steps = await other.steps(thread, run["id"])
            for step in steps:
                holds(step["status"] != "in_progress", "a step is still in progress")
            said = (await other.messages(thread))[1:]
            for one in said:
                message_stands(one)
                holds(one["status"] != "in_progress", "a message is still in progress")
            same("how many messages and steps there are", (len(said), len(steps)), (1, 1))
            named = steps[0]["step_details"]["message_creation"]["message_id"]
            same("the message of the step", named, said[0]["id"])
            same("what is unfinished", await case.ask("runs.unfinished", thread), None)
            await case.say(thread, "hello")
            await case.done(thread)

    @clause
    async def test_58_a_key_begins_one(self, case: RunsCase) -> None:
        """A request that is repeated under its `Idempotency-Key` begins nothing, and gets the reply of the first."""
        thread, other_thread = await case.thread("hello"), await case.thread("hello")
        fields = {"metadata": {"a": "b"}, "additional_messages": [{"role": "user", "content": "more"}]}
        first = await case.begin(thread, key="k", **fields)
        for _ in range(2):
            same("the answer to a repetition", await case.begin(thread, key="k", **fields), first)
        ended = await case.ended(thread, first["id"])
        await case.ask("runs.update", thread, first["id"], RunUpdate(metadata={}))
        async with case.again() as other:
            for one in (case, other):
                usual = {**fields, "assistant_id": ended["assistant_id"]}
                same("the answer later", await one.begin(thread, key="k", **usual), first)
            texts = await settled([case.begin(other_thread, key="l") for _ in range(4)])
            same("different runs of four requests at once", len({one["id"] for one in texts}), 1)
            await case.ended(other_thread, texts[0]["id"])
        same("the runs", [one["id"] for one in await case.runs(thread)], [first["id"]])
        same("the messages", await case.texts(thread), ["hello", "more", "more "])
        another = await case.begin(other_thread, key="k", **fields)
        holds(another["id"] != first["id"], "a key counts for its thread")
        await case.ended(other_thread, another["id"])
        body = {"assistant_id": await case.usual(), "thread": {"messages": [{"role": "user", "content": "hi"}]}}
        made = [written(await case.ask("runs.create_thread", case.thread_run(body), key="t")) for _ in range(2)]
        same("the answer to a repetition that makes a thread", made[1], made[0])
        await case.ended(made[0]["thread_id"], made[0]["id"])
        same("the threads", len((await case.ask("threads.list", ThreadsQuery(limit=100))).data), 3)
        await self._told_again(case)

    async def _told_again(self, case: RunsCase) -> None:
        """Listen under a key, and again when the assistant is gone."""
        thread = await case.thread("hello")
        made = await case.ask("assistants.create", AssistantRequest(model="scripted"))
        asked = {"key": "h", "assistant_id": made.id, "stream": True}
        first = story(await case.heard(thread, **asked))
        await case.ask("assistants.delete", made.id)
        again = story(await case.heard(thread, **asked))
        same("the run that is told again", again.run, first.run)
        same("its steps and messages", (again.steps, again.messages), (first.steps, first.messages))

    @clause
    async def test_59_a_key_with_another_body(self, case: RunsCase) -> None:
        """A key that came with another body is refused, 409, `idempotency_conflict`, and nothing begins."""
        thread = await case.thread("hello")
        run = await case.done(thread, key="k")
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "temperature": 1})
        expected = {"code": "idempotency_conflict", "status": 409, "key": "k"}
        await case.refused(Conflict, "runs.create", thread, body, **expected)
        for stream in (False, True):
            given = {"assistant_id": await case.usual(), "top_p": 1, "stream": stream}
            status, _ = await case.send("POST", f"/threads/{thread}/runs", given, key="k")
            same("the status over HTTP", status, 409)
        same("the runs", await case.runs(thread), [run])

    @clause
    async def test_60_put_keeps_what_it_is_given(self, case: RunsCase) -> None:
        """`put` stores a run that has ended, with its steps, in place of one of the same id; `kept` gives it back."""
        thread = await case.thread("hello")
        call = FunctionStepCall(id="call_1", function=FunctionStepCallBody(name="add", arguments="{", output="3"))
        about: dict[str, Any] = {"assistant_id": "asst_gone", "thread_id": thread, "run_id": "run_own"}
        steps = [
            RunStep(
                id=f"step_{name}",
                created_at=6,
                type="tool_calls",
                status="completed",
                completed_at=7,
                step_details=ToolCallsDetails(tool_calls=[call]),
                usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},  # type: ignore[arg-type]
                **about,
            )
            for name in ("b", "a")
        ]
        given = KeptRun(run=Run.model_validate({**_ENDED, "thread_id": thread}), steps=steps, request={"x": [1, {}]})
        wanted = written(given)
        for _ in range(2):
            await case.ask("runs.put", given)
            same("the run", await case.read(thread, "run_own"), wanted["run"])
            same("its steps", await case.steps(thread, "run_own"), wanted["steps"])
            kept = written(await case.ask("runs.kept", thread, "run_own"))
            same("what is kept", {**kept, "request": {}}, {**wanted, "request": {}})
        same("the runs", await case.runs(thread), [wanted["run"]])
        again = given.model_copy(update={"run": given.run.changed(RunUpdate(metadata={})), "steps": []})
        await case.ask("runs.put", again)
        same("the one put in its place", await case.runs(thread), [{**wanted["run"], "metadata": {}}])
        same("its steps", await case.steps(thread, "run_own"), [])
        ended = await case.done(thread)
        copied = await case.ask("runs.kept", thread, ended["id"])
        elsewhere = await case.thread("hello")
        there = copied.model_copy(update={"run": copied.run.model_copy(update={"thread_id": elsewhere})})
        await case.ask("runs.put", there)
        same("a copy in another thread", await case.runs(elsewhere), [{**ended, "thread_id": elsewhere}])
        for status in ("queued", "in_progress", "requires_action", "cancelling"):
            run = given.run.model_copy(update={"id": "run_going", "status": status})
            await case.refused(InvalidRequest, "runs.put", KeptRun(run=run), status=400)
        same("the runs in the end", len(await case.runs(thread)), 2)
        nowhere = given.run.model_copy(update={"thread_id": "jan-1700000000-aaaaaaaaaaaaaa"})
        await case.ask("runs.put", given.model_copy(update={"run": nowhere}))
        there = await case.ask("runs.kept", nowhere.thread_id, "run_own")
        same("one put where there is no thread", written(there.run), written(nowhere))

    @clause
    async def test_61_clear_removes_all(self, case: RunsCase) -> None:
        """`clear` stops and removes the runs of a thread, and no others; nothing where there are none."""
        other = await case.done(await case.thread("hello"))
        thread, _ = await case.answering(script(say=["a"] * 25, rate=50))
        for _ in range(2):
            await case.ask("runs.clear", thread)
            same("the runs", await case.runs(thread), [])
            same("what is unfinished", await case.ask("runs.unfinished", thread), None)
        same("the other thread", await case.runs(other["thread_id"]), [other])
        await asyncio.sleep(0.8)  # longer than its answer would have taken
        same("the runs, a while later", await case.runs(thread), [])
        same("the messages that its run has left", len(await case.messages(thread)), 1)
        await case.say(thread, "hello")
        again = await case.done(thread)
        same("the runs then", await case.runs(thread), [again])

    @clause
    async def test_62_answers_are_the_callers(self, case: RunsCase) -> None:
        """What was given and what was answered is the caller's: changing it changes nothing that is stored."""
        thread = await case.thread(calling())
        body = body_of(RunRequest, {"assistant_id": await case.usual(), "metadata": {"a": "b"}, "tools": [ADD]})
        made = await case.ask("runs.create", thread, body, key="k")
        kept = written(made)
        spoil(body, made)
        run = await case.until(thread, kept["id"], "requires_action")
        same("the tools", run["tools"], [ADD])
        steps = await case.steps(thread, run["id"])
        for operation, arguments in (
            ("retrieve", (thread, run["id"])),
            ("list", (thread, RunsQuery())),
            ("list_steps", (thread, run["id"], RunStepsQuery())),
            ("kept", (thread, run["id"])),
            ("unfinished", (thread,)),
            ("update", (thread, run["id"], RunUpdate())),
        ):
            spoil(await case.ask(f"runs.{operation}", *arguments))
            same(f"the run, after what {operation} answered was changed", await case.read(thread, run["id"]), run)
            same("its steps", await case.steps(thread, run["id"]), steps)
        again = body_of(RunRequest, {"assistant_id": await case.usual(), "metadata": {"a": "b"}, "tools": [ADD]})
        same("the answer to a repetition", written(await case.ask("runs.create", thread, again, key="k")), kept)
        given = KeptRun(run=Run.model_validate({**_ENDED, "thread_id": thread}))
        wanted = written(given.run)
        await case.ask("runs.put", given)
        spoil(given)
        same("what was put", await case.read(thread, "run_own"), wanted)

    @clause
    async def test_63_who_gives_up_leaves_nothing_half(self, case: RunsCase) -> None:
        """A creation that is given up at any moment has begun a run with all its messages, or has done nothing."""
        chance = random.Random(3)
        more = [{"role": "user", "content": f"{number}"} for number in range(3)]
        body = {"assistant_id": await case.usual(), "additional_messages": more}
        for _ in range(25):
            thread = await case.thread("hello")
            task = asyncio.create_task(case.ask("runs.create", thread, body_of(RunRequest, body)))
            await asyncio.wait({task}, timeout=chance.choice([0, 0, 0.0002, 0.001, 0.003]))
            task.cancel()
            await asyncio.wait({task})
            told = await _quiet(case, thread)
            texts = await case.texts(thread)
            wanted = ["hello", "0", "1", "2", "2 "] if told else ["hello"]
            same(f"the messages, with {len(told)} runs", texts, wanted)

    @clause(optional="restore")
    async def test_69_what_is_exported_is_restored_with_all_that_it_has(self, case: RunsCase) -> None:
        """`export` gives lines that `restore` stores, in place of the same ids, with fields the API does not know."""
        thread, other = await case.thread("hello"), await case.thread("hello")
        runs = [await case.done(thread, metadata={"n": "1"}), await case.done(thread)]
        ids = [one["id"] for one in runs]
        lines = list(await case.ask("runs.export", thread, ids))
        same("the lines", [_parts(one)[0] for one in lines], runs)
        same("the steps", [_parts(one)[1] for one in lines], [await case.steps(thread, id) for id in ids])
        backwards = list(await case.ask("runs.export", thread, [ids[1], "run_nothing", ids[0]]))
        same("the lines, asked for in another order, with one that is not there", backwards, lines[::-1])
        same("the lines of another thread", list(await case.ask("runs.export", other, ids)), [])
        moved = [_by_hand(one, other) for one in lines]
        await case.ask("runs.restore", other, moved)
        same("the lines, after restoring them", list(await case.ask("runs.export", other, ids)), moved)
        for run in runs:
            same("the run", await case.read(other, run["id"]), {**run, "thread_id": other})
            steps = [{**one, "thread_id": other} for one in await case.steps(thread, run["id"])]
            same("its steps", await case.steps(other, run["id"]), steps)
        async with case.again() as elsewhere:
            same("the lines, elsewhere", list(await elsewhere.ask("runs.export", other, ids)), moved)
        await case.ask("runs.update", other, ids[0], RunUpdate(metadata={"later": "yes"}))
        moved[0] = _changed(moved[0], {"metadata": {"later": "yes"}})
        same("the lines, after a change", list(await case.ask("runs.export", other, ids)), moved)
        moved[1] = _changed(lines[1], {"thread_id": other, "steps": []})
        await case.ask("runs.restore", other, moved[1:])
        same("the lines, with one in its place", list(await case.ask("runs.export", other, ids)), moved)
        good = _changed(moved[0], {"id": "run_third"})
        going = _changed(good, {"id": "run_going", "status": "queued"})
        for wrong in (b"{}", b"[]", b"{", good, _changed(good, {"id": "../x"}), lines[0], going):
            await case.refused(InvalidRequest, "runs.restore", other, [good, wrong], status=400)
        same("what came with a wrong line", list(await case.ask("runs.export", other, ["run_third"])), [])
        await case.ask("runs.restore", other, [])
        same("the runs in the end", [one["id"] for one in await case.runs(other)], [one["id"] for one in runs])


def _parts(line: bytes) -> tuple[dict[str, Any], list[Any]]:
    """The run of a line and its steps, as the API shows them."""
    stored = StoredRun.model_validate(from_json(line), extra="ignore").kept()
    return written(stored.run), [written(one) for one in stored.steps]


def _by_hand(line: bytes, thread: str) -> bytes:
    """A line in another thread, with fields that the API does not know."""
    values = from_json(line)
    values["steps"] = [{**one, "thread_id": thread, "note": "\0"} for one in values["steps"]]
    return _changed(to_json(values), {"thread_id": thread, "own": {"b": [1, None], "a": "\U0001f600"}})


def _changed(line: bytes, fields: dict[str, Any]) -> bytes:
    return line_of(StoredRun, {**from_json(line), **fields})


async def _quiet(case: RunsCase, thread: str) -> list[dict[str, Any]]:
    """The runs of a thread when nothing more happens there: what was given up may still happen for a moment."""
    before: list[Any] = []
    still = 0
    for _ in range(500):
        runs = [written(one) for one in (await case.ask("runs.list", thread, RunsQuery())).data]
        now = [runs, await case.texts(thread)]
        still = still + 1 if now == before else 0
        # Where nothing is there yet, it may still be on its way to a slow store.
        enough = still >= (1 if runs else STILL)
        if enough and all(run["status"] in ENDS for run in runs) and (runs or len(now[1]) == 1):
            for run in runs:
                run_stands(run)
            return runs
        if still == 50:
            break
        before = now
        await asyncio.sleep(0.02)
    raise Broken(f"messages are there without their run, or a run without an end: {before}")
