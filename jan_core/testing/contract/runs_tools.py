"""The clauses of `runs` about tools of the client: asked for, waited for, answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import ToolOutputsRequest
from jan_core.testing.contract.case import holds, same, settled
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import story
from jan_core.testing.contract.runs_case import ADD, OfRuns, RunsCase, calling, outputs_of, script

_MORE: dict[str, Any] = {"type": "function", "function": {"name": "more"}}


class RunsTools(OfRuns):
    """Calls and outputs."""

    @clause
    async def test_23_a_call_is_waited_for(self, case: RunsCase) -> None:
        """A call has the run wait, `requires_action`, with the calls that its step in progress has; nothing goes on."""
        with case.asked() as asked:
            thread, run, calls = await case.waiting(calling("add", "add"))
            await asyncio.sleep(0.05)
        same("how often the model was asked", len(asked), 1)
        same("the type of the action", run["required_action"]["type"], "submit_tool_outputs")
        wanted = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        found = [(one["type"], one["function"]["name"], json.loads(one["function"]["arguments"])) for one in wanted]
        same("the calls", found, [("function", "add", {"n": 0}), ("function", "add", {"n": 1})])
        same("different ids of calls", len(set(calls)), 2)
        step = await case.only_step(thread, run["id"])
        same("the step", (step["type"], step["status"]), ("tool_calls", "in_progress"))
        in_step = [{**one, "function": {**one["function"], "output": None}} for one in wanted]
        same("the calls of the step", step["step_details"]["tool_calls"], in_step)
        same("the messages", len(await case.messages(thread)), 1)
        same("the run, a while later", await case.read(thread, run["id"]), run)

    @clause
    async def test_24_outputs_have_it_go_on(self, case: RunsCase) -> None:
        """With the outputs of all calls the step is done, and the model is shown calls and outputs, and answers."""
        thread, run, (first, second) = await case.waiting(calling("add", "add"))
        outputs = {second: "It is 2.", first: "Grüße, 你好 \U0001f600\n"}
        with case.asked() as asked:
            reply = await case.submit(thread, run["id"], outputs)
            same("the reply", (reply["id"], reply["status"], reply["required_action"]), (run["id"], "queued", None))
            ended = await case.ended(thread, run["id"])
        same("when it started", ended["started_at"], run["started_at"])
        user, called, *told = asked[0]["messages"]
        same("who is shown first", user["role"], "user")
        ids = [one["id"] for one in called["tool_calls"]]
        same("the calls that the model is shown", (called["role"], ids), ("assistant", [first, second]))
        wanted = [{"role": "tool", "tool_call_id": id, "content": outputs[id]} for id in (first, second)]
        same("the outputs that it is shown", told, wanted)
        calls, answer = await case.steps(thread, run["id"])
        same("the statuses of the steps", (calls["status"], answer["status"]), ("completed", "completed"))
        found = [one["function"]["output"] for one in calls["step_details"]["tool_calls"]]
        same("the outputs in the step", found, [outputs[first], outputs[second]])
        same("the messages", (await case.texts(thread))[1:], ["It is 2. "])

    @clause
    async def test_25_outputs_that_do_not_fit(self, case: RunsCase) -> None:
        """Outputs that are missing, unknown or given twice are refused, 400, and the run goes on waiting as it was."""
        thread, run, (first, second) = await case.waiting(calling("add", "add"))
        wrong: list[list[tuple[str, str]]] = [
            [],
            [(first, "1")],
            [(first, "1"), (second, "2"), ("call_unknown", "3")],
            [(first, "1"), (first, "2")],
            [(first, "1"), (second, "2"), (second, "2")],
            [(first, "1"), (second.upper() + "x", "2")],
        ]
        for given in wrong:
            body = {"tool_outputs": [{"tool_call_id": id, "output": text} for id, text in given]}
            expected = {"code": "invalid_tool_outputs", "status": 400}
            arguments = (thread, run["id"], body_of(ToolOutputsRequest, body))
            error = await case.refused(InvalidRequest, "runs.submit_tool_outputs", *arguments, **expected)
            holds(str(error.param).startswith("tool_outputs"), f"the parameter is {error.param!r}")
            for stream in (False, True):
                path = f"/threads/{thread}/runs/{run['id']}/submit_tool_outputs"
                status, _ = await case.send("POST", path, {**body, "stream": stream})
                same(f"the status of {len(given)} outputs over HTTP", status, 400)
            same("the run", await case.read(thread, run["id"]), run)
        await case.submit(thread, run["id"], {first: "1", second: "2"})
        await case.ended(thread, run["id"])

    @clause
    async def test_26_outputs_that_nobody_waits_for(self, case: RunsCase) -> None:
        """Outputs for a run that waits for none are refused, 400; those that it was given before change nothing."""
        thread, run, calls = await case.waiting()
        outputs = dict.fromkeys(calls, script(say=["a", "b"], rate=20))
        await case.submit(thread, run["id"], outputs)
        others = body_of(ToolOutputsRequest, outputs_of(dict.fromkeys(calls, "others")))
        expected = {"code": "run_not_waiting", "status": 400}
        await case.refused(InvalidRequest, "runs.submit_tool_outputs", thread, run["id"], others, **expected)
        same("the run that is given them again", (await case.submit(thread, run["id"], outputs))["id"], run["id"])
        ended = await case.ended(thread, run["id"])
        await case.refused(InvalidRequest, "runs.submit_tool_outputs", thread, run["id"], others, **expected)
        same("the run that is given them after its end", await case.submit(thread, run["id"], outputs), ended)
        heard = story(await case.submit_heard(thread, run["id"], outputs), resumed=True)
        same("the run that is told again", heard.run, ended)
        same("the messages", (await case.texts(thread))[1:], ["ab"])
        answering, going = await case.answering()
        await case.refused(InvalidRequest, "runs.submit_tool_outputs", answering, going["id"], others, **expected)
        async with case.again() as other:
            apps = (case, other, case, other)
            thread, run, calls = await case.waiting()
            asked = [one.submit(thread, run["id"], dict.fromkeys(calls, f"{n}")) for n, one in enumerate(apps)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            same("how many of four at once were taken", sum(isinstance(one, dict) for one in found), 1)
            await case.ended(thread, run["id"])
            same("how many answers there are", len(await case.texts(thread)), 2)
            thread, run, calls = await case.waiting()
            await settled([one.submit(thread, run["id"], dict.fromkeys(calls, "once")) for one in apps])
            await case.ended(thread, run["id"])
        same("the messages of the four that were the same", (await case.texts(thread))[1:], ["once "])

    @clause
    async def test_27_what_is_demanded_is_demanded_once(self, case: RunsCase) -> None:
        """`tool_choice` reaches the model; a call that it demands is demanded for the first answer only."""
        named = {"type": "function", "function": {"name": "more"}}
        for choice, called in (("required", "add"), (named, "more")):
            thread = await case.thread("hello")
            with case.asked() as asked:
                made = await case.begin(thread, tools=[ADD, _MORE], tool_choice=choice)
                run = await case.until(thread, made["id"], "requires_action")
                same("the run's choice", run["tool_choice"], choice)
                calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
                same("what it calls", [one["function"]["name"] for one in calls], [called])
                await case.submit(thread, run["id"], dict.fromkeys(case.calls(run), "done"))
                await case.ended(thread, run["id"])
            told = [one.get("tool_choice", "auto") for one in asked]
            same("what the model is asked for", told, [choice, "auto"])
        with case.asked() as asked:
            await case.done(await case.thread(calling()), tool_choice="none", parallel_tool_calls=False)
        same("a choice of none", asked[0].get("tool_choice"), "none")
        same("whether several calls may come at once", asked[0].get("parallel_tool_calls"), False)

    @clause
    async def test_28_several_rounds(self, case: RunsCase) -> None:
        """After outputs the model may call again, as often as it likes; it is shown all calls and outputs so far."""
        thread, run, calls = await case.waiting(calling())
        with case.asked() as asked:
            for _ in range(2):
                heard = story(await case.submit_heard(thread, run["id"], dict.fromkeys(calls, calling())), resumed=True)
                same("the status", heard.run["status"], "requires_action")
                calls = case.calls(heard.run)
            heard = story(await case.submit_heard(thread, run["id"], dict.fromkeys(calls, "done")), resumed=True)
        same("the status in the end", heard.run["status"], "completed")
        roles = [[one["role"] for one in request["messages"]] for request in asked]
        same("what the model is shown", roles, [["user", *["assistant", "tool"] * count] for count in (1, 2, 3)])
        kinds = [step["type"] for step in await case.steps(thread, run["id"])]
        same("the steps", kinds, ["tool_calls"] * 3 + ["message_creation"])
        same("the messages", (await case.texts(thread))[1:], ["done "])
