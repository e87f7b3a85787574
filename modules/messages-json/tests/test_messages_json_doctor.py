from __future__ import annotations

import json
from pathlib import Path

from jan_messages_json.doctor import checks

GOOD = {"id": "msg_1", "role": "user", "created_at": 1, "content": []}


def verdicts(root: Path) -> list[tuple[bool, str]]:
    return [(verdict.ok, verdict.why) for verdict in (check.run() for check in checks(root))]


def write(root: Path, thread: str, data: bytes) -> Path:
    folder = root / "threads" / thread
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "messages.json").write_bytes(data)
    return folder


def test_nothing_to_see(tmp_path: Path) -> None:
    assert [ok for ok, _ in verdicts(tmp_path / "none")] == [True, True]
    write(tmp_path, "jan-1", json.dumps([GOOD]).encode())
    write(tmp_path, "jan-2", b"")
    (tmp_path / "threads" / ".DS_Store").write_bytes(b"")
    assert verdicts(tmp_path)[0] == (True, "2 files of messages are in order.")
    assert verdicts(tmp_path)[1][0]


def test_damage_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "jan-1", b"[\n" + json.dumps(GOOD).encode() + b",\n]\n")
    write(tmp_path, "jan-2", json.dumps([GOOD, {"id": "x", "role": "robot", "content": [], "created_at": 1}]).encode())
    write(tmp_path, "jan-3", b'[\n{"id":"msg_1",\n"role":"user","created_at":1}\n]\n')
    (tmp_path / "threads" / "jan-4" / "messages.json").mkdir(parents=True)
    ok, why = verdicts(tmp_path)[0]
    assert not ok
    assert "threads/jan-1/messages.json, line 3: no complete element follows here." in why
    assert "threads/jan-2/messages.json, line 1: role: " in why
    assert "threads/jan-3/messages.json, line 2: content: field required." in why
    assert "threads/jan-4/messages.json is no file." in why


def test_threads_of_an_assistants_own(tmp_path: Path) -> None:
    folder = tmp_path / "assistants" / "mine" / "threads" / "mine-1"
    folder.mkdir(parents=True)
    (folder / "messages.json").write_bytes(b"nonsense")
    assert "assistants/mine/threads/mine-1/messages.json, line 1: it does not begin with [." in verdicts(tmp_path)[0][1]


def test_copies_of_broken_files_are_named(tmp_path: Path) -> None:
    for number in range(12):
        folder = write(tmp_path, f"jan-{number:02}", b"[]")
        (folder / "messages.json.broken-1790000000").write_bytes(b"x")
    ok, why = verdicts(tmp_path)[1]
    assert not ok
    assert "threads/jan-00/messages.json.broken-1790000000" in why
    assert why.endswith("And 2 more.")


def test_a_broken_file_is_mended_and_kept(tmp_path: Path) -> None:
    folder = write(tmp_path, "jan-1", b"[\n" + json.dumps(GOOD).encode() + b',\n{"id": "msg_2", "ro')
    write(tmp_path, "jan-2", json.dumps([{"id": "x"}]).encode())  # what is whole JSON needs a person
    (repair,) = checks(tmp_path)[0].run().repairs
    assert repair.question == "Put threads/jan-1/messages.json in order, and keep the broken file beside it?"
    assert repair.do().startswith("threads/jan-1/messages.json has 1 whole messages; ")
    assert json.loads((folder / "messages.json").read_bytes()) == [GOOD]
    (kept,) = folder.glob("messages.json.broken-*")
    assert kept.read_bytes().endswith(b'"ro')
    assert repair.do() == "threads/jan-1/messages.json is in order by now; nothing was changed."
    assert checks(tmp_path)[0].run().repairs == ()
