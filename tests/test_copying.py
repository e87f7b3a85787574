from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from jan_postgresql.testing import dsn_for
from jan_runs_json.store import RunsJson
from jan_runs_postgresql.store import RunsPostgresql

from jan_core.app import Jan
from jan_core.copying import ENDPOINTS, Copying, Told
from jan_core.errors import Unavailable
from jan_core.schemas.assistants import Assistant, AssistantRequest, AssistantUpdate
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery, MessageUpdate
from jan_core.schemas.runs import (
    KeptRun,
    MessageCreation,
    MessageCreationDetails,
    Run,
    RunsQuery,
    RunStep,
    RunUpdate,
)
from jan_core.schemas.threads import Thread, ThreadRequest, ThreadsQuery, ThreadUpdate
from jan_core.testing.wired import wired

pytestmark = pytest.mark.anyio

MODULES = {
    how: {
        "models-memory": "jan_core.testing.memory",
        **{f"{name}-{how}": f"jan_{name}_{how}" for name in ENDPOINTS},
    }
    for how in ("json", "postgresql")
}


@asynccontextmanager
async def opened(folder: Path, how: str) -> AsyncIterator[Jan]:
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    tables: dict[str, dict[str, Any]] = {"server": {"log_requests": False}}
    if how == "postgresql":
        tables["jan-postgresql"] = {"dsn": dsn_for(folder)}
    async with wired(folder, tables, modules=MODULES[how], backends=backends, at_rest=True) as jan:
        yield jan


async def fill(jan: Jan) -> str:
    """Something of everything; the id of a thread with many messages."""
    await jan.assistants.create(AssistantRequest(model="m", name="A\0\U0001f600", metadata={"a": "b"}))
    await jan.assistants.put(Assistant(id="own", created_at=5, model="", instructions="Be brief."))
    await jan.assistants.update("jan", AssistantUpdate(instructions="Be kind."))
    first = await jan.threads.create(ThreadRequest(title="first", metadata={"n": "1"}))
    await jan.threads.put(Thread(id="old", created_at=7, parameters={"seed": 1}))
    for number in range(230):
        await jan.messages.create(first.id, MessageRequest(role="user", content=f"{number}\0"))
    own = {"id": "msg_own", "created_at": 3, "thread_id": "old", "role": "assistant", "run_id": "run_1"}
    text = {"type": "text", "text": {"value": "own", "annotations": []}}
    await jan.messages.put(Message.model_validate({**own, "content": [text], "completed_at": None}))
    for number in range(3):
        await jan.runs.put(kept(f"run_{number}", "old", created_at=9 - number % 2))
    await jan.runs.put(kept("run_first", first.id))
    return str(first.id)


def kept(id: str, thread: str, **fields: Any) -> KeptRun:
    """A run that has ended, unless told otherwise, with a step."""
    made = {"id": id, "thread_id": thread, "created_at": 9, "assistant_id": "own", "model": "m"}
    run = Run.model_validate({**made, "status": "completed", "completed_at": 11, "instructions": "a\0", **fields})
    step = RunStep(
        id="step_1",
        created_at=10,
        assistant_id="own",
        thread_id=thread,
        run_id=id,
        type="message_creation",
        status="completed",
        completed_at=11,
        step_details=MessageCreationDetails(message_creation=MessageCreation(message_id="msg_own")),
    )
    return KeptRun(run=run, steps=[step], request={"parameters": {"seed": 1}})


async def everything(jan: Jan) -> Any:
    threads = (await jan.threads.list(ThreadsQuery(order="asc", limit=100))).data
    messages = {}
    for thread in threads:
        pages, after = [], None
        while True:
            page = await jan.messages.list(thread.id, MessagesQuery(order="asc", limit=100, after=after))
            pages += page.data
            after = page.last_id
            if not page.has_more:
                break
        messages[thread.id] = pages
    assistants = (await jan.assistants.list(ThreadsQuery(order="asc", limit=100))).data
    runs = [
        await jan.runs.kept(thread.id, run.id)
        for thread in threads
        for run in (await jan.runs.list(thread.id, RunsQuery(limit=100))).data
    ]
    return assistants, threads, messages, runs


async def copied(source: Jan, target: Jan) -> list[Told]:
    copying = Copying(source, target)
    return [await copying.copy(name) for name in ENDPOINTS]


