"""The clauses of `runs` about finding them, and their steps: order, pages, cursors, ids."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.pages import cut
from jan_core.schemas.messages import MessagesQuery
from jan_core.schemas.runs import (
    KeptRun,
    Run,
    RunRequest,
    RunsQuery,
    RunStepQuery,
    RunStepsQuery,
    RunUpdate,
    ToolOutputsRequest,
)
from jan_core.testing.contract.case import holds, same, segment, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of, by_time
from jan_core.testing.contract.runs_case import LONG, OfRuns, RunsCase, calling, script

AT = 1_800_000_000
"""A time to list runs by."""


class RunsListing(OfRuns):
    """Listings and ids."""

    @clause
    async def test_46_the_order_is_that_of_time_and_id(self, case: RunsCase) -> None:
        """Runs are listed by `(created_at, id)`; the newest first, unless told otherwise."""
        thread = await case.thread("hello")
        made = [
            await _put(case, thread, f"run_{id}", at)
            for at, id in ((AT, "c"), (AT - 9, "y"), (AT + 2, "z"), (AT, "a"), (AT - 9, "x"), (AT, "b"))
        ]
        wanted = by_time(made)
        same("the newest first", (await case.page(thread))["data"], wanted[::-1])
        for order, right in (("asc", wanted), ("desc", wanted[::-1])):
            same(f"the order {order}", (await case.page(thread, order=order))["data"], right)
        again = await _put(case, thread, "run_b", AT - 10)
        wanted = by_time([one for one in wanted if one["id"] != "run_b"] + [again])
        same("the order after one got an older time", (await case.page(thread, order="asc"))["data"], wanted)
        newest = await case.done(await case.thread("hello"))
        same("the runs of another thread", await case.runs(newest["thread_id"]), [newest])

    @clause
    async def test_47_a_page_has_its_limit(self, case: RunsCase) -> None:
        """A page holds `limit` runs, 20 where none is given; `has_more` tells whether others follow."""
        thread = await case.thread("hello")
        empty: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        same("the page without any run", await case.page(thread), empty)
        for number in range(22):
            await _put(case, thread, f"run_{number:02}", AT + number // 2)
        ids = [f"run_{number:02}" for number in range(22)][::-1]
        for limit in (None, 1, 2, 21, 22, 23, 100):
            page = await case.page(thread, limit=limit)
            wanted = ids[: limit or 20]
            same(f"the page of {limit or 'default'}", [one["id"] for one in page["data"]], wanted)
            told = (page["object"], page["first_id"], page["last_id"], page["has_more"])
            same("what it says of itself", told, ("list", wanted[0], wanted[-1], len(wanted) < len(ids)))
        same("the page behind the last one", await case.page(thread, after=ids[-1]), empty)
        for wrong in (0, 101, -1, "x"):
            status, _ = await case.send("GET", f"/threads/{thread}/runs", query={"limit": wrong})
            same(f"the status for limit={wrong}", status, 400)

    @clause
    async def test_48_cursors_lead_on(self, case: RunsCase) -> None:
        """`after` begins behind a run, `before` ends in front of one; both are as `jan_core.pages.cut` cuts."""
        thread = await case.thread("hello")
        made = by_time([await _put(case, thread, f"run_{number}", AT + number // 2) for number in range(6)])
        objects = [Run.model_validate(one) for one in made]
        cursors = [None, *(one["id"] for one in made)]
        asked = list(itertools.product(cursors, cursors, ("asc", "desc"), (1, 2, 20)))
        for after, before, order, limit in random.Random(1).sample(asked, 100):
            query = {"after": after, "before": before, "order": order, "limit": limit}
            wanted = written(cut(objects, RunsQuery.model_validate(query)))
            same(f"the page of {query}", await case.page(thread, **query), wanted)

    @clause
    async def test_49_a_cursor_that_names_nothing(self, case: RunsCase) -> None:
        """A cursor that names no run of the thread is refused, 400, with the parameter's name."""
        thread, other = await case.thread("hello"), await case.thread("hello")
        there = await case.done(other)
        run = await case.done(thread)
        for id in (there["id"], "none", "", "../x", "a\0b", "\ud800", "x" * 5000):
            for param in ("after", "before"):
                query = RunsQuery.model_construct(None, **{param: id})
                await case.refused(InvalidRequest, "runs.list", thread, query, param=param)
                steps = RunStepsQuery.model_construct(None, **{param: id})
                await case.refused(InvalidRequest, "runs.list_steps", thread, run["id"], steps, param=param)
        status, told = await case.send("GET", f"/threads/{thread}/runs", query={"after": there["id"]})
        same("over HTTP", (status, told["error"]["param"]), (400, "after"))

    @clause
    async def test_50_steps_are_listed_as_they_began(self, case: RunsCase) -> None:
        """Steps are listed in the order in which they began, the newest first unless told otherwise, by pages."""
        thread, run, calls = await case.waiting(script(say=["a"], call=[{"name": "add"}]))
        again = script(say=["b"], call=[{"name": "add"}])
        await case.submit(thread, run["id"], dict.fromkeys(calls, again))
        run = await case.until(thread, run["id"], "requires_action", "queued", "in_progress")
        while run["status"] != "requires_action":
            run = await case.until(thread, run["id"], "requires_action", "queued", "in_progress")
        await case.submit(thread, run["id"], dict.fromkeys(case.calls(run), "done"))
        await case.ended(thread, run["id"])
        steps = await case.steps(thread, run["id"])
        kinds = [step["type"] for step in steps]
        same("the steps", kinds, ["message_creation", "tool_calls"] * 2 + ["message_creation"])
        named = [one["step_details"].get("message_creation", {}).get("message_id") for one in steps[::2]]
        said = [one["id"] for one in await case.messages(thread, run_id=run["id"])]
        same("the messages that they name, against those of the run", named, said)
        same("the newest first", await case.steps(thread, run["id"], order="desc"), steps[::-1])
        default = await case.sent("GET", thread, run["id"], "steps")
        same("the default", default["data"], steps[::-1])
        found: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = await case.sent("GET", thread, run["id"], "steps", query={"order": "asc", "limit": 2, **after})
            found += page["data"]
            if not page["has_more"]:
                break
            after = {"after": page["last_id"]}
        same("by pages of two", found, steps)
        before = await case.steps(thread, run["id"], before=steps[2]["id"], limit=1)
        same("the one in front of the third", before, [steps[1]])
        include = "step_details.tool_calls[*].file_search.results[*].content"
        for step in steps:
            one = written(await case.ask("runs.retrieve_step", thread, run["id"], step["id"], RunStepQuery()))
            same("the step that is read", one, step)
            query = {"include[]": include}
            same("over HTTP", await case.sent("GET", thread, run["id"], "steps", step["id"], query=query), step)

    @clause
    async def test_51_metadata_is_replaced(self, case: RunsCase) -> None:
        """An update replaces the metadata as a whole, also of a run that goes on or has ended; nothing else changes."""
        thread, run, calls = await case.waiting(metadata={"a": "1", "b": "2"})
        for ended in (False, True):
            for body, wanted in (
                ({"metadata": {"b": "3"}}, {"b": "3"}),
                ({}, {"b": "3"}),
                ({"metadata": None}, {}),
                ({"metadata": {"ü": "ß"}}, {"ü": "ß"}),
            ):
                direct = written(await case.ask("runs.update", thread, run["id"], RunUpdate.model_validate(body)))
                same(f"the answer to {body}", direct, {**run, "metadata": wanted})
                over_http = await case.sent("POST", thread, run["id"], body=body)
                same(f"the answer to {body} over HTTP", over_http, direct)
                same(f"what is stored after {body}", await case.read(thread, run["id"]), direct)
            if not ended:
                await case.submit(thread, run["id"], dict.fromkeys(calls, "done"))
                run = await case.ended(thread, run["id"])
                same("the metadata in the end", run["metadata"], {"ü": "ß"})
        thread, run = await case.answering(script(say=["a", "b", "c", "d"], rate=20))
        await case.ask("runs.update", thread, run["id"], RunUpdate(metadata={"while": "it goes on"}))
        ended_run = await case.ended(thread, run["id"])
        same("the metadata of one that went on", ended_run["metadata"], {"while": "it goes on"})
        status, _ = await case.send("POST", f"/threads/{thread}/runs/{run['id']}", {"status": "completed"})
        same("the status of a body with another field", status, 400)

    @clause
    async def test_52_a_run_belongs_to_its_thread(self, case: RunsCase) -> None:
        """A run is found in its own thread only, a step in its own run; elsewhere it is 404, with its code."""
        thread, other = await case.thread("hello"), await case.thread("hello")
        run, two = await case.done(thread), await case.done(other)
        step = await case.only_step(thread, run["id"])
        for id, place in ((run["id"], other), ("run_none", thread)):
            await _is_nowhere(case, place, id)
        expected = {"code": "step_not_found", "param": "step_id", "status": 404}
        for run_id, place in ((two["id"], other), (run["id"], thread)):
            id = step["id"] if place == other else "step_none"
            await case.refused(NotFound, "runs.retrieve_step", place, run_id, id, RunStepQuery(), **expected)
            status, _ = await case.send("GET", f"/threads/{place}/runs/{run_id}/steps/{id}")
            same("the status over HTTP", status, 404)
        same("the one thread", await case.runs(thread), [run])
        same("the other", await case.runs(other), [two])

    @clause
    async def test_53_no_thread_no_runs(self, case: RunsCase) -> None:
        """In a thread that was deleted every operation is refused, 404; a run that went on there stops."""
        thread, run = await case.answering(LONG)
        waiting, second, _ = await case.waiting()
        ended = await case.done(await case.thread("hello"))
        for gone, id in ((thread, run["id"]), (waiting, second["id"]), (ended["thread_id"], ended["id"])):
            await case.ask("threads.delete", gone)
            await _is_nowhere(case, gone, id, code="thread_not_found", param="thread_id")
            expected = {"code": "thread_not_found", "param": "thread_id", "status": 404}
            await case.refused(NotFound, "runs.list", gone, RunsQuery(), **expected)
            body = body_of(RunRequest, {"assistant_id": await case.usual()})
            await case.refused(NotFound, "runs.create", gone, body, **expected)
            await case.refused(NotFound, "messages.list", gone, MessagesQuery(), **expected)
        await case.jan.reconciler.settled()
        for gone, id in ((thread, run["id"]), (waiting, second["id"]), (ended["thread_id"], ended["id"])):
            same("what is unfinished there", await case.ask("runs.unfinished", gone), None)
            await case.refused(NotFound, "runs.kept", gone, id, code="run_not_found", status=404)
        same("the deletions that are still noted", list(await case.ask("threads.deleted")), [])

    @clause
    async def test_54_hostile_ids_find_nothing(self, case: RunsCase) -> None:
        """Ids that are paths, devices, commands or too long find nothing and do nothing: 400 or 404."""
        thread = await case.thread(calling())
        run = await case.until(thread, (await case.begin(thread))["id"], "requires_action")
        body = body_of(RunRequest, {"assistant_id": await case.usual()})
        outputs = ToolOutputsRequest(tool_outputs=[])
        for id in case.hostile_ids():
            for name, arguments in (
                ("create", (id, body)),
                ("list", (id, RunsQuery())),
                ("retrieve", (id, run["id"])),
                ("retrieve", (thread, id)),
                ("update", (thread, id, RunUpdate(metadata={}))),
                ("cancel", (thread, id)),
                ("submit_tool_outputs", (thread, id, outputs)),
                ("list_steps", (thread, id, RunStepsQuery())),
                ("retrieve_step", (thread, run["id"], id, RunStepQuery())),
                ("kept", (thread, id)),
                ("kept", (id, run["id"])),
            ):
                refusal = await case.refused(JanError, f"runs.{name}", *arguments)
                holds(refusal.status in (400, 404), f"{name} for {id[:50]!a} is refused with {refusal.status}")
            for name in ("unfinished", "clear"):
                with suppress(InvalidRequest):
                    same(f"the answer of {name} for {id[:50]!a}", await case.ask(f"runs.{name}", id), None)
            for path in (f"/threads/{thread}/runs/{segment(id)}x%2f..", f"/threads/{segment(id)}x%2f../runs"):
                status, _ = await case.send("GET", path)
                holds(400 <= status < 500, f"GET of {id[:50]!a} answered {status}")
        for id in ("../x", "a/b", "", "\ud800", "x" * 129):
            for field in ("id", "thread_id"):
                ended = run | {"status": "cancelled", "required_action": None, "cancelled_at": AT, field: id}
                given = KeptRun.model_construct(run=Run.model_construct(**ended), steps=[], request={})
                refusal = await case.refused(JanError, "runs.put", given)
                same(f"the status of put for {id[:50]!a}", refusal.status, 400)
        same("the run", await case.read(thread, run["id"]), run)
        same("the runs", await case.runs(thread), [run])
        same("files outside of the root", case.escaped(), [])


