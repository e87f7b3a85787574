from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.errors import InvalidRequest
from jan_core.importing.report import Report
from jan_core.importing.run import Import
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message, MessagesQuery
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.wired import CONVERSATIONS, SCRIPTED, wired
from tests.foreign import NEW_THREAD, OLD_THREAD, Steps, lines, newer, older, said, tree, write

pytestmark = pytest.mark.anyio

IN_FILES = {
    "assistants-json": "jan_assistants_json",
    "threads-json": "jan_threads_json",
    "messages-json": "jan_messages_json",
}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Jan]:
    async with wired(tmp_path / "root", modules={**SCRIPTED, **CONVERSATIONS}) as jan:
        yield jan


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return newer(older(tmp_path / "app"))


async def bring(jan: Jan, source: Path, *, dry_run: bool = False) -> Report:
    run = Import(jan.root, source, copy=False, dry_run=dry_run, progress=Steps())
    run.models()
    await run.conversations(jan)
    return run.report


def outcomes(report: Report) -> dict[str, str]:
    return {f"{item.kind} {item.id}": item.outcome for item in report.items}


async def said_in(jan: Jan, thread_id: str) -> list[Message]:
    return list((await jan.messages.list(thread_id, MessagesQuery(order="asc", limit=100))).data)


async def test_everything_comes_once_and_the_source_stays_as_it_is(app: Jan, source: Path) -> None:
    before = tree(source)
    report = await bring(app, source)
    assert report.whole
    assert outcomes(report) == {
        "model far-7b": "left out",
        "model tiny-q4": "imported",
        "model org-ship-q8": "imported",
        "assistant 5f1c": "imported",
        "assistant jan": "imported",
        f"thread {NEW_THREAD}": "imported",
        f"thread {OLD_THREAD}": "imported",
    }
    assert report.messages == 6
    thread = await app.threads.retrieve(NEW_THREAD)
    assert thread.model == "org-ship-q8"
    assert [one.assistant_id for one in thread.assistants or []] == ["5f1c"]
    assert [one.role for one in await said_in(app, OLD_THREAD)] == ["user", "assistant", "user", "assistant"]
    again = await bring(app, source)
    assert again.whole
    assert set(outcomes(again).values()) == {"present", "left out"}
    assert again.messages == 0
    assert tree(source) == before


async def test_a_dry_run_says_the_same_and_writes_nothing(app: Jan, source: Path) -> None:
    would = await bring(app, source, dry_run=True)
    assert (await app.threads.list(ThreadsQuery())).data == []
    assert not (app.root / "models").exists()
    done = await bring(app, source)
    assert outcomes(would) == outcomes(done)
    assert would.messages == done.messages


async def test_what_is_damaged_costs_only_itself_and_is_named(app: Jan, source: Path) -> None:
    write(source / "threads" / "bad" / "thread.json", '{\n"title": }')
    write(source / "assistants" / "bad" / "assistant.json", "[]")
    write(source / "models" / "bad" / "model.json", "{")
    write(
        source / "threads" / OLD_THREAD / "messages.jsonl", lines(said("user", "a", 1), "{torn", said("user", "b", 2))
    )
    report = await bring(app, source)
    assert not report.whole
    assert len(report.items) == 10
    told = [line.removeprefix(f"{report.source}/") for line in report.reasons()]
    assert [line.split(":")[0] for line in told] == [
        "models/bad/model.json, line 1",
        "assistants/bad/assistant.json",
        "threads/bad/thread.json, line 2",
        f"threads/{OLD_THREAD}/messages.jsonl, line 2",
    ]
    assert len(await said_in(app, OLD_THREAD)) == 2


async def test_an_assistant_that_only_threads_describe(app: Jan, tmp_path: Path) -> None:
    source = newer(tmp_path / "app")
    (source / "assistants" / "5f1c" / "assistant.json").unlink()
    report = await bring(app, source)
    assert outcomes(report)["assistant 5f1c"] == "imported"
    assert (await app.assistants.retrieve("5f1c")).instructions == "Talk like a pirate."
    assert "assistant jan" not in outcomes(report)
    assert set(outcomes(await bring(app, source)).values()) == {"present"}


