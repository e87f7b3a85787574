from __future__ import annotations

from typing import Any

import pytest
from jan_runs.asked import new_run, try_settings
from jan_runs.notes import Notes

from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.threads import ThreadRequest, ThreadUpdate

from .conftest import FUNCTION, Talk, request

pytestmark = pytest.mark.anyio


async def asked(talk: Talk, **more: Any) -> Any:
    return await new_run(talk.jan, talk.thread, request(**more), expires_seconds=30, toolbox=talk.stored._toolbox)


class TestNewRun:
    async def test_it_is_queued_and_expires(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            run = (await asked(talk)).run
        assert (run.status, run.model, run.thread_id) == ("queued", "scripted", talk.thread)
        assert run.expires_at == run.created_at + 30

    async def test_the_request_goes_before_the_assistant(self, talk: Talk) -> None:
        async with talk:
            body = AssistantRequest.model_validate(
                {"model": "scripted", "instructions": "Be kind.", "temperature": 0.2, "tools": [FUNCTION]}
            )
            assistant = await talk.jan.assistants.create(body)
            await talk.say("hello")
            plain = (await asked(talk, assistant_id=assistant.id)).run
            own = (await asked(talk, assistant_id=assistant.id, temperature=0, tools=[], instructions="Be brief.")).run
            more = (await asked(talk, assistant_id=assistant.id, additional_instructions="And brief.")).run
        assert (plain.instructions, plain.temperature, len(plain.tools)) == ("Be kind.", 0.2, 1)
        assert (own.instructions, own.temperature, own.tools) == ("Be brief.", 0, [])
        assert more.instructions == "Be kind.\nAnd brief."

    async def test_parameters_of_the_layers_are_noted_as_they_are_now(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            await talk.jan.threads.update(
                talk.thread, ThreadUpdate.model_validate({"parameters": {"stop": ["x"], "seed": 7, "max_tokens": 5}})
            )
            kept = await asked(talk)
        found = Notes.of(kept).parameters
        assert (found["stop"], found["seed"], found["max_tokens"]) == (["x"], 7, 5)
        assert not {"model", "instructions", "tools", "temperature"} & found.keys()

    async def test_nobody_answers_for_an_assistant_that_is_not_there(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            with pytest.raises(NotFound):
                await asked(talk, assistant_id="none-such")

    async def test_a_choice_among_tools_that_are_not_there_is_refused(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            with pytest.raises(InvalidRequest, match="tool_choice"):
                await asked(talk, tool_choice="required")


class TestTrySettings:
    async def test_what_could_not_begin_is_refused_before_a_thread_is_made(self, talk: Talk) -> None:
        async with talk:
            await try_settings(talk.jan, request(), ThreadRequest(), talk.stored._toolbox)
            with pytest.raises(NotFound):
                await try_settings(talk.jan, request(assistant_id="none-such"), ThreadRequest(), talk.stored._toolbox)
            with pytest.raises(InvalidRequest):
                await try_settings(talk.jan, request(tool_choice="required"), ThreadRequest(), talk.stored._toolbox)
