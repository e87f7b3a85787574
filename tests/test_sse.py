from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jan_core.errors import Busy, EngineError
from jan_core.inprocess import AppTransport
from jan_core.sse import DONE, DONE_EVENT, error_frame, frame
from tests.notes import Note, NoteEvent
from tests.pinned import spec


def test_frames_byte_for_byte() -> None:
    assert frame(Note(id="1", text="hé\n")) == 'data: {"id":"1","text":"hé\\n"}\n\n'.encode()
    named = NoteEvent(event="note.made", data=Note(id="1", text="a"))
    assert frame(named) == b'event: note.made\ndata: {"id":"1","text":"a"}\n\n'
    assert DONE == b"data: [DONE]\n\n"
    assert DONE_EVENT == b"event: done\ndata: [DONE]\n\n"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_a_text_holds_an_event_is_one_line_of_data(text: str) -> None:
    raw = frame(Note(id="1", text=text))
    assert raw.endswith(b"\n\n")
    assert raw.count(b"\n") == 2
    assert b"\r" not in raw
    assert json.loads(raw.removeprefix(b"data: ")) == {"id": "1", "text": text}


def test_the_error_that_ends_a_stream() -> None:
    raw = error_frame(EngineError("It\nstopped."), named=False)
    assert raw.startswith(b"data: ")
    assert raw.count(b"\n") == 2
    assert json.loads(raw[6:]) == {
        "error": {"message": "It\nstopped.", "type": "server_error", "param": None, "code": "engine_error"}
    }


def test_the_error_that_ends_a_stream_of_named_events() -> None:
    raw = error_frame(Busy("Full.", param="model"), named=True)
    first, second, *rest = raw.split(b"\n")
    assert first == b"event: error"
    assert rest == [b"", b""]
    data = json.loads(second.removeprefix(b"data: "))
    spec().validate_event("error", data)
    assert {name: data[name] for name in ("message", "type", "param", "code")} == {
        "message": "Full.",
        "type": "rate_limit_error",
        "param": "model",
        "code": "queue_full",
    }


@pytest.mark.anyio
@pytest.mark.parametrize("named", [False, True])
async def test_the_official_client_raises_at_the_error_event(named: bool) -> None:
    import httpx2
    import openai

    async def app(scope: object, receive: object, send: object) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        frames = error_frame(EngineError("The engine stopped."), named=named)
        await send({"type": "http.response.body", "body": frames})  # type: ignore[operator]

    async with httpx2.AsyncClient(transport=AppTransport(app)) as http:
        client = openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http, max_retries=0)
        if named:
            with pytest.warns(DeprecationWarning, match="Assistants API"):
                stream: Any = await client.beta.threads.runs.create("thread_1", assistant_id="a", stream=True)
        else:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="The engine stopped"):
            async for _ in stream:
                pass
