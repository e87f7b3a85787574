from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import POSIX, Call, Done, Terminal, jan_command
from tests.foreign import write

FIRST, SECOND = "jan-1700000000-aaaaaaaaaaaaaaaa", "tutor-1700000100-bbbbbbbbbbbbbbbb"


def message(number: int, role: str, text: str) -> dict[str, object]:
    return {
        "id": f"msg_{number}",
        "object": "thread.message",
        "thread_id": FIRST,
        "created_at": 1_700_000_000 + number,
        "role": role,
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
        "assistant_id": "jan" if role == "assistant" else None,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two threads, as a person could have written them."""
    root = tmp_path / "root"
    write(root / "threads" / FIRST / "thread.json", {"created_at": 1_700_000_000})
    first = [message(1, "user", "Is a cat tame?\nReally?"), message(2, "assistant", "Yes.\x1b[2J")]
    write(root / "threads" / FIRST / "messages.json", first)
    write(
        root / "threads" / SECOND / "thread.json",
        {"created_at": 1_700_000_100, "title": "Sums", "assistants": [{"assistant_id": "tutor", "model": "small"}]},
    )
    write(root / "threads" / SECOND / "model.json", {"id": "big", "parameters": {"temperature": 0.5}})
    write(root / "assistants" / "tutor" / "assistant.json", {"created_at": 5, "instructions": "Be exact."})
    return root


def test_ls(jan: Call, root: Path) -> None:
    done = jan("threads", "ls", "--root", root)
    assert (done.code, done.err) == (0, "")
    told = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in done.out.splitlines()]
    assert told.pop(0) == ["ID", "TITLE", "ASSISTANT", "MODEL", "LAST"]
    assert told[0][:4] == [SECOND, "Sums", "tutor", "big"]
    assert told[1][:2] == [FIRST, "Is a cat tame? Really?"]
    assert "2023-11-1" in told[1][2]
    listed = json.loads(jan("threads", "ls", "--json", "--root", root).out)
    assert [one["id"] for one in listed] == [SECOND, FIRST]


def test_ls_some(jan: Call, root: Path) -> None:
    for number in range(130):
        name = f"jan-17000002{number:02}-cccccccccccccccc"
        write(root / "threads" / name / "thread.json", {"created_at": 1_700_000_200 + number})

    def ids(*more: str) -> list[str]:
        return [one["id"] for one in json.loads(jan("threads", "ls", "--json", *more, "--root", root).out)]

    assert len(ids()) == 20
    assert len(ids("--limit", "110")) == 110
    assert len(ids("--limit", "1000")) == 132
    assert ids("--assistant", "tutor") == [SECOND]
    assert jan("threads", "ls", "--limit", "0", "--root", root).code == 2


def test_ls_of_nothing(jan: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = jan("threads", "ls", "--root", tmp_path / "empty")
    assert (done.code, done.out) == (0, "")
    assert done.err == "There is no thread yet; programs make them: POST /v1/threads.\n"
    assert jan("threads", "ls", "--json", "--root", tmp_path / "empty") == Done(0, "[]\n", "")


def test_ls_shows_the_others_where_one_is_damaged(jan: Call, root: Path) -> None:
    write(root / "threads" / FIRST / "thread.json", "{")
    done = jan("threads", "ls", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert SECOND in done.out
    assert FIRST not in done.out


def test_show(jan: Call, root: Path) -> None:
    done = jan("threads", "show", FIRST, "--root", root)
    assert (done.code, done.err) == (0, "")
    shown = done.out.splitlines()
    assert shown[0].startswith(f"{FIRST}, 2023-11-1")
    assert [row for row in shown if row.startswith("  ")] == ["  Is a cat tame?", "  Really?", "  Yes.\\x1b[2J"]
    assert [row.split(",")[0] for row in shown if row and row[0] in "ua"] == ["user", "assistant (jan)"]
    told = json.loads(jan("threads", "show", FIRST, "--json", "--root", root).out)
    assert told["thread"]["id"] == FIRST
    assert [one["id"] for one in told["messages"]] == ["msg_1", "msg_2"]


def test_show_a_long_one_and_every_kind_of_part(jan: Call, root: Path) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 999}},
        {"type": "image_file", "image_file": {"file_id": "file-1"}},
        {"type": "refusal", "refusal": "No."},
    ]
    broken = {"status": "incomplete", "incomplete_details": {"reason": "max_tokens"}}
    many = [message(number, "user", f"number {number}") for number in range(250)]
    write(
        root / "threads" / FIRST / "messages.json",
        [*many, {**message(999, "assistant", ""), "content": parts, **broken}],
    )
    done = jan("threads", "show", FIRST, "--root", root)
    assert [row for row in done.out.splitlines() if "number" in row] == [f"  number {number}" for number in range(250)]
    assert done.out.splitlines()[-1] == "  No."
    assert "  [image: file file-1]" in done.out
    assert "  [image: data:image/png;base64,AAA" in done.out
    assert max(map(len, done.out.splitlines())) < 100
    assert ", broke off: max_tokens" in done.out


def test_settings_with_their_origin(jan: Call, root: Path) -> None:
    done = jan("threads", "show", SECOND, "--settings", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("SETTING  ")
    told = json.loads(jan("threads", "show", SECOND, "--settings", "--json", "--root", root).out)
    assert told == {
        "temperature": {"value": 0.5, "origin": f"threads/{SECOND}/model.json"},
        "model": {"value": "big", "origin": f"threads/{SECOND}/model.json"},
        "instructions": {"value": "Be exact.", "origin": "assistants/tutor/assistant.json"},
    }
    for one in told.values():
        assert str(one["value"]) in done.out
        assert one["origin"] in done.out


@pytest.mark.parametrize("command", ["show", "rm"])
def test_an_unknown_one(jan: Call, root: Path, command: str) -> None:
    done = jan("threads", command, "none", "--root", root)
    assert (done.code, done.out, done.err) == (1, "", "jan: There is no thread 'none'.\n")
    done = jan("threads", command, "../assistants", "--root", root)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1


def test_rm(jan: Call, root: Path) -> None:
    done = jan("threads", "rm", "-y", FIRST, SECOND, FIRST, "--root", root)
    assert done == Done(0, f"{FIRST} is gone.\n{SECOND} is gone.\n", "")
    assert [path.name for path in (root / "threads").iterdir() if not path.name.startswith(".")] == []
    assert jan("threads", "ls", "--json", "--root", root).out == "[]\n"
    assert jan("threads", "rm", FIRST, "--yes", "--root", root).code == 1


def test_rm_removes_nothing_where_one_is_unknown(jan: Call, root: Path) -> None:
    assert jan("threads", "rm", FIRST, "none", "--yes", "--root", root).code == 1
    assert (root / "threads" / FIRST / "messages.json").exists()


def test_rm_removes_nothing_where_nobody_can_be_asked(jan: Call, root: Path) -> None:
    done = jan("threads", "rm", SECOND, "--root", root)
    why = "jan: nothing was removed: nobody could be asked (--yes answers)"
    assert done == Done(1, "", f"  {SECOND}  Sums\n{why}\n")
    assert (root / "threads" / SECOND / "thread.json").exists()


def test_rm_removes_a_damaged_thread(jan: Call, root: Path) -> None:
    (root / "threads" / FIRST / "thread.json").write_text("{")
    done = jan("threads", "rm", FIRST, "--root", root)
    assert done.code == 1
    assert done.err.startswith(f"  {FIRST}  (")
    assert jan("threads", "rm", FIRST, "-y", "--root", root) == Done(0, f"{FIRST} is gone.\n", "")
    assert not (root / "threads" / FIRST).exists()


def test_a_root_that_is_not_there_is_not_made(jan: Call, tmp_path: Path) -> None:
    for arguments in (("ls",), ("show", FIRST), ("show", FIRST, "--settings"), ("rm", FIRST)):
        done = jan("threads", *arguments, "--root", tmp_path / "typo")
        assert (done.code != 0, done.out) == (True, "")
        assert "there is no such folder" in done.err
        assert "jan init --root" in done.err
    assert not (tmp_path / "typo").exists()


@POSIX
def test_rm_asks_a_person(root: Path) -> None:
    command = jan_command("threads", "rm", FIRST, SECOND, "--root", str(root))
    with Terminal(*command) as terminal:
        terminal.until(f"  {FIRST}  Is a cat tame? Really?")
        terminal.until(f"  {SECOND}  Sums")
        terminal.until("Remove these 2 threads? [y/N]: ")
        assert terminal.interrupted() == 1
    assert (root / "threads" / FIRST).exists()
    with Terminal(*command[:-3], "--root", str(root)) as terminal:
        terminal.until("Remove it? [y/N]: ")
        terminal.type("y\n")
        terminal.until(f"{FIRST} is gone.")
        assert terminal.ended() == 0
    assert not (root / "threads" / FIRST).exists()
    assert (root / "threads" / SECOND).exists()


def test_a_root_without_messages_or_threads(jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAN__ENDPOINTS__RUNS", "[]")
    monkeypatch.setenv("JAN__ENDPOINTS__MESSAGES", "[]")
    done = jan("threads", "ls", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert FIRST in done.out
    assert jan("threads", "show", FIRST, "--root", root).code == 0
    monkeypatch.setenv("JAN__ENDPOINTS__THREADS", "[]")
    for arguments in (("ls",), ("show", FIRST), ("show", FIRST, "--settings"), ("rm", FIRST)):
        done = jan("threads", *arguments, "--root", root)
        assert (done.code, done.out) == (1, "")
        assert "No module answers 'threads' here" in done.err