async def test_ids_that_cannot_be_names_are_given_others_everywhere(app: Jan, tmp_path: Path) -> None:
    source = tmp_path / "app"
    write(source / "assistants" / "My Tutor" / "assistant.json", {"name": "Tutor"})
    write(source / "assistants" / "CON" / "assistant.json", {"name": "Console"})
    thread = {"created": 5, "assistants": [{"assistant_id": "My Tutor", "model": {"id": "a/b"}}]}
    write(source / "threads" / "first talk" / "thread.json", thread)
    answer = said("assistant", "a", 1, assistant_id="My Tutor")
    write(source / "threads" / "first talk" / "messages.jsonl", lines(answer))
    write(source / "llamacpp" / "models" / "a" / "b" / "x.gguf", b"GGUF")
    report = await bring(app, source)
    assert report.whole, report.reasons()
    made = await app.threads.retrieve("first-talk")
    assert made.model == "a-b"
    assert [one.assistant_id for one in made.assistants or []] == ["My-Tutor"]
    (message,) = await said_in(app, "first-talk")
    assert message.assistant_id == "My-Tutor"
    assert set(outcomes(await bring(app, source)).values()) == {"present"}


async def test_case_twins_get_a_name_of_their_own(app: Jan, tmp_path: Path) -> None:
    source = tmp_path / "app"
    for name in ("tutor", "Tutor"):
        write(source / "assistants" / name / "assistant.json", {"name": name})
        write(source / "threads" / name / "thread.json", {"created": 5, "title": name})
    report = await bring(app, source)
    names = [item.id for item in report.items if item.kind == "assistant"]
    assert len({name.lower() for name in names}) == 2
    assert {(await app.assistants.retrieve(name)).name for name in names} == {"tutor", "Tutor"}
    threads = [item.id for item in report.items if item.kind == "thread"]
    assert len({name.lower() for name in threads}) == 2
    assert set(outcomes(await bring(app, source)).values()) == {"present"}


async def test_a_twin_that_is_here(app: Jan, tmp_path: Path) -> None:
    await app.assistants.put(Assistant(id="tutor", created_at=5, name="mine", model=""))
    write(tmp_path / "app" / "assistants" / "Tutor" / "assistant.json", {"name": "theirs", "created_at": 5})
    (item,) = (await bring(app, tmp_path / "app")).items
    assert item.outcome == "imported"
    assert item.id.startswith("Tutor-")
    assert (await app.assistants.retrieve("tutor")).name == "mine"
    (item,) = (await bring(app, tmp_path / "app")).items
    assert item.outcome == "present"


async def test_a_run_that_was_stopped_is_finished_by_the_next(app: Jan, source: Path) -> None:
    class Stop(Exception):
        pass

    for stop in range(12):
        left = stop

        class Stopping(Steps):
            def advance(self, n: int) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Stop

        run = Import(app.root, source, copy=True, dry_run=False, progress=Stopping())
        try:
            run.models()
            await run.conversations(app)
        except (Stop, ExceptionGroup):
            assert run.report.stopped
            assert not run.report.whole
    report = await bring(app, source)
    assert report.whole
    assert [one.role for one in await said_in(app, OLD_THREAD)] == ["user", "assistant", "user", "assistant"]


async def test_cancelled_between_two_messages(app: Jan, source: Path) -> None:
    for turns in range(0, 60, 3):
        run = Import(app.root, source, copy=False, dry_run=False, progress=Steps())
        run.models()
        task = asyncio.create_task(run.conversations(app))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert (await bring(app, source)).whole
    for thread, count in ((OLD_THREAD, 4), (NEW_THREAD, 2)):
        assert len(await said_in(app, thread)) == count


async def test_a_root_in_our_own_format(app: Jan, tmp_path: Path, source: Path) -> None:
    """What was brought in here and written to files by hand comes into another root as it was."""
    await bring(app, source)
    own = tmp_path / "own"
    for thread in (await app.threads.list(ThreadsQuery())).data:
        folder = own / "threads" / thread.id
        told = thread.model_dump(mode="json")
        model = {"id": told.pop("model"), "parameters": told.pop("parameters", None), "instructions": "Be kind."}
        write(folder / "thread.json", told)
        write(folder / "model.json", model)
        write(folder / "files" / "a.txt", "kept")
        write(folder / "messages.json", [one.model_dump(mode="json") for one in await said_in(app, thread.id)])
    assistant = await app.assistants.retrieve("5f1c")
    write(own / "assistants" / "5f1c" / "assistant.json", assistant.model_dump(mode="json"))
    write(own / "assistants" / "5f1c" / "src" / "index.py", "print()")
    async with wired(tmp_path / "other", modules={**SCRIPTED, **CONVERSATIONS}) as other:
        report = await bring(other, own)
        assert report.whole, report.reasons()
        for thread in (await app.threads.list(ThreadsQuery())).data:
            assert await other.threads.retrieve(thread.id) == thread
            assert await said_in(other, thread.id) == await said_in(app, thread.id)
            assert (other.root / "threads" / thread.id / "files" / "a.txt").read_text() == "kept"
        assert await other.assistants.retrieve("5f1c") == assistant
        assert (other.root / "assistants" / "5f1c" / "src" / "index.py").read_text() == "print()"


