from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
from jan_postgresql.testing import dsn_for

from tests.command_line import POSIX, Call, Terminal, jan_command


def test_all_into_a_database_and_again(jan: Call, tmp_path: Path) -> None:
    root = tmp_path / "root"
    thread = root / "threads" / "jan-1790000000-0123456789abcd"
    thread.mkdir(parents=True)
    (root / "jan.toml").write_text(f'[jan-postgresql]\ndsn = "{dsn_for(tmp_path)}"\n')
    (thread / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000, "title": "By hand"}))
    message = {"id": "msg_1", "role": "user", "created_at": 1_790_000_000, "content": []}
    (thread / "messages.json").write_text(json.dumps([message]))
    (thread / "runs").mkdir()
    run = {"id": "run_1", "created_at": 1_790_000_000, "assistant_id": "jan", "model": "m", "status": "completed"}
    (thread / "runs" / "run_1.json").write_text(json.dumps(run))
    first = jan("copy", "all", "json", "postgresql", "--root", root)
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        "assistants  1 copied, 0 there already, 0 in conflict",
        "threads     1 copied, 0 there already, 0 in conflict",
        "messages    1 copied, 0 there already, 0 in conflict",
        "runs        1 copied, 0 there already, 0 in conflict",
    ]
    again = jan("copy", "messages", "json", "postgresql", "--json", "--root", root)
    # The threads are those that the config chooses, here of the folder.
    assert json.loads(again.out) == {"messages": {"copied": 0, "present": 1, "conflicts": []}}
    (thread / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000, "title": "Another"}))
    differs = jan("copy", "threads", "json", "postgresql", "--root", root)
    assert differs.code == 1
    assert "the thread 'jan-1790000000-0123456789abcd' differs in title" in differs.out


@POSIX
def test_a_terminal_shows_how_much_of_it_is_done(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "jan.toml").write_text(f'[jan-postgresql]\ndsn = "{dsn_for(tmp_path)}"\n')
    for number in range(3):
        thread = root / "threads" / f"jan-179000000{number}-0123456789abcd"
        thread.mkdir(parents=True)
        (thread / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000 + number}))
        message = {"role": "user", "created_at": 1_790_000_000, "content": []}
        (thread / "messages.json").write_text(json.dumps([{"id": f"msg_{one}", **message} for one in range(11)]))
    with Terminal(*jan_command("copy", "all", "json", "postgresql", "--root", str(root))) as terminal:
        assert terminal.ended() == 0
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.seen)
    assert re.search(r"threads .*100% 3 ", seen)
    assert re.search(r"messages .*100% 33 ", seen)
    assert "33 copied" in seen


def test_killed_again_and_again_it_goes_on_where_it_was(jan: Call, tmp_path: Path) -> None:
    root, count = tmp_path / "root", 6000
    (tmp_path / "root").mkdir()
    (root / "jan.toml").write_text(f'[jan-postgresql]\ndsn = "{dsn_for(tmp_path)}"\n')
    for number in range(3):
        id = f"jan-179000000{number}-0123456789abcd"
        (root / "threads" / id).mkdir(parents=True)
        (root / "threads" / id / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000 + number}))
        message = {"thread_id": id, "role": "user", "created_at": 1_790_000_000, "content": [], "own": number}
        messages = [{"id": f"msg_{one}", **message} for one in range(count)]
        (root / "threads" / id / "messages.json").write_text(json.dumps(messages))
    command = [sys.executable, "-m", "jan_core.cli", "copy", "all", "json", "postgresql", "--root", str(root)]
    stored: list[int] = []
    with psycopg.connect(dsn_for(tmp_path), autocommit=True) as connection:
        for number in range(4):
            with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as copying:
                while copying.poll() is None and _count(connection) < (number + 1) * 2000:
                    pass
                copying.send_signal(signal.SIGINT if number % 2 else signal.SIGKILL)
            stored.append(_count(connection))
        last = jan("copy", "all", "json", "postgresql", "--json", "--root", root)
        assert last.code == 0, last.out + last.err
        told = json.loads(last.out)["messages"]
        assert told == {"copied": 3 * count - stored[-1], "present": stored[-1], "conflicts": []}
        assert _count(connection) == 3 * count
    assert 0 < stored[0] <= stored[-1]


def _count(connection: psycopg.Connection[Any]) -> int:
    try:
        (row,) = connection.execute("SELECT count(*) FROM jan.messages").fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    return int(row[0])


def test_what_cannot_be_copied(jan: Call, tmp_path: Path) -> None:
    nothing = jan("copy", "models", "json", "postgresql", "--root", tmp_path)
    assert (nothing.code, "assistants, threads, messages" in nothing.err) == (2, True)
    same = jan("copy", "all", "json", "json", "--root", tmp_path)
    assert same.code == 2
    unknown = jan("copy", "messages", "json", "mongo", "--root", tmp_path)
    assert (unknown.code, "messages-mongo" in unknown.err) == (2, True)
