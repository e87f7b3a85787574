from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import InvalidRequest, ModelNotFound, Unavailable
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.runs import RunsQuery, ThreadRunRequest
from jan_core.schemas.threads import ThreadsQuery

from .conftest import FUNCTION, Talk

pytestmark = pytest.mark.anyio

TEXT = {"type": "text", "text": "hello"}
FILE = {"type": "image_file", "image_file": {"file_id": "file-1"}}
SEARCHED = {"attachments": [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]}


def refusing(talk: Talk, error: Exception) -> list[Any]:
    """Have the engine refuse whatever it is asked about; the requests that it was asked about."""
    seen: list[Any] = []

    async def check(body: Any) -> None:
        seen.append(body)
        raise error

    talk.jan.chat.check = check
    return seen


async def refused(talk: Talk, **more: Any) -> InvalidRequest:
    """What the refusal of a run says; nothing of it is stored, and the thread goes on."""
    messages = await talk.messages()
    with pytest.raises(InvalidRequest) as raised:
        await talk.run(**more)
    assert raised.value.status == 400
    assert (await talk.jan.runs.list(talk.thread, RunsQuery())).data == []
    assert await talk.messages() == messages
    return raised.value


async def test_a_model_that_is_not_there(talk: Talk) -> None:
    async with talk:
        await talk.say("hello")
        body = AssistantRequest.model_validate({"model": "none-such"})
        assistant = (await talk.jan.assistants.create(body)).id
        for fields in ({"model": "none-such"}, {"assistant_id": assistant}):
            error = await refused(talk, **fields)
            assert (error.param, error.code) == ("model", "model_not_found")
            assert "none-such" in error.message
        assert (await talk.end(await talk.run())).status == "completed"


async def test_no_thread_is_made_for_what_could_not_begin(talk: Talk) -> None:
    async with talk:
        body = ThreadRunRequest.model_validate({"assistant_id": "jan", "model": "none-such"})
        with pytest.raises(InvalidRequest, match="none-such"):
            await talk.jan.runs.create_thread(body)
        assert (await talk.jan.threads.list(ThreadsQuery())).data == []


@pytest.mark.parametrize("fields", [{"content": [TEXT, FILE]}, {"content": "hello", **SEARCHED}])
async def test_an_additional_message_that_needs_files(talk: Talk, fields: dict[str, Any]) -> None:
    async with talk:
        await talk.say("hello")
        wrong = {"role": "user", **fields}
        error = await refused(talk, additional_messages=[{"role": "user", "content": "hello"}, wrong])
        assert (error.param, error.code) == ("additional_messages[1]", "not_supported")
        assert "no files" in error.message
        assert (await talk.end(await talk.run())).status == "completed"


async def test_what_the_engine_would_refuse(talk: Talk) -> None:
    async with talk:
        await talk.say("hello")
        seen = refusing(talk, InvalidRequest("No such schema.", param="response_format"))
        schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "none-such"}}}
        choice = {"type": "function", "function": {"name": "add"}}
        files = {"type": "file_search"}
        error = await refused(
            talk, response_format=schema, tools=[FUNCTION, files], tool_choice=choice, temperature=0.5
        )
        assert (error.message, error.param) == ("No such schema.", "response_format")
        (body,) = seen
        assert (body.model, body.temperature, body.response_format.type) == ("scripted", 0.5, "json_schema")
        assert [tool.function.name for tool in body.tools] == ["add"]


async def test_a_failure_is_no_refusal(talk: Talk) -> None:
    async with talk:
        await talk.say("hello")
        refusing(talk, Unavailable("The disk is away."))
        assert (await talk.end(await talk.run())).status == "completed"


@pytest.mark.parametrize("code", ["async def run(context):\n    yield 'mine'\n", "import none_such\n"])
async def test_code_in_the_place_of_the_model_needs_none(talk: Talk, tmp_path: Path, code: str) -> None:
    index = tmp_path / "assistants" / "jan" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text(code)
    async with talk:
        await talk.say("hello")
        refusing(talk, ModelNotFound("None."))
        run = await talk.end(await talk.run(model="none-such"))
        assert run.status == ("completed" if "yield" in code else "failed")
