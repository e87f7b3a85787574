from __future__ import annotations

import json
from pathlib import Path

from jan_postgresql.testing import dsn_for

from tests.command_line import Call


def test_all_into_a_database_and_again(jan: Call, tmp_path: Path) -> None:
    root = tmp_path / "root"
    thread = root / "threads" / "jan-1790000000-0123456789abcd"
    thread.mkdir(parents=True)
    (root / "jan.toml").write_text(f'[jan-postgresql]\ndsn = "{dsn_for(tmp_path)}"\n')
    (thread / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000, "title": "By hand"}))
    message = {"id": "msg_1", "role": "user", "created_at": 1_790_000_000, "content": []}
    (thread / "messages.json").write_text(json.dumps([message]))
    first = jan("copy", "all", "json", "postgresql", "--root", root)
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        "assistants  1 copied, 0 there already, 0 in conflict",
        "threads     1 copied, 0 there already, 0 in conflict",
        "messages    1 copied, 0 there already, 0 in conflict",
    ]
    again = jan("copy", "messages", "json", "postgresql", "--json", "--root", root)
    # The threads are those that the config chooses, here of the folder.
    assert json.loads(again.out) == {"messages": {"copied": 0, "present": 1, "conflicts": []}}
    (thread / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000, "title": "Another"}))
    differs = jan("copy", "threads", "json", "postgresql", "--root", root)
    assert differs.code == 1
    assert "the thread 'jan-1790000000-0123456789abcd' differs in title" in differs.out


def test_what_cannot_be_copied(jan: Call, tmp_path: Path) -> None:
    nothing = jan("copy", "models", "json", "postgresql", "--root", tmp_path)
    assert (nothing.code, "assistants, threads, messages" in nothing.err) == (2, True)
    same = jan("copy", "all", "json", "json", "--root", tmp_path)
    assert same.code == 2
    unknown = jan("copy", "messages", "json", "mongo", "--root", tmp_path)
    assert (unknown.code, "messages-mongo" in unknown.err) == (2, True)
