from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jan_workers.process import NeverTaken, WorkerProcess
from pydantic_core import to_json

from jan_core.errors import EngineError, InvalidRequest, Unavailable

pytestmark = pytest.mark.anyio

Bench = Callable[..., Any]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


async def start(bench: Any, check: float = 10, load: float = 30, **settings: Any) -> WorkerProcess:
    location = bench.location(**settings)
    process: WorkerProcess = bench.process(location)
    try:
        await process.start(bench.echo.parameters(location), check_seconds=check, load_seconds=load)
    except BaseException:
        await process.stop()
        raise
    return process


@pytest.fixture
async def worker(bench: Bench) -> AsyncIterator[WorkerProcess]:
    process = await start(bench())
    yield process
    await process.stop()
    assert not process.alive


async def pieces(worker: WorkerProcess, **body: Any) -> list[Any]:
    return [piece async for piece in worker.generate("say", to_json(body), lambda: None).pieces()]


async def test_what_it_is_told_it_says_in_order(worker: WorkerProcess) -> None:
    said = await pieces(worker, say=[*range(2000)])
    assert [piece["said"] for piece in said] == [*range(2000)]
    assert worker.active == {}


async def test_requests_are_kept_apart(worker: WorkerProcess) -> None:
    found = await asyncio.gather(*(pieces(worker, say=[number] * 50) for number in range(20)))
    assert [{piece["said"] for piece in said} for said in found] == [{number} for number in range(20)]


async def test_errors_of_a_request_leave_the_worker_alive(worker: WorkerProcess) -> None:
    with pytest.raises(InvalidRequest, match="/m: the chat template cannot render these messages: odd") as refused:
        await pieces(worker, refused="odd")
    assert refused.value.code == "template_failed"
    for body, code in ({"fail": "no"}, "request_failed"), ({"greedy": True}, "out_of_memory"):
        with pytest.raises(EngineError) as failed:
            await pieces(worker, **body)
        assert failed.value.code == code
    assert await pieces(worker, say=["still"])


async def test_closing_the_pieces_ends_the_request_in_the_worker(worker: WorkerProcess) -> None:
    ended = asyncio.Event()
    going: Any = worker.generate("say", to_json({"endless": True}), ended.set).pieces()
    await anext(going)
    await going.aclose()
    await asyncio.wait_for(ended.wait(), 10)
    assert worker.active == {}


@POSIX
async def test_a_worker_that_dies_ends_its_requests_and_says_that_it_has_gone(worker: WorkerProcess) -> None:
    gone: list[str] = []
    worker.on_gone = lambda: gone.append("gone")
    other = asyncio.create_task(pieces(worker, endless=True))
    with pytest.raises(EngineError, match=r"'m'.*ended unexpectedly; the next request starts it again"):
        await pieces(worker, say=["a"], killed=True)
    with pytest.raises((EngineError, NeverTaken)):  # whether it had been read by then is a matter of luck
        await other
    assert gone == ["gone"]
    with pytest.raises(NeverTaken):
        await pieces(worker, say=["b"])


@POSIX
async def test_a_worker_that_is_stopped_is_noticed_and_ended(worker: WorkerProcess) -> None:
    going: Any = worker.generate("say", to_json({"say": ["a"], "endless": True}), lambda: None).pieces()
    await anext(going)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)

    async def rest() -> None:
        async for _ in going:
            pass

    reading = asyncio.create_task(rest())
    for _ in range(3):
        assert not reading.done()
        worker.look(1.0, 2.0)
        await asyncio.sleep(0)
    with pytest.raises(EngineError, match="gave no sign of life"):
        await asyncio.wait_for(reading, 20)


async def test_a_worker_that_lives_is_left_alone_however_long_it_computes(worker: WorkerProcess) -> None:
    worker.look(100, 1)  # without requests, nobody asks
    going: Any = worker.generate("say", to_json({"endless": True}), lambda: None).pieces()
    for _ in range(5):
        worker.look(0.9, 1)
        async with asyncio.timeout(20):
            while worker._asked:
                await anext(going)
    assert worker.alive
    await going.aclose()


async def test_a_request_that_computes_too_long_before_its_first_piece_ends_the_worker(worker: WorkerProcess) -> None:
    with pytest.raises(InvalidRequest, match="took too long") as blamed:
        await asyncio.wait_for(pieces(worker, spin=True, patience=0.1), 30)
    assert (blamed.value.code, blamed.value.param) == ("template_timeout", "messages")


@pytest.mark.skipif(sys.platform != "linux", reason="how often a process was woken is read from /proc")
async def test_a_worker_with_nothing_to_do_sleeps(worker: WorkerProcess) -> None:
    assert await pieces(worker, say=["a"], patience=0.2)

    def woken() -> int:
        tasks = Path(f"/proc/{worker.pid}/task").iterdir()
        lines = [line for task in tasks for line in (task / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    # It may look after its request once more; after that, nothing wakes it for a whole second.
    for _ in range(10):
        before = woken()
        await asyncio.sleep(1)
        if woken() == before:
            return
    pytest.fail("something wakes it again and again")


async def test_the_reason_why_a_model_does_not_load_is_told_with_its_file(bench: Bench) -> None:
    made = bench()
    with pytest.raises(InvalidRequest, match=r"cannot be loaded from .*m: the tensors are gone\. Check") as refused:
        await start(made, fail="the tensors are gone.")
    assert (refused.value.code, refused.value.param) == ("model_load_failed", "model")
    with pytest.raises(InvalidRequest, match="Error 5: no such tensor"):
        await start(made, fail="?", complaint="fine so far\nError 5: no such tensor\nbye")
    with pytest.raises(InvalidRequest, match="it reaches out") as harmful:
        await start(made, harmful="it reaches out")
    assert harmful.value.code == "harmful_template"


async def test_a_template_in_model_json_is_blamed_where_it_stands(bench: Bench) -> None:
    made = bench()
    location = made.location(chat_template="{{ odd }}", harmful="it reaches out")
    with pytest.raises(InvalidRequest, match=r"^model\.json of 'm': settings\.chat_template: it reaches out\.$"):
        await made.say(location)
    for revision, told in enumerate(({"fail": "error: the template is odd"}, {"wrong_template": "line 3: odd"}), 2):
        with pytest.raises(
            InvalidRequest, match=r"^model\.json of 'm': settings\.chat_template: .*odd; mend it"
        ) as bad:
            await made.say(made.location(revision=str(revision), chat_template="{{ odd }}", **told))
        assert (bad.value.code, bad.value.param) == ("bad_template", "model")
    location = made.location(revision="9", chat_template="{{ odd }}")
    for body, code in (({"refused": "odd"}, "template_failed"), ({"spin": True, "patience": 0.1}, "template_timeout")):
        with pytest.raises(InvalidRequest, match=r"^model\.json of 'm': settings\.chat_template: ") as bad:
            await made.say(location, **body)
        assert (bad.value.code, bad.value.param) == (code, "messages")


@POSIX
async def test_a_worker_that_is_killed_while_it_loads_had_too_little_memory(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="memory") as killed:
        await start(bench(), killed=True)
    assert killed.value.code == "model_load_killed"


async def test_neither_a_look_nor_a_load_without_end_is_waited_for(bench: Bench) -> None:
    made = bench()
    with pytest.raises(InvalidRequest, match=r"did not finish within 0\.1 s"):
        await start(made, check=0.1, endless_check=True)
    with pytest.raises(Unavailable, match=r"did not load within 0\.1 s") as late:
        await start(made, load=0.1, gate="/nowhere/ever")
    assert late.value.code == "model_load_timeout"
