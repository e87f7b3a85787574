"""Runs whose notes were written by a newer version, or by a person: the loop ends them, or goes on without."""

from __future__ import annotations

from typing import Any

import pytest

from jan_core.errors import JanError
from jan_core.schemas.runs import KeptRun, RequiredAction, Run, RunToolCall, ToolOutputsRequest

from .conftest import Talk

pytestmark = pytest.mark.anyio

BAD: list[Any] = [{"x": 1}, {"rounds": "no"}, {}]


class TestDamage:
    async def damaged(self, talk: Talk, status: str, request: Any) -> str:
        """A run with this status and these notes, which nobody carries on; its id."""
        await talk.say("one two")
        given = {"id": "run_1", "created_at": 1, "assistant_id": "jan", "model": "scripted", "status": status}
        run = Run.model_validate({**given, "thread_id": talk.thread})
        if status == "requires_action":
            run.required_action = RequiredAction.of([RunToolCall.of("call_1", "add", "{}")])
        kept = KeptRun(run=run, request=request)
        talk.place.runs.setdefault(talk.thread, {})["run_1"] = kept.model_dump_json()
        return "run_1"

    @pytest.mark.parametrize("request_", BAD)
    @pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action", "cancelling"])
    async def test_it_costs_that_run_alone(self, talk: Talk, status: str, request_: Any) -> None:
        async with talk:
            run_id = await self.damaged(talk, status, request_)
            assert len(await talk.messages()) == 1
            if status == "requires_action":
                told = {"tool_outputs": [{"tool_call_id": "call_1", "output": "x"}]}
                with pytest.raises(JanError) as caught:
                    await talk.jan.runs.submit_tool_outputs(
                        talk.thread, run_id, ToolOutputsRequest.model_validate(told)
                    )
                assert (caught.value.status, caught.value.code) == (400, "run_damaged")
                await talk.jan.runs.cancel(talk.thread, run_id)
            else:
                talk.stored._loop.start(talk.thread, run_id)
            run = await talk.end(run_id)
            unreadable = request_ == {"rounds": "no"}
            wanted = (
                "cancelled" if status in ("cancelling", "requires_action") else "failed" if unreadable else "completed"
            )
            assert run.status == wanted
            if wanted == "failed":
                assert run.last_error is not None
                assert "`request.rounds`" in run.last_error.message
            assert (await talk.end(await talk.run())).status == "completed"

    @pytest.mark.parametrize("request_", BAD)
    @pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action"])
    async def test_it_can_be_cancelled(self, talk: Talk, status: str, request_: Any) -> None:
        async with talk:
            run_id = await self.damaged(talk, status, request_)
            await talk.jan.runs.cancel(talk.thread, run_id)
            assert (await talk.end(run_id)).status == "cancelled"
