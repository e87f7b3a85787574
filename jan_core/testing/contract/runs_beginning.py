"""The clauses of `runs` about how one begins: its fields, its settings, what it is refused for."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.schemas.runs import RunRequest
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.contract import hostile
from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import run_stands, story
from jan_core.testing.contract.runs_case import ADD, LONG, OfRuns, RunsCase, calling, script

_OTHER: dict[str, Any] = {"type": "function", "function": {"name": "other", "strict": True}}
FULL: dict[str, Any] = {
    "model": "scripted",
    "instructions": "Be kind.",
    "tools": [ADD, _OTHER],
    "metadata": {"k" * 64: "v" * 512, "": ""},
    "temperature": 0.0,
    "top_p": 0.25,
    "max_prompt_tokens": 1000,
    "max_completion_tokens": 256,
    "truncation_strategy": {"type": "last_messages", "last_messages": 3},
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "text"},
    "reasoning_effort": "low",
}
"""Every field of a run that a request may set."""
_BARE: dict[str, Any] = {
    "object": "thread.run",
    "status": "queued",
    "required_action": None,
    "last_error": None,
    "started_at": None,
    "cancelled_at": None,
    "failed_at": None,
    "completed_at": None,
    "incomplete_details": None,
    "model": "scripted",
    "instructions": "",
    "tools": [],
    "metadata": {},
    "usage": None,
    "temperature": None,
    "top_p": None,
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": "auto",
}


class RunsBeginning(OfRuns):
    """How a run begins."""

    @clause
    async def test_01_a_run_that_began_is_queued(self, case: RunsCase) -> None:
        """The reply to a creation is the whole run as it is then, `queued`: id, times, and what holds for it."""
        bare = await case.assistant(tools=[])
        fields: dict[str, Any]
        for fields in ({}, FULL, dict.fromkeys(FULL.keys() - {"parallel_tool_calls"}), {"tools": []}):
            thread = await case.thread("hello")
            before = int(time.time())
            made = await case.begin(thread, assistant_id=bare, **fields)
            holds(made["id"].startswith("run_"), f"the id {made['id']!r} does not begin with run_")
            holds(before <= made["created_at"] <= time.time(), f"it was created at {made['created_at']}")
            same("its status", made["status"], "queued")
            run_stands(made)
            holds(made["expires_at"] > made["created_at"], f"it expires at {made['expires_at']}, before it began")
            given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
            at = {name: made[name] for name in ("id", "created_at", "expires_at")}
            same("the new run", made, {**_BARE, **at, "thread_id": thread, "assistant_id": bare, **given})

    @clause
    async def test_02_what_is_stored_is_what_was_answered(self, case: RunsCase) -> None:
        """A run is read as it was answered when it began, but for what happened since; so it is listed."""
        for fields in ({}, FULL, {"response_format": {"type": "text"}, "tools": [_OTHER], "tool_choice": "none"}):
            thread = await case.thread("hello")
            made = await case.begin(thread, **fields)
            found = await case.ended(thread, made["id"])
            happened = ("status", "started_at", "completed_at", "expires_at", "usage")
            same("the run read again", found, {**made, **{name: found[name] for name in happened}})
            same("the runs of the thread", await case.runs(thread), [found])

    @clause
    async def test_03_the_settings_that_hold(self, case: RunsCase) -> None:
        """A run's own values go before the thread's, those before the assistant's; the model is asked with them."""
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
        assistant = await case.assistant(
            model="other", instructions="Assistant.", temperature=0.1, top_p=0.1, reasoning_effort="low"
        )
        thread: dict[str, Any] = {"model": "scripted", "parameters": {"temperature": 0.2, "seed": 7, "stop": ["never"]}}
        of_thread = {"model": "scripted", "temperature": 0.2, "top_p": 0.1, "instructions": "Assistant."}
        own: dict[str, Any] = {"temperature": 0, "instructions": "Run.", "tools": []}
        for fields, wanted in (({}, of_thread), (own, {**of_thread, **own})):
            with case.asked() as asked:
                run = await case.done(await case.thread("hello", **thread), assistant_id=assistant, **fields)
            same("the run", {name: run[name] for name in wanted}, wanted)
            same("its tools", run["tools"], [] if fields else [ADD])
            same("how hard it thinks", run["reasoning_effort"], "low")
            (one,) = asked
            for name in ("model", "temperature", "top_p", "reasoning_effort"):
                same(f"the {name} that the model is asked with", one.get(name), run.get(name))
            same("the thread's parameters", (one.get("seed"), one.get("stop")), (7, ["never"]))
            same("the tools that the model is offered", one.get("tools", []), run["tools"])
            same("the system's message", one["messages"][0], {"role": "system", "content": run["instructions"]})
        with case.asked() as asked:
            # The scripted engine knows no such form: what matters is what it is asked.
            run = await case.done(await case.thread("hello"), "failed", response_format=schema)
        same("the form of the answer", asked[0]["response_format"], schema)
        same("the form that the run tells", run["response_format"], schema)

    @clause
    async def test_04_settings_are_fixed_when_it_begins(self, case: RunsCase) -> None:
        """What holds when a run begins holds to its end; a change of the assistant or the thread does not reach it."""
        assistant = await case.assistant(instructions="First.", temperature=0.1)
        thread = await case.thread(calling(), parameters={"seed": 1})
        begun = await case.begin(thread, assistant_id=assistant)
        run = await case.until(thread, begun["id"], "requires_action")
        await case.send("POST", f"/assistants/{assistant}", {"instructions": "Second.", "model": "x", "tools": []})
        await case.send("POST", f"/threads/{thread}", {"parameters": {"seed": 2}, "model": "y"})
        with case.asked() as asked:
            await case.submit(thread, run["id"], dict.fromkeys(case.calls(run), "done"))
            ended = await case.ended(thread, run["id"])
        for name in ("instructions", "temperature", "model", "tools"):
            same(f"the run's {name}", ended[name], begun[name])
        told = (asked[0]["messages"][0]["content"], asked[0]["model"], asked[0]["seed"])
        same("what the model is asked with", told, ("First.", "scripted", 1))
        await case.send("DELETE", f"/assistants/{assistant}")
        same("the run, without its assistant", await case.read(thread, run["id"]), ended)

    @clause
    async def test_05_additional_instructions_follow(self, case: RunsCase) -> None:
        """`additional_instructions` stand behind the instructions that hold, on a line of their own."""
        assistant = await case.assistant(instructions="Assistant.")
        for fields, wanted in (
            ({"additional_instructions": "More."}, "Assistant.\nMore."),
            ({"additional_instructions": "More.", "instructions": "Run."}, "Run.\nMore."),
            ({"additional_instructions": "More.", "instructions": ""}, "More."),
            ({"additional_instructions": ""}, "Assistant."),
            ({"instructions": ""}, ""),
        ):
            with case.asked() as asked:
                run = await case.done(await case.thread("hello"), assistant_id=assistant, **fields)
            same(f"the instructions for {fields}", run["instructions"], wanted)
            system = [one["content"] for one in asked[0]["messages"] if one["role"] == "system"]
            same(f"what the model is told for {fields}", system, [wanted] if wanted else [])

    @clause
    async def test_06_additional_messages_come_first(self, case: RunsCase) -> None:
        """`additional_messages` are in the thread, in their order, before the answer; all of them, or none."""
        more = [
            {"role": "user", "content": "one", "metadata": {"a": "b"}},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": "three"},
        ]
        thread = await case.thread("first")
        await case.done(thread, additional_messages=more)
        run = await case.done(thread, additional_messages=more)
        same("the texts of all", await case.texts(thread), ["first", *["one", "two", "three", "three "] * 2])
        stored = (await case.messages(thread))[-4:]
        told = [(one["role"], one["metadata"], one["run_id"]) for one in stored]
        wanted_ones = [("user", {"a": "b"}, None), ("assistant", {}, None), ("user", {}, None)]
        same("their roles, pairs and runs", told, [*wanted_ones, ("assistant", {}, run["id"])])
        before = await case.messages(thread)
        for fields in ({"model": "x" * 600}, {"tool_choice": "required", "tools": []}):
            body = {"assistant_id": await case.usual(), "additional_messages": more, **fields}
            status, _ = await case.send("POST", f"/threads/{thread}/runs", body)
            same("the status of a run that is refused", status, 400)
        same("the messages, after runs that were refused", await case.messages(thread), before)

    @clause
    async def test_07_no_thread_or_no_assistant(self, case: RunsCase) -> None:
        """A thread or an assistant that is not there is refused, 404, with its code, and nothing begins."""
        gone = await case.thread("hello")
        await case.ask("threads.delete", gone)
        body = body_of(RunRequest, {"assistant_id": await case.usual()})
        expected: dict[str, Any] = {"code": "thread_not_found", "param": "thread_id", "status": 404}
        for thread in (gone, "jan-1700000000-aaaaaaaaaaaaaa"):
            await case.refused(NotFound, "runs.create", thread, body, **expected)
            status, _ = await case.send("POST", f"/threads/{thread}/runs", {"assistant_id": "jan", "stream": True})
            same("the status of a stream over HTTP", status, 404)
        thread = await case.thread("hello")
        expected = {"code": "assistant_not_found", "status": 404}
        for assistant in ("asst_none", "nobody"):
            body = body_of(RunRequest, {"assistant_id": assistant, "additional_messages": [_MORE]})
            await case.refused(NotFound, "runs.create", thread, body, **expected)
            status, told = await case.send("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
            same("over HTTP", (status, told["error"]["code"]), (404, "assistant_not_found"))
            given = {"assistant_id": assistant, "stream": True}
            status, told = await case.send("POST", f"/threads/{thread}/runs", given)
            same("a stream, over HTTP", (status, told["error"]["code"]), (404, "assistant_not_found"))
        same("the runs", await case.runs(thread), [])
        same("the messages", await case.texts(thread), ["hello"])

    @clause
    async def test_08_a_body_that_cannot_be_used(self, case: RunsCase) -> None:
        """What cannot be used is refused, 400, naming the field, and nothing begins."""
        thread = await case.thread("hello")
        usual = await case.usual()
        named = {"type": "function", "function": {"name": "nobody"}}
        for fields, param in (
            ({"max_prompt_tokens": 255}, "max_prompt_tokens"),
            ({"max_completion_tokens": 0}, "max_completion_tokens"),
            ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy"),
            ({"truncation_strategy": {"type": "auto", "last_messages": 0}}, "truncation_strategy.last_messages"),
            ({"temperature": 2.5}, "temperature"),
            ({"top_p": -0.1}, "top_p"),
            ({"tools": [ADD] * 21}, "tools"),
            ({"tool_choice": named}, "tool_choice"),
            ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
            ({"tools": [], "tool_choice": "required"}, "tool_choice"),
            ({"tools": [_OTHER], "tool_choice": {"type": "function", "function": {"name": "add"}}}, "tool_choice"),
            ({"metadata": {"k" * 65: ""}}, "metadata"),
            ({"additional_messages": [{"role": "user", "content": ""}]}, "additional_messages[0].content"),
            ({"no_such_field": 1}, "no_such_field"),
        ):
            for stream in (False, True):
                body = {"assistant_id": usual, "stream": stream, **fields}
                status, told = await case.send("POST", f"/threads/{thread}/runs", body)
                same(f"the status for {fields}", status, 400)
                found = str(told["error"]["param"])
                holds(found.startswith(param), f"for {fields} the parameter is {found!r}, and not {param}")
        same("the runs", await case.runs(thread), [])
        status, _ = await case.send("POST", f"/threads/{thread}/runs", {})
        same("the status without an assistant", status, 400)
        same("what is unfinished", await case.ask("runs.unfinished", thread), None)

    @clause
    async def test_09_texts_come_back_as_they_were(self, case: RunsCase) -> None:
        """Instructions, metadata and what is said come back character by character, whatever they hold."""
        for text in hostile.TEXTS:
            said = text[:100_000]  # as a script it has to fit a message
            thread = await case.thread(script(say=["", said[:1000], said[1000:]]))
            run = await case.done(thread, instructions=text, metadata={"key": text[:512]})
            same("the instructions", run["instructions"], text)
            same("the metadata", run["metadata"], {"key": text[:512]})
            same("the answer", (await case.texts(thread))[1], said)

    @clause
    async def test_10_no_id_comes_twice(self, case: RunsCase) -> None:
        """Every run, every step and every message of a run has an id of its own, in whatever thread and app."""
        async with case.again() as other:
            threads = [await case.thread("hello") for _ in range(12)]
            made = await settled([(case, other)[n % 2].begin(thread) for n, thread in enumerate(threads)])
            ended = [await case.ended(thread, run["id"]) for thread, run in zip(threads, made, strict=True)]
            steps = [step for run in ended for step in await case.steps(run["thread_id"], run["id"])]
            said = [one for thread in threads for one in await case.messages(thread)]
        same("different runs", len({run["id"] for run in ended}), 12)
        same("different steps", len({step["id"] for step in steps}), 12)
        same("different messages", len({one["id"] for one in said}), 24)

    @clause
    async def test_11_a_thread_and_its_run(self, case: RunsCase) -> None:
        """`create_thread` makes a thread and begins a run in it; what is refused makes no thread."""
        usual = await case.usual()
        asked = {"messages": [{"role": "user", "content": "hello"}], "metadata": {"a": "b"}, "title": "T"}
        body = {"assistant_id": usual, "thread": asked, "metadata": {"c": "d"}, "temperature": 0.5}
        direct = written(await case.ask("runs.create_thread", case.thread_run(body)))
        status, over_http = await case.send("POST", "/threads/runs", body)
        same("the status over HTTP", status, 200)
        for run in (direct, over_http):
            run_stands(run)
            told = (run["status"], run["metadata"], run["temperature"], run["assistant_id"])
            same("the run", told, ("queued", {"c": "d"}, 0.5, usual))
            await case.ended(run["thread_id"], run["id"])
            same("what was said", await case.texts(run["thread_id"]), ["hello", "hello "])
            thread = written(await case.ask("threads.retrieve", run["thread_id"]))
            same("the thread", (thread["metadata"], thread["title"]), ({"a": "b"}, "T"))
        for events in (
            await case.listened("runs.create_thread_stream", case.thread_run({**body, "stream": True})),
            await case.sent_stream("/threads/runs", body),
        ):
            heard = story(events, thread=True)
            assert heard.thread is not None
            same("the thread of the run", heard.run["thread_id"], heard.thread["id"])
            same("the status of the run", heard.run["status"], "completed")
        bare = written(await case.ask("runs.create_thread", case.thread_run({"assistant_id": usual, "tools": []})))
        await case.ended(bare["thread_id"], bare["id"])
        before = (await case.ask("threads.list", ThreadsQuery(limit=100))).data
        for fields, status in (
            ({"assistant_id": "nobody"}, 404),
            ({"tool_choice": {"type": "function", "function": {"name": "nobody"}}}, 400),
            ({"thread": {"messages": [{"role": "user", "content": ""}]}}, 400),
            ({"additional_messages": []}, 400),
        ):
            for stream in (False, True):
                found, _ = await case.send("POST", "/threads/runs", {**body, **fields, "stream": stream})
                same(f"the status for {fields}", found, status)
        after = (await case.ask("threads.list", ThreadsQuery(limit=100))).data
        same("the threads, after what was refused", len(after), len(before))

    @clause
    async def test_12_one_run_at_a_time(self, case: RunsCase) -> None:
        """A thread has one run that has not ended: another is refused, 400, `run_active`, wherever it is asked for."""
        answering, first = await case.answering()
        waiting, second, _ = await case.waiting()
        expected = {"code": "run_active", "status": 400}
        async with case.again() as other:
            for thread, run in ((answering, first), (waiting, second)):
                body = {"assistant_id": await case.usual(), "additional_messages": [_MORE]}
                before = len(await case.messages(thread))
                for one in (case, other):
                    error = await one.refused(
                        InvalidRequest, "runs.create", thread, body_of(RunRequest, body), **expected
                    )
                    holds(run["id"] in error.message, f"the refusal does not name the run: {error.message}")
                    for stream in (False, True):
                        status, told = await one.send("POST", f"/threads/{thread}/runs", {**body, "stream": stream})
                        same("over HTTP", (status, told["error"]["code"]), (400, "run_active"))
                same("the runs", [one["id"] for one in await case.runs(thread)], [run["id"]])
                same("the messages", len(await case.messages(thread)), before)
                await case.cancel(thread, run["id"])
                await case.ended(thread, run["id"], "cancelled")
            thread = await case.thread(LONG)
            both: list[Awaitable[dict[str, Any] | None]] = [
                _or_refused(one.begin(thread)) for one in (case, other, case, other)
            ]
            begun = [one for one in await settled(both) if one is not None]
            same("how many of four at once began", len(begun), 1)
            await case.cancel(thread, begun[0]["id"])
            await case.ended(thread, begun[0]["id"], "cancelled")
            await case.done(thread, additional_messages=[_MORE])

    @clause
    async def test_13_no_message_meanwhile(self, case: RunsCase) -> None:
        """While a run goes on or waits, its thread takes no message: 400, `run_active`; other threads do."""
        answering, first = await case.answering(LONG)
        waiting, second, calls = await case.waiting()
        for thread, run in ((answering, first), (waiting, second)):
            told = await case.ask("runs.unfinished", thread)
            holds(told is not None, "`unfinished` knows nothing of a run that has not ended")
            same("the run that is unfinished", told.run.id, run["id"])
            status, reply = await case.send("POST", f"/threads/{thread}/messages", _MORE)
            same("a message meanwhile", (status, reply["error"]["code"]), (400, "run_active"))
            await case.say(await case.thread(), "elsewhere")
        await case.cancel(answering, first["id"])
        await case.ended(answering, first["id"], "cancelled")
        await case.submit(waiting, second["id"], dict.fromkeys(calls, "done"))
        await case.ended(waiting, second["id"])
        for thread in (answering, waiting):
            same("what is unfinished", await case.ask("runs.unfinished", thread), None)
            await case.say(thread, "now")


_MORE = {"role": "user", "content": "more"}


async def _or_refused(asked: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return dict(await asked)
    except JanError as error:
        same("the code of a refusal", error.code, "run_active")
    except AssertionError as error:
        # Over HTTP the refusal is told in the reply.
        if " answered 400: " not in str(error) or "run_active" not in str(error):
            raise
    return None
