from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from jan_audit_log import log as log_module
from jan_audit_log import spare
from jan_audit_log.file import LogFile
from jan_audit_log.log import AuditLog

from jan_core.refusal import Refusal
from jan_core.testing.wired import wired
from tests.parts import until

from .conftest import PLUGIN, lines_of, served


class SlowDisk:
    """Holds every write of the log until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        write = LogFile.write

        def held(file: LogFile, lines: Any) -> int:
            assert self.go.wait(60)
            return write(file, lines)

        monkeypatch.setattr(LogFile, "write", held)


@pytest.mark.anyio
async def test_a_slow_disk_holds_up_neither_the_loop_nor_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    async with served(tmp_path, {"wait_seconds": 0.05}) as one:
        began = time.monotonic()
        for _ in range(20):
            assert (await one.http.post("/threads", json={})).status_code == 200
        assert time.monotonic() - began < 20
        assert lines_of(one.file) == []
        disk.go.set()
        assert len(await one.lines(20)) == 20


@pytest.mark.anyio
async def test_where_it_is_required_a_slow_disk_is_a_refusal_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    async with served(tmp_path, {"required": True, "wait_seconds": 2.0}) as one:
        replies = await asyncio.gather(*(one.http.post("/threads", json={}) for _ in range(3)))
        assert [reply.status_code for reply in replies] == [503] * 3
        assert (await one.http.get("/threads")).json()["data"] == []
        disk.go.set()
        await until(lambda: one.jan.backend(AuditLog)._writer._queue.empty())
        assert (await one.http.post("/threads", json={})).status_code == 200
        await until(lambda: any(line["event"] == "ended" for line in lines_of(one.file)))
    # What was on its way to the disk already when its request was refused was begun, and never ended.
    events = [line["event"] for line in lines_of(one.file)]
    assert events[-2:] == ["begun", "ended"]
    assert events.count("ended") == 1
    assert events.count("begun") <= 2


@pytest.mark.anyio
async def test_lines_for_which_there_is_no_room_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(log_module, "MOST", 5)
    async with served(tmp_path) as one:
        for _ in range(8):
            await one.http.post("/threads", json={})
        disk.go.set()
        await one.lines(5)
        await until(lambda: not one.jan.backend(AuditLog)._open)
        await one.http.post("/threads", json={})
        lines = await one.lines(7)
    assert [line.get("lines") for line in lines if line["event"] == "lost"] == [3]
    assert len(lines) == 7


def _safe(file: Path) -> str:
    """What would be there if the server were killed now."""
    kept = b"".join(Path(path).read_bytes() for path in spare.leftovers(str(file)))
    return (kept + (file.read_bytes() if file.exists() else b"")).decode()


@pytest.mark.anyio
@pytest.mark.parametrize("settings", [{}, {"fsync": True}, {"required": True}])
async def test_a_line_is_safe_before_its_request_is_answered(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with served(tmp_path, settings) as one:
        for number in range(1, 30):
            reply = await one.http.post("/threads", json={})
            assert f'"ended", "request_id": "{reply.headers["x-request-id"]}"' in _safe(one.file), number
    assert spare.leftovers(str(one.file)) == []


@pytest.mark.anyio
async def test_without_memory_that_outlives_the_process_answers_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare, "is_possible", lambda: False)
    async with served(tmp_path) as one:
        for number in range(1, 20):
            await one.http.post("/threads", json={})
            assert len(lines_of(one.file)) == number


@pytest.mark.anyio
async def test_many_at_once_are_all_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGEST", 2000)
    async with served(tmp_path) as one:
        for _ in range(5):
            replies = await asyncio.gather(*(one.http.post("/threads", json={}) for _ in range(40)))
        assert all(reply.status_code == 200 for reply in replies)
    ids = [line["request_id"] for line in lines_of(one.file)]
    assert len(ids) == len(set(ids)) == 200
    assert spare.leftovers(str(one.file)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /dev/shm")
@pytest.mark.anyio
async def test_what_a_killed_server_left_is_added_without_repeating(tmp_path: Path) -> None:
    file = tmp_path / "logs/audit.jsonl"
    file.parent.mkdir()
    file.write_bytes(b'{"n": 1}\n')
    left = spare.Spare(str(file))
    for number in (1, 2, 3):
        left.add(b'{"n": %d}\n' % number)
    left.close(remove=False)
    async with served(tmp_path) as one:
        assert [line["n"] for line in await one.lines(3)] == [1, 2, 3]
        await until(lambda: spare.leftovers(str(file)) == [])


@pytest.mark.parametrize("file", ["../audit.jsonl", "/somewhere/audit.jsonl", "out/audit.jsonl"])
def test_a_file_outside_of_the_root_refuses_the_start(tmp_path: Path, file: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(Refusal) as caught:
        wired(root, {"audit-log": {"file": file}}, plugins=PLUGIN)
    assert file in caught.value.asked
    assert "not in the root" in caught.value.cause


def test_a_path_in_the_root_may_be_whole(tmp_path: Path) -> None:
    jan = wired(tmp_path, {"audit-log": {"file": str(tmp_path / "a.jsonl")}}, plugins=PLUGIN)
    assert jan.backend(AuditLog).path == os.path.join(tmp_path, "a.jsonl")


def test_an_unknown_name_to_leave_out_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        wired(tmp_path, {"audit-log": {"leave_out": ["chat.craete"]}}, plugins=PLUGIN)
    assert "did you mean 'chat.create'" in caught.value.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /dev/shm")
@pytest.mark.anyio
async def test_where_that_memory_is_full_answers_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path) as one:
        await one.http.post("/threads", json={})
        monkeypatch.setattr(spare.Spare, "add", lambda self, line: False)
        for number in range(2, 20):
            await one.http.post("/threads", json={})
            assert len(lines_of(one.file)) == number
