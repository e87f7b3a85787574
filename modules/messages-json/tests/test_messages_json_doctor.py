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
    assert why.endswith("And 2 more; jan doctor --json tells all.")


def test_a_broken_file_is_mended_and_kept(tmp_path: Path) -> None:
    folder = write(tmp_path, "jan-1", b"[\n" + json.dumps(GOOD).encode() + b',\n{"id": "msg_2", "ro')
    write(tmp_path, "jan-2", json.dumps([{"id": "x"}]).encode())  # what is whole JSON needs a person
    (repair,) = checks(tmp_path)[0].run().repairs
    assert repair.question == "Put threads/jan-1/messages.json in order, and keep the broken file beside it?"
    assert repair.do().startswith("threads/jan-1/messages.json has 1 whole message; ")
    assert json.loads((folder / "messages.json").read_bytes()) == [GOOD]
    (kept,) = folder.glob("messages.json.broken-*")
    assert kept.read_bytes().endswith(b'"ro')
    assert repair.do() == "threads/jan-1/messages.json is in order by now; nothing was changed."
    assert checks(tmp_path)[0].run().repairs == ()


def test_messages_of_one_id_are_named_and_get_ids_of_their_own(tmp_path: Path) -> None:
    copy = {**GOOD, "role": "assistant", "mood": "good", "idempotency": {"key": "k", "fingerprint": "f"}}
    folder = write(tmp_path, "jan-1", json.dumps([GOOD, {"id": "x"}, copy, {"id": "x"}], indent=0).encode())
    verdict = checks(tmp_path)[0].run()
    lines = (folder / "messages.json").read_text().split("\n")
    line = [number for number, text in enumerate(lines, 1) if "msg_1" in text][1] - 1
    assert f"threads/jan-1/messages.json, line {line}: the id 'msg_1' is that of the message on line 2." in verdict.why
    (repair,) = verdict.repairs
    assert repair.question == "Give every message of threads/jan-1/messages.json an id of its own?"
    assert repair.do() == "2 messages of threads/jan-1/messages.json got new ids."
    first, second, third, fourth = json.loads((folder / "messages.json").read_bytes())
    assert (first, second) == (GOOD, {"id": "x"})
    assert third == {**GOOD, "role": "assistant", "mood": "good", "id": third["id"]}
    assert third["id"].startswith("msg_")
    assert len({third["id"], fourth["id"], "msg_1", "x"}) == 4
    assert repair.do() == "0 messages of threads/jan-1/messages.json got new ids."
    assert "is that of" not in checks(tmp_path)[0].run().why


def test_what_is_wrong_is_told_in_the_words_of_the_file(tmp_path: Path) -> None:
    bad = [
        {**GOOD, "created_at": "2024"},
        {**GOOD, "created_at": True},
        {**GOOD, "created_at": -5},
        {**GOOD, "metadata": [1]},
        {**GOOD, "content": [{"type": "text", "text": {"annotations": []}}]},
        [],
    ]
    for number, one in enumerate(bad):
        write(tmp_path, f"jan-{number}", json.dumps([one]).encode())
    _, why = verdicts(tmp_path)[0]
    assert "constrained" not in why
    assert "dict[" not in why
    told = [part.split("line 1: ")[1] for part in why.split("threads/")[1:]]
    assert [part.split(":")[0] for part in told] == [
        *["created_at"] * 3,
        "metadata",
        "content.0.text.value",
        "the message",
    ]
    assert told[:2] == ["created_at: input should be a valid integer. "] * 2