async def _put(case: RunsCase, thread: str, id: str, at: int) -> dict[str, Any]:
    """Store a run of this id and time, which has ended."""
    given = {
        "id": id,
        "thread_id": thread,
        "assistant_id": "jan",
        "model": "scripted",
        "created_at": at,
        "started_at": at,
        "completed_at": at + 1,
        "status": "completed",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    run = Run.model_validate(given)
    await case.ask("runs.put", KeptRun(run=run))
    return dict(written(run))


async def _is_nowhere(case: RunsCase, thread: str, id: str, code: str = "run_not_found", param: str = "run_id") -> None:
    """Look that no operation finds a run."""
    expected = {"code": code, "param": param, "status": 404}
    for name, arguments in (
        ("retrieve", ()),
        ("update", (RunUpdate(metadata={"a": "b"}),)),
        ("cancel", ()),
        ("submit_tool_outputs", (ToolOutputsRequest(tool_outputs=[]),)),
        ("list_steps", (RunStepsQuery(),)),
        ("retrieve_step", ("step_1", RunStepQuery())),
    ):
        await case.refused(NotFound, f"runs.{name}", thread, id, *arguments, **expected)
    status, _ = await case.send("GET", f"/threads/{thread}/runs/{id}")
    same("the status over HTTP", status, 404)
