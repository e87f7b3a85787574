from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from jan_core import call
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.threads import ThreadRequest
from tests.notes import NotesInMemory
from tests.parts import NOTES, leave, part, until

from .conftest import PLUGIN, lines_of, served

SECRET = "nobody must read this"


def says(script: Any) -> list[Any]:
    return [{"role": "user", "content": script if isinstance(script, str) else json.dumps(script)}]


@pytest.mark.anyio
async def test_every_change_is_told_with_who_what_when_and_how_it_ended(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        made = await one.http.post("/threads", json={"metadata": {"note": SECRET}})
        thread = made.json()["id"]
        body = {"role": "user", "content": SECRET}
        said = (await one.http.post(f"/threads/{thread}/messages", json=body)).json()["id"]
        await one.http.get(f"/threads/{thread}/messages")
        await one.http.delete(f"/threads/{thread}/messages/{said}")
        missing = await one.http.delete("/threads/thread_none")
        lines = await one.lines(4)
    assert [(line["operation"], line["status"], line["error"]) for line in lines] == [
        ("threads.create", 200, None),
        ("messages.create", 200, None),
        ("messages.delete", 200, None),
        ("threads.delete", 404, missing.json()["error"]["code"]),
    ]
    first = lines[0]
    assert first["request_id"] == made.headers["x-request-id"]
    assert (first["ids"], first["object"], first["key_name"]) == ({}, thread, None)
    assert lines[1]["ids"] == {"thread_id": thread}
    assert lines[1]["object"] == said
    assert lines[2]["ids"] == {"thread_id": thread, "message_id": said}
    assert all(line["event"] == "ended" and line["time"].endswith("Z") and line["ms"] >= 0 for line in lines)
    assert SECRET not in one.file.read_text()
    assert one.file.stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_the_key_and_the_model_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def around(settings: Any, jan: Any) -> Any:
        def keyed(app: Any) -> Any:
            async def known(scope: Any, receive: Any, send: Any) -> None:
                context = call.current()
                assert context is not None
                context.key_name = "ada"
                await app(scope, receive, send)

            return known

        return keyed

    keys = {"keys": part(monkeypatch, "keys", asgi_wrapper=around)}
    for count, plugins in enumerate(({**keys, **PLUGIN}, {**PLUGIN, **keys}), 1):
        async with served(tmp_path, plugins=plugins) as one:
            reply = await one.api.chat.completions.create(model="scripted", messages=says(SECRET))
            line = (await one.lines(count))[-1]
        assert (line["operation"], line["key_name"], line["model"]) == ("chat.create", "ada", "scripted")
        assert line["object"] == reply.id
        assert SECRET not in one.file.read_text()


@pytest.mark.anyio
async def test_a_stream_is_told_when_it_has_ended(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        stream = await one.api.chat.completions.create(model="scripted", messages=says("a b"), stream=True)
        chunks = [chunk async for chunk in stream]
        broken = says({"say": ["a", "b"], "fail": "engine_error", "fail_after": 1})
        failing = await one.api.chat.completions.create(model="scripted", messages=broken, stream=True)
        with pytest.raises(openai.APIError):
            async for _ in failing:
                pass
        with pytest.raises(openai.RateLimitError):
            await one.api.chat.completions.create(model="scripted", messages=says({"fail": "queue_full"}), stream=True)
        lines = await one.lines(3)
    assert [(line["operation"], line["status"], line["error"]) for line in lines] == [
        ("chat.create_stream", 200, None),
        ("chat.create_stream", 503, "engine_error"),
        ("chat.create_stream", 429, "queue_full"),
    ]
    assert lines[0]["object"] == chunks[0].id


@pytest.mark.anyio
async def test_a_client_that_leaves_and_a_defect_are_told(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await leave(one.jan, one.http)
        with pytest.raises(openai.InternalServerError):
            await one.api.chat.completions.create(model="scripted", messages=says({"fail": "bug"}))
        lines = await one.lines(3)
    assert [(line["operation"], line["status"], line["error"]) for line in lines] == [
        ("chat.create_stream", 499, "client_left"),
        ("chat.create", 499, "client_left"),
        ("chat.create", 500, "internal_error"),
    ]


@pytest.mark.anyio
async def test_a_stop_is_told_as_one(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        hangs: dict[str, Any] = {"model": "scripted", "messages": says({"say": ["a"], "hang": True}), "stream": True}
        async with one.http.stream("POST", "chat/completions", json=hangs) as reply:
            one.jan.under_way.stop()
            assert "stopping" in (await reply.aread()).decode()
        (line,) = await one.lines(1)
    assert (line["status"], line["error"]) == (503, "stopping")


@pytest.mark.anyio
async def test_endpoints_of_strangers_are_told_and_internal_operations_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())
    async with served(tmp_path, modules={"notes-memory": notes}, **NOTES) as one:
        await one.http.post("/notes", json={"text": SECRET})
        await one.http.post("/notes", json={"text": SECRET, "stream": True})
        await one.http.get("/notes")
        await one.http.delete("/notes/note_0")
        await one.jan.notes.erase("x", keep=1)
        lines = await one.lines(3)
    told = [(line["operation"], line["status"], line["object"], line["ids"]) for line in lines]
    assert told == [
        ("notes.create", 200, "note_0", {}),
        ("notes.create_stream", 200, "", {}),
        ("notes.delete", 400, None, {"note_id": "note_0"}),
    ]
    assert lines[2]["error"] == "not_supported"
    assert SECRET not in one.file.read_text()


@pytest.mark.anyio
async def test_what_is_left_out_is_not_told(tmp_path: Path) -> None:
    async with served(tmp_path, {"leave_out": ["embeddings", "chat.create"]}) as one:
        await one.api.embeddings.create(model="scripted", input="a")
        await one.api.chat.completions.create(model="scripted", messages=says("a"))
        async for _ in await one.api.chat.completions.create(model="scripted", messages=says("a"), stream=True):
            pass
    assert [line["operation"] for line in lines_of(one.file)] == ["chat.create_stream"]


@pytest.mark.anyio
async def test_a_program_that_uses_jan_as_a_library_is_told_too(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        thread = await one.jan.threads.create(ThreadRequest())
        await one.jan.threads.delete(thread.id)
        lines = await one.lines(2)
    assert [(line["operation"], line["request_id"]) for line in lines] == [
        ("threads.create", None),
        ("threads.delete", None),
    ]


@pytest.mark.anyio
async def test_long_and_hostile_names_stay_one_short_line(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        name = 'x"\n\u2028' + "y" * 2000
        with pytest.raises(openai.NotFoundError):
            await one.api.chat.completions.create(model="m" + "\n" * 200, messages=says("a"))
        await one.http.delete("/threads/" + "%0A%22" + "y" * 2000)
        lines = await one.lines(2)
    assert len(lines) == 2
    assert len(lines[1]["ids"]["thread_id"]) == 256
    assert len(name) > 256


@pytest.mark.anyio
async def test_where_it_is_required_a_line_comes_before_the_change(tmp_path: Path) -> None:
    async with served(tmp_path, {"required": True}) as one:
        thread = (await one.http.post("/threads", json={})).json()["id"]
        async for _ in await one.api.chat.completions.create(model="scripted", messages=says("a"), stream=True):
            pass
        lines = await one.lines(4)
    assert [(line["event"], line["operation"]) for line in lines] == [
        ("begun", "threads.create"),
        ("ended", "threads.create"),
        ("begun", "chat.create_stream"),
        ("ended", "chat.create_stream"),
    ]
    assert lines[0]["request_id"] == lines[1]["request_id"]
    assert lines[1]["object"] == thread


@pytest.mark.anyio
async def test_where_it_is_required_and_cannot_be_written_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file is in the way")
    async with served(tmp_path, {"required": True}) as one:
        refused = await one.http.post("/threads", json={})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "audit_log_unavailable"
        assert refused.headers["retry-after"] == "5"
        assert (await one.http.get("/threads")).json()["data"] == []
        with pytest.raises(openai.InternalServerError, match="nothing was"):
            await one.api.chat.completions.create(model="scripted", messages=says("a"), stream=True)
        (tmp_path / "logs").unlink()
        assert (await one.http.post("/threads", json={})).status_code == 200
        lines = await one.lines(2)
    assert [line["event"] for line in lines] == ["begun", "ended"]


@pytest.mark.anyio
async def test_where_it_is_not_required_no_request_fails_and_lines_come_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("a file is in the way")
    async with served(tmp_path) as one:
        for _ in range(3):
            assert (await one.http.post("/threads", json={})).status_code == 200
        await until(lambda: "cannot be written" in caplog.text)
        (tmp_path / "logs").unlink()
        assert len(await one.lines(3)) == 3
        await until(lambda: "is written again" in caplog.text)
    assert caplog.text.count("cannot be written") == 1


@pytest.mark.anyio
async def test_a_stream_that_is_closed_between_two_events_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        body = ChatCompletionRequest(model="scripted", messages=says("a b c"))
        events: Any = one.jan.chat.create_stream(body)
        await anext(events)
        await events.aclose()
        (line,) = await one.lines(1)
    assert (line["operation"], line["status"]) == ("chat.create_stream", 499)