async def test_a_store_that_fails_is_told_and_the_rest_goes_on(app: Jan, source: Path) -> None:
    write(source / "threads" / OLD_THREAD / "thread.json", {"created": 1_700_000_000_000, "title": "A"})
    (app.root / "models").mkdir(parents=True)
    (app.root / "models" / "tiny-q4").write_text("in the way")
    report = await bring(app, source)
    (wrong,) = [item for item in report.items if item.outcome == "skipped"]
    assert (wrong.kind, wrong.id) == ("model", "tiny-q4")
    assert wrong.why.startswith("it was not taken: ")
    json.dumps(report.shown())


async def test_what_is_no_root_is_refused(app: Jan, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        Import(app.root, tmp_path / "none", copy=False, dry_run=False, progress=Steps())


async def test_things_come_to_where_they_were(tmp_path: Path) -> None:
    """Threads in places of their own, also in such that no assistant names any more, and models of assistants."""
    own = tmp_path / "own"
    write(own / "assistants" / "a" / "assistant.json", {"created_at": 1, "thread_location": "work/threads"})
    write(own / "assistants" / "a" / "models" / "small" / "x.gguf", b"GGUF")
    write(own / "assistants" / "a" / "memory" / "x.txt", "x")
    write(own / "assistants" / "My B" / "models" / "other" / "x.gguf", b"GGUF")
    write(own / "threads" / ".homes.json", {"homes": ["old/threads"]})
    places = ["threads", "work/threads", "old/threads", "assistants/a/threads"]
    for number, place in enumerate(places):
        folder = own / place / f"t{number}"
        write(folder / "thread.json", {"created_at": 5, "assistants": [{"assistant_id": "a"}]})
        write(folder / "messages.jsonl", lines(said("user", "hello", 1)))
    async with wired(tmp_path / "other", modules={**SCRIPTED, **IN_FILES}) as other:
        would = await bring(other, own, dry_run=True)
        assert not (other.root / "work").exists()
        report = await bring(other, own)
        assert report.whole, report.reasons()
        assert outcomes(would) == outcomes(report)
        for number, place in enumerate(places):
            assert (other.root / place / f"t{number}" / "thread.json").is_file()
            assert (other.root / place / f"t{number}" / "messages.json").is_file()
            assert len(await said_in(other, f"t{number}")) == 1
        assert (other.root / "assistants" / "a" / "models" / "small" / "x.gguf").is_file()
        assert (other.root / "models" / "other" / "x.gguf").is_file()
        assert (await other.assistants.retrieve("a")).thread_location == "work/threads"
        assert "assistant a: memory/ was left out: there is no such thing here" in report.notes()
        assert len((await other.threads.list(ThreadsQuery())).data) == 4
        assert set(outcomes(await bring(other, own)).values()) == {"present"}


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Jan]:
    async with wired(tmp_path / "files", modules={**SCRIPTED, **IN_FILES}) as jan:
        yield jan


async def test_a_place_that_cannot_be_one_here(files: Jan, tmp_path: Path) -> None:
    app = files
    own = tmp_path / "own"
    write(own / "assistants" / "My B" / "assistant.json", {"name": "B"})
    write(own / "assistants" / "My B" / "threads" / "t1" / "thread.json", {"created_at": 5})
    write(own / "assistants" / "c" / "assistant.json", {"created_at": 5, "thread_location": "work"})
    write(own / "work" / "t2" / "thread.json", {"created_at": 5})
    write(app.root / "assistants" / "d" / "assistant.json", {"created_at": 5, "thread_location": "work/threads"})
    report = await bring(app, own)
    assert (app.root / "assistants" / "My-B" / "threads" / "t1").is_dir()
    assert (app.root / "threads" / "t2").is_dir()
    assert "thread t2: it does not lie in work here: that can be no place for threads" in report.notes()
    assert "assistant My-B: its id 'My B' became 'My-B'" in report.notes()
    assert len((await app.threads.list(ThreadsQuery())).data) == 2


async def test_messages_beside_a_damaged_thread_file(app: Jan, tmp_path: Path) -> None:
    folder = tmp_path / "own" / "threads" / "t1"
    write(folder / "thread.json", "{")
    write(folder / "messages.jsonl", lines(said("user", "hello", 1)))
    report = await bring(app, tmp_path / "own")
    assert not report.whole
    assert report.reasons()[0].startswith(f"{folder / 'thread.json'}, line 1: ")
    assert len(await said_in(app, "t1")) == 1
