from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.runs import RunRequest, RunStepQuery, RunStepsQuery
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.contract.run_grammar import Story, story
from jan_core.testing.wired import one_module

pytestmark = pytest.mark.anyio


def served(root: Path, **settings: Any) -> Jan:
    return one_module(root, "runs", "runs-memory", settings)


async def heard(jan: Jan, text: str, **fields: Any) -> Story:
    assistant = await jan.assistants.create(AssistantRequest(model="scripted"))
    said = [{"role": "user", "content": text}]
    thread = await jan.threads.create(ThreadRequest.model_validate({"messages": said}))
    body = RunRequest.model_validate({"assistant_id": assistant.id, **fields})
    return story([event async for event in jan.runs.create_stream(thread.id, body)])


async def test_a_defect_of_the_engine_ends_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path) as jan:
        told = await heard(jan, json.dumps({"say": ["a", "b"], "fail": "a defect", "fail_after": 1}))
    assert told.run["last_error"]["code"] == "server_error"
    assert "a defect" not in told.run["last_error"]["message"]
    assert "a defect" in caplog.text


async def test_a_step_is_read_by_its_id(tmp_path: Path) -> None:
    async with served(tmp_path) as jan:
        told = await heard(jan, "hello")
        thread, run = told.run["thread_id"], told.run["id"]
        (step,) = (await jan.runs.list_steps(thread, run, RunStepsQuery())).data
        assert await jan.runs.retrieve_step(thread, run, step.id, RunStepQuery()) == step


async def test_it_expires_when_its_settings_say(tmp_path: Path) -> None:
    async with served(tmp_path, expires_seconds=7) as jan:
        run = (await heard(jan, "hello", tools=[{"type": "file_search"}])).run
        assert run["status"] == "failed"
        told = await jan.runs.kept(run["thread_id"], run["id"])
        assert told.steps == []
    async with served(tmp_path) as jan:
        assistant = await jan.assistants.create(AssistantRequest(model="scripted"))
        thread = await jan.threads.create(ThreadRequest())
        made = await jan.runs.create(thread.id, RunRequest(assistant_id=assistant.id))
        assert made.expires_at == made.created_at + 600


async def test_closing_the_app_ends_what_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as jan:
        assistant = await jan.assistants.create(AssistantRequest(model="scripted"))
        said = [{"role": "user", "content": json.dumps({"say": ["a"], "hang": True})}]
        thread = await jan.threads.create(ThreadRequest.model_validate({"messages": said}))
        events = jan.runs.create_stream(thread.id, RunRequest(assistant_id=assistant.id))
        async for event in events:
            if event.event == "thread.message.delta":
                break
        await jan.__aexit__(None, None, None)
        rest = [event.event async for event in events]
        assert rest == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]