def counts(told: list[Told]) -> list[tuple[int, int, list[str]]]:
    return [(one.copied, one.present, one.conflicts) for one in told]


async def test_there_and_back(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        assert counts(await copied(files, database)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
        assert await everything(database) == await everything(files)
        async with opened(tmp_path / "c", "json") as back:
            assert counts(await copied(database, back)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
            assert await everything(back) == await everything(files)


async def test_made_again_it_changes_nothing_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        thread = await fill(files)
        copying = Copying(files, database)
        for name in ("assistants", "threads"):
            await copying.copy(name)
        for one in (await files.messages.list(thread, MessagesQuery(order="asc", limit=100))).data:
            await database.messages.put(one)
        assert counts([await copying.copy("messages")]) == [(131, 100, [])]
        assert counts([await copying.copy("runs")]) == [(4, 0, [])]
        assert counts(await copied(files, database)) == [(0, 3, []), (0, 2, []), (0, 231, []), (0, 4, [])]
        assert await everything(database) == await everything(files)


async def test_what_differs_is_told_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        thread = await fill(files)
        await copied(files, database)
        await database.assistants.update("own", AssistantUpdate(instructions="Be long."))
        await database.assistants.update("jan", AssistantUpdate(instructions="Mine."))
        await database.threads.update("old", ThreadUpdate(title="mine"))
        await database.messages.update("old", "msg_own", MessageUpdate(metadata={"mine": "yes"}))
        await database.messages.create(thread, MessageRequest(role="user", content="later"))
        await database.runs.update("old", "run_0", RunUpdate(metadata={"mine": "yes"}))
        there = await everything(database)
        told = await copied(files, database)
        assert [len(one.conflicts) for one in told] == [2, 1, 2, 1]
        assert told[3].conflicts == ["the run 'run_0' differs in metadata"]
        assert "the assistant 'own' differs in instructions" in told[0].conflicts
        assert told[1].conflicts == ["the thread 'old' differs in title"]
        assert any("differs in metadata" in one for one in told[2].conflicts)
        assert any("has messages there that it has not here" in one for one in told[2].conflicts)
        assert await everything(database) == there


async def test_what_the_api_does_not_know_of_a_message_goes_along(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        thread = await fill(files)
        file = tmp_path / "a" / "threads" / thread / "messages.json"
        messages = json.loads(file.read_text("utf-8"))
        messages[0]["type"] = "text\0"
        messages[1]["content"][0]["text"]["own"] = {"b": [1, None], "a": 1e300}
        messages[2] |= {"others": {"z": "\U0001f600"}, "by_hand": True}
        del messages[3]["attachments"]
        file.write_text(json.dumps(messages, indent=2))
        assert counts(await copied(files, database)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
        assert await everything(database) == await everything(files)
        async with opened(tmp_path / "c", "json") as back:
            assert counts(await copied(database, back)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
        found = json.loads((tmp_path / "c" / "threads" / thread / "messages.json").read_text("utf-8"))
        messages[3]["attachments"] = None
        assert found == messages
        messages[2]["by_hand"] = False
        file.write_text(json.dumps(messages))
        told = await Copying(files, database).copy("messages")
        (conflict,) = told.conflicts
        assert f"the message {messages[2]['id']!r} differs in by_hand" in conflict


def by_hand(root: Path, thread: str) -> None:
    """Write into the files of a filled root what the API does not know."""
    assistant, folder = root / "assistants" / "own", root / "threads" / thread
    edit(assistant / "assistant.json", {"own": {"b": [1, None], "a": "\0\U0001f600"}, "parameters": {"seed": 4}})
    (assistant / "model.json").write_text('{"id": "stories", "parameters": {"top_k": 7}, "by_hand": 1e300}')
    edit(folder / "thread.json", {"type": "thread", "metadata": {"n": "1"}, "pinned": True})
    edit(folder / "thread.json", {"assistants": [{"assistant_id": "own", "model": {"id": "m"}, "nick": "O"}]})
    (folder / "model.json").write_text('{"instructions": "Rhyme.", "parameters": {"seed": 9}, "z": [{}]}')
    run = root / "threads" / "old" / "runs" / "run_1.json"
    values = json.loads(run.read_text("utf-8"))
    values["steps"][0] |= {"note": "by hand", "step_details": values["steps"][0]["step_details"] | {"more": 1}}
    values["usage"] = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.25}
    edit(run, values | {"own": ["x"]})


def edit(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values, indent=2))


async def lines(jan: Jan) -> dict[str, list[bytes]]:
    """All but messages as lines."""
    assistants = [one.id for one in (await jan.assistants.list(ThreadsQuery(order="asc"))).data]
    threads = [one.id for one in (await jan.threads.list(ThreadsQuery(order="asc"))).data]
    found = {"assistants": [*await jan.assistants.export(assistants)], "threads": [*await jan.threads.export(threads)]}
    for thread in threads:
        runs = [one.id for one in (await jan.runs.list(thread, RunsQuery(order="asc"))).data]
        found[thread] = [*await jan.runs.export(thread, runs)]
    return found


async def settings(jan: Jan, thread: str) -> dict[str, Any]:
    """What holds for answers."""
    layers = [*await jan.threads.layers(thread), *await jan.assistants.layers("own")]
    return {name: value for layer in reversed(layers) for name, value in layer.values.items()}


async def test_what_the_api_does_not_know_of_the_others_goes_along(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        thread = await fill(files)
        by_hand(tmp_path / "a", thread)
        here = await lines(files)
        text = b"".join(line for some in here.values() for line in some)
        for name in (b"own", b"by_hand", b"pinned", b"nick", b"Rhyme.", b"note", b"more", b"cost"):
            assert b'"%s"' % name in text, name
        assert [len(one) for one in here.values()] == [3, 2, 3, 1]
        assert counts(await copied(files, database)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
        assert await lines(database) == here
        assert await everything(database) == await everything(files)
        assert await settings(database, thread) == await settings(files, thread)
        await database.assistants.update("own", AssistantUpdate(name="new"))
        await database.threads.update(thread, ThreadUpdate(title="new"))
        await database.runs.update("old", "run_1", RunUpdate(metadata={"new": "yes"}))
        async with opened(tmp_path / "c", "json") as back:
            assert counts(await copied(database, back)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
            assert await lines(back) == await lines(database)
            assert await settings(back, thread) == await settings(files, thread)
        beside, model = tmp_path / "c" / "assistants" / "own" / "model.json", "threads/" + thread + "/model.json"
        assert json.loads(beside.read_text("utf-8"))["by_hand"] == 1e300
        assert json.loads((tmp_path / "c" / model).read_text("utf-8")) == json.loads(
            (tmp_path / "a" / model).read_text()
        )
        run = json.loads((tmp_path / "c/threads/old/runs/run_1.json").read_text("utf-8"))
        assert (run["own"], run["usage"]["cost"], run["steps"][0]["note"]) == (["x"], 0.25, "by hand")
        assert run["metadata"] == {"new": "yes"}


async def test_what_differs_only_in_what_the_api_does_not_know_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        thread = await fill(files)
        by_hand(tmp_path / "a", thread)
        await copied(files, database)
        edit(tmp_path / "a" / "assistants" / "own" / "assistant.json", {"own": 1})
        edit(tmp_path / "a" / "assistants" / "own" / "model.json", {"by_hand": 2})
        edit(tmp_path / "a" / "threads" / thread / "thread.json", {"pinned": False})
        edit(tmp_path / "a" / "threads" / "old" / "runs" / "run_1.json", {"steps": []})
        there = await lines(database)
        told = await copied(files, database)
        assert told[0].conflicts == ["the assistant 'own' differs in model.json, own"]
        assert told[1].conflicts == [f"the thread {thread!r} differs in pinned"]
        assert told[3].conflicts == ["the run 'run_1' differs in steps"]
        assert await lines(database) == there


async def test_a_default_assistant_that_somebody_wrote_into_does_not_yield(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "postgresql") as database, opened(tmp_path / "b", "json") as files:
        await database.assistants.update("jan", AssistantUpdate(instructions="Be kind."))
        path = tmp_path / "b" / "assistants" / "jan" / "assistant.json"
        edit(path, {"note": "mine"})
        told = await Copying(database, files).copy("assistants")
        assert "the assistant 'jan' differs in" in told.conflicts[0]
        assert json.loads(path.read_text("utf-8"))["note"] == "mine"


@pytest.mark.parametrize(
    ("endpoint", "damaged"),
    [
        ("assistants", "assistants/own/assistant.json"),
        ("assistants", "assistants/own/model.json"),
        ("threads", "threads/old/thread.json"),
        ("runs", "threads/old/runs/run_1.json"),
    ],
)
async def test_a_damaged_file_of_the_target_is_left_alone(tmp_path: Path, endpoint: str, damaged: str) -> None:
    async with opened(tmp_path / "a", "postgresql") as database, opened(tmp_path / "b", "json") as files:
        await fill(database)
        if endpoint == "runs":
            await Copying(database, files).copy("threads")
        path = tmp_path / "b" / damaged
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"half')
        told = await Copying(database, files).copy(endpoint)
        (conflict,) = told.conflicts
        assert str(path) in conflict
        assert "could not be copied" in conflict
        assert told.copied == {"assistants": 2, "threads": 1, "runs": 3}[endpoint]
        assert path.read_text() == '{"half'


async def test_modules_without_lines_copy_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        for name in ENDPOINTS:
            monkeypatch.setattr(getattr(files, name), "supports", lambda name: name not in ("export", "restore"))
        assert counts(await copied(files, database)) == [(3, 0, []), (2, 0, []), (231, 0, []), (4, 0, [])]
        assert await everything(database) == await everything(files)
        assert counts(await copied(files, database)) == [(0, 3, []), (0, 2, []), (0, 231, []), (0, 4, [])]
        await database.assistants.update("own", AssistantUpdate(instructions="Be long."))
        await database.runs.update("old", "run_0", RunUpdate(metadata={"mine": "yes"}))
        told = await copied(files, database)
        assert told[0].conflicts == ["the assistant 'own' differs in instructions"]
        assert told[3].conflicts == ["the run 'run_0' differs in metadata"]


async def test_what_was_copied_and_lost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        restore = database.threads.restore

        async def forgetful(lines: list[bytes]) -> None:
            await restore(lines[:-1])

        monkeypatch.setattr(database.threads, "restore", forgetful)
        told = await Copying(files, database).copy("threads")
        assert len(told.conflicts) == 1
        assert "was copied, and is not there" in told.conflicts[0]


async def test_messages_and_runs_of_threads_that_are_not_there(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        told = await Copying(files, database).copy("messages")
        assert (told.copied, len(told.conflicts)) == (0, 2)
        told = await Copying(files, database).copy("runs")
        assert (told.copied, len(told.conflicts)) == (0, 4)


@pytest.mark.parametrize("how", ["json", "postgresql"])
async def test_a_run_that_has_not_ended_stays_and_nobody_carries_it_on(tmp_path: Path, how: str) -> None:
    other = "postgresql" if how == "json" else "json"
    async with opened(tmp_path / "a", how) as source, opened(tmp_path / "b", other) as target:
        thread = await fill(source)
        waits = kept("run_waits", thread, status="queued", completed_at=None, expires_at=2**33)
        async with RunsJson(tmp_path / "a") if how == "json" else RunsPostgresql(source) as store:
            await store.begin(waits, None)
            told = await copied(source, target)
            assert (told[3].copied, len(told[3].conflicts)) == (4, 1)
            assert "'run_waits' could not be copied: The run 'run_waits' is queued" in told[3].conflicts[0]
            assert (await source.runs.kept(thread, "run_waits")).run == waits.run
            assert "jan-runs-taking-up" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_each_object_is_told_once_and_the_totals_are_reached(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        objects, done = Counter[str](), Counter[str]()

        def step(endpoint: str, count: int, of_total: int) -> None:
            objects[endpoint] += count
            done[endpoint] += of_total

        copying = Copying(files, database, step)
        for name in ENDPOINTS:
            await copying.copy(name)
        assert objects == {"assistants": 3, "threads": 2, "messages": 231, "runs": 4}
        assert done == {name: await copying.total(name) for name in ENDPOINTS}


async def test_a_target_that_goes_away_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path / "a", "json") as files, opened(tmp_path / "b", "postgresql") as database:
        await fill(files)
        for name in ("assistants", "threads"):
            await Copying(files, database).copy(name)

        async def away(thread_id: str, lines: object) -> None:
            raise Unavailable("away")

        monkeypatch.setattr(database.messages, "restore", away)
        with pytest.raises(Unavailable, match="away"):
            await Copying(files, database).copy("messages")
