from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from jan_core import call
from jan_core.asgi import create_app
from jan_core.inprocess import AppTransport, client
from jan_core.requests import CLIENT_LEFT, Lines, RequestLog, Slow, UnderWay, Watch
from jan_core.testing.wired import wired
from tests.parts import chat_body, part, plugins, until

URL = "chat/completions"
SECRET = "my-private-words"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.anyio
async def test_a_line_tells_what_was_asked_and_how_it_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with wired(tmp_path) as jan, client(jan) as http:
        reply = await http.post(URL, json=chat_body({"say": ["a", "b"], "prompt_tokens": 9}))
        await http.post(URL, json=chat_body({"say": ["a"], "prompt_tokens": 8}, stream=True))
    plain, streamed = lines(capsys)
    assert [*plain] == [
        "time",
        "request_id",
        "method",
        "route",
        "status",
        "ms",
        "model",
        "prompt_tokens",
        "completion_tokens",
    ]
    assert plain["request_id"] == reply.headers["x-request-id"]
    assert (plain["method"], plain["route"], plain["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (plain["model"], plain["prompt_tokens"], plain["completion_tokens"]) == ("scripted", 9, 2)
    assert 0 <= plain["ms"] < 60_000
    assert (streamed["status"], streamed["prompt_tokens"], streamed["completion_tokens"]) == (200, 8, 1)


@pytest.mark.anyio
async def test_the_template_is_told_and_the_path_never(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with wired(tmp_path) as jan, client(jan) as http:
        await http.get(f"models/{SECRET}")
        await http.get(f"{URL}/{SECRET}?x={SECRET}")
        await http.get(f"{SECRET}/{SECRET}")
        await http.get("models", headers={"host": f"{SECRET}.example"})
        await http.put(f"models/{SECRET}")
    captured = capsys.readouterr().err
    assert SECRET not in captured
    told = [json.loads(line) for line in captured.splitlines()]
    assert [(one["route"], one["status"], one.get("error")) for one in told] == [
        ("/v1/models/{model:path}", 404, "model_not_found"),
        ("/v1/chat/completions/{completion_id}", 400, "not_supported"),
        (None, 404, "not_found"),
        (None, 421, "misdirected_request"),
        (None, 405, "method_not_allowed"),
    ]


@pytest.mark.anyio
async def test_content_is_never_in_the_log_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def talk(tables: dict[str, Any]) -> str:
        async with wired(tmp_path, tables) as jan, client(jan) as http:
            for fields in ({}, {"stream": True}, {"temperature": 99}, {"stream": True, "user": SECRET}):
                await http.post(URL, json=chat_body(SECRET, **fields))
            await http.post(URL, content=f'{{"{SECRET}', headers={"content-type": "application/json"})
        return capsys.readouterr().err

    quiet = await talk({})
    assert len(quiet.splitlines()) == 5
    assert SECRET not in quiet
    told = [json.loads(line) for line in (await talk({"server": {"log_prompts": True}})).splitlines()]
    assert json.loads(told[0]["prompt"]) == chat_body(SECRET)
    assert "prompt" in told[1]
    assert (await talk({"server": {"log_requests": False}})) == ""


@pytest.mark.anyio
async def test_an_error_in_a_stream_is_told_though_the_status_was_200(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with wired(tmp_path) as jan, client(jan) as http:
        script = {"say": ["a", "b"], "fail": "engine_error", "fail_after": 1}
        await http.post(URL, json=chat_body(script, stream=True))
    (line,) = lines(capsys)
    assert (line["status"], line["error"]) == (200, "engine_error")


@pytest.mark.anyio
async def test_a_client_that_leaves_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with wired(tmp_path) as jan, client(jan) as http:
        body = chat_body({"say": ["a"], "hang": True}, stream=True)
        async with http.stream("POST", URL, json=body) as reply:
            await anext(reply.aiter_raw())
        plain = asyncio.create_task(http.post(URL, json=chat_body({"hang": True})))
        await until(lambda: len(jan.under_way) > 0)
        plain.cancel()
        await asyncio.wait({plain})
        assert len(jan.under_way) == 0
    assert [line["status"] for line in lines(capsys)] == [CLIENT_LEFT, CLIENT_LEFT]


@pytest.mark.anyio
async def test_the_call_is_set_for_wrappers_with_id_and_idempotency_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def look(proceed: Any, *arguments: Any) -> Any:
        context = call.current()
        assert context is not None
        seen.append((proceed.operation.name, context.request_id, context.idempotency_key, context.model))
        return await proceed(*arguments)

    named = plugins(monkeypatch, "wrap_chat", look={"*": look})
    async with wired(tmp_path, plugins=named) as jan, client(jan) as http:
        replies = [
            await http.post(URL, json=chat_body("a"), headers={"Idempotency-Key": "k-1"}),
            await http.post(URL, json=chat_body("a", stream=True), headers={"Idempotency-Key": "k-2"}),
            await http.get(URL),
        ]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert seen == [
        ("create", ids[0], "k-1", "scripted"),
        ("create_stream", ids[1], "k-2", "scripted"),
        ("list", ids[2], None, None),
    ]
    assert len({*ids}) == 3


@pytest.mark.anyio
async def test_a_request_from_within_has_its_callers_name() -> None:
    seen: list[call.Call | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(call.current())

    scope = {"type": "http", "method": "GET", "path": "/", "state": {"inside": call.Inside("laptop")}}
    await RequestLog(app, enabled=False)(scope, None, None)  # type: ignore[arg-type]
    assert [one.key_name for one in seen if one is not None] == ["laptop"]


@pytest.mark.anyio
async def test_requests_at_once_keep_their_calls_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def echo(proceed: Any, *arguments: Any) -> Any:
        before = call.current()
        await asyncio.sleep(0)
        assert call.current() is before
        reply = await proceed(*arguments)
        return reply.model_copy(update={"system_fingerprint": before and before.idempotency_key})

    named = plugins(monkeypatch, "wrap_chat", echo={"create": echo})
    async with wired(tmp_path, plugins=named) as jan, client(jan) as http:
        asked = [http.post(URL, json=chat_body("a"), headers={"Idempotency-Key": f"k{n}"}) for n in range(20)]
        replies = await asyncio.gather(*asked)
    assert [reply.json()["system_fingerprint"] for reply in replies] == [f"k{n}" for n in range(20)]


@pytest.mark.anyio
async def test_a_line_is_written_also_where_the_app_fails(tmp_path: Path) -> None:
    import httpx2

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("outside of any operation")

    told: list[str] = []
    logged = AppTransport(RequestLog(broken, write=told.append))
    async with httpx2.AsyncClient(transport=logged, base_url="http://localhost") as http:
        with pytest.raises(RuntimeError):
            await http.get("/x")
    (line,) = map(json.loads, told)
    assert (line["method"], line["route"]) == ("GET", None)
    assert line["status"] == 500
    assert create_app(wired(tmp_path)).enabled  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_under_way_counts_and_ends() -> None:
    under_way = UnderWay()
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    under_way.add(task)
    await started.wait()
    assert (len(under_way), under_way.stopping) == (1, False)
    under_way.stop()
    await asyncio.wait({task}, timeout=60)
    assert (task.cancelled(), under_way.stopping) == (True, True)
    under_way.discard(task)
    under_way.discard(task)
    assert len(under_way) == 0


@pytest.mark.anyio
async def test_a_watch_cancels_its_task_when_the_client_leaves_and_never_after_it_was_closed() -> None:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for closes in (False, True):
        task = asyncio.create_task(asyncio.Event().wait())
        watch = Watch(messages.get, task)
        if closes:
            watch.close()
        watch.begin()
        await messages.put({"type": "http.request", "body": b"", "more_body": False})
        await messages.put({"type": "http.disconnect"})
        for _ in range(20):  # turns of the loop: everything here happens at once
            await asyncio.sleep(0)
        assert (watch.gone, task.cancelled()) == (not closes, not closes)
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.anyio
async def test_what_lasts_is_watched_and_what_is_over_by_then_is_not() -> None:
    slow = Slow(0.001)
    for _ in range(2):  # the second time its timer has run out
        gone: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        gone.put_nowait({"type": "http.disconnect"})
        tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
        watches = [Watch(gone.get, task) for task in tasks]
        for watch in watches:
            slow.add(watch)
        watches[1].close()
        await asyncio.wait(tasks, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert [watch.gone for watch in watches] == [True, False, False]
        for watch, task in zip(watches, tasks, strict=True):
            watch.close()
            task.cancel()
        await asyncio.wait(tasks)


def test_another_loop_is_no_hindrance() -> None:
    slow = Slow(0.001)

    async def left(begins: bool) -> bool:
        gone: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        gone.put_nowait({"type": "http.disconnect"})
        task = asyncio.create_task(asyncio.Event().wait())
        watch = Watch(gone.get, task)
        slow.add(watch)
        if begins:
            await asyncio.wait([task], timeout=60)
        watch.close()
        task.cancel()
        await asyncio.wait([task])
        return watch.gone

    assert asyncio.run(left(False)) is False  # the loop ends before its timer does
    assert asyncio.run(left(True)) is True


@pytest.mark.anyio
async def test_lines_of_one_turn_are_written_together_in_order_and_none_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = Lines()
    write("a")
    write("b")
    assert capsys.readouterr().err == ""
    await asyncio.sleep(0)
    assert capsys.readouterr().err == "a\nb\n"
    write("c")
    write.flush()
    await asyncio.sleep(0)
    assert capsys.readouterr().err == "c\n"


@pytest.mark.anyio
async def test_whatever_a_client_calls_its_model_the_line_is_one_and_is_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = 'x", "status": 200}\n{"time": "\u2028\x1b[31m'
    async with wired(tmp_path) as jan, client(jan) as http:
        await http.post(URL, json=chat_body("a", model=name))
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    assert (json.loads(line)["model"], json.loads(line)["status"]) == (name, 404)


@pytest.mark.anyio
async def test_a_layer_around_the_app_reads_how_a_request_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def reading(app: Any) -> Any:
        async def around(scope: Any, receive: Any, send: Any) -> None:
            context = call.current()
            assert context is not None
            before = context.status
            await app(scope, receive, send)
            seen.append((before, context.status))

        return around

    reader = part(monkeypatch, "reader", asgi_wrapper=lambda settings, jan: reading)
    async with wired(tmp_path, plugins={"reader": reader}) as jan, client(jan) as http:
        for path, body in ((URL, chat_body({"say": ["a"]})), (URL, {}), ("nothing", {})):
            await http.post(path, json=body)
        await http.post(URL, json=chat_body({"say": ["a"]}, stream=True))
    assert seen == [(0, 200), (0, 400), (0, 404), (0, 200)]
