from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from jan_threads_json.doctor import checks

from jan_core.check import Verdict

Write = Callable[..., Path]


def verdicts(root: Path) -> list[Verdict]:
    return [check.run() for check in checks(root)]


def test_a_root_in_order(root: Path, write: Write) -> None:
    assert [verdict.ok for verdict in verdicts(root)] == [True] * 4
    write("threads/x/thread.json", created_at=5)
    write("threads/x/model.json", id="m")
    write("threads/.DS_Store", "")
    write("threads/.deleted/y", "{}")
    assert [verdict.ok for verdict in verdicts(root)] == [True] * 4


def test_damaged_files_are_named_and_a_repair_offered(root: Path, write: Write) -> None:
    thread = write("threads/jan-1700000000-x/thread.json", '{\n"created_at": }')
    model = write("threads/by-hand/model.json", "[]")
    write("threads/by-hand/thread.json", created_at=5)
    write("threads/jan-1700000001-y/thread.json", created_at=5)
    write("threads/jan-1700000001-y/model.json", "[]")
    circle = root / "threads" / "jan-1700000002-z" / "thread.json"
    circle.parent.mkdir()
    circle.symlink_to(circle)
    verdict = verdicts(root)[0]
    assert not verdict.ok
    assert f"{thread}, line 2: " in verdict.why
    assert f"{model}, line 1: " in verdict.why
    assert f"{circle} cannot be read: " in verdict.why
    assert verdict.remedy
    (repair,) = verdict.repairs  # nothing tells what belonged into the others
    assert str(thread) in repair.question
    told = repair.do()
    assert json.loads(thread.read_text())["created_at"] == 1_700_000_000
    kept = next(path for path in thread.parent.iterdir() if ".broken-" in path.name)
    assert str(kept) in told
    assert kept.read_text() == '{\n"created_at": }'
    assert "nothing was changed" in repair.do()


def test_folders_without_a_thread(root: Path, write: Write) -> None:
    write("threads/jan-1700000000-x/messages.json", "[]")
    (root / "threads" / "empty").mkdir()
    write("threads/my thread/thread.json", created_at=5)
    write("threads/runs/thread.json", created_at=5)
    verdict = verdicts(root)[1]
    assert f"{root}/threads/runs: the name cannot be a thread's id" in verdict.why
    (root / "threads" / "runs" / "thread.json").unlink()
    (root / "threads" / "runs").rmdir()
    assert f"{root}/threads/my thread: the name cannot be a thread's id" in verdict.why
    (root / "threads" / "my thread" / "thread.json").unlink()
    (root / "threads" / "my thread").rmdir()
    assert "jan-1700000000-x has no thread.json" in verdict.why
    assert "created_at" in verdict.remedy
    for repair in verdict.repairs:
        repair.do()
    assert os.listdir(root / "threads") == ["jan-1700000000-x"]
    assert [verdict.ok for verdict in verdicts(root)] == [True] * 4


def test_twins(root: Path, write: Write) -> None:
    for name in ("threads/jan-1", "threads/Jan-1", "assistants/a/threads/jan-1", "assistants/a/threads/b"):
        write(f"{name}/thread.json", created_at=5)
    verdict = verdicts(root)[3]
    assert not verdict.ok
    assert "but for upper and lower case" in verdict.why
    assert f"{root / 'assistants/a/threads/jan-1'} " in verdict.why
    assert "threads/b" not in verdict.why


def test_threads_where_nobody_looks_are_found_and_noted(root: Path, write: Write) -> None:
    for name in ("work/plays/t", "old/s", "models/t", "a/b/c/d/e/t", ".x/t"):
        write(f"{name}/thread.json", created_at=5)
    write("assistants/x/assistant.json", created_at=5, thread_location="old")
    (root / "work" / "circle").symlink_to(root)
    verdict = verdicts(root)[2]
    assert verdict.found == (f"{root}/work/plays holds threads, and nothing says that threads lie there.",)
    (repair,) = verdict.repairs
    assert "work/plays is noted" in repair.do()
    assert [one.ok for one in verdicts(root)] == [True] * 4
    write("assistants/x/assistant.json", created_at=5)
    assert f"{root}/old holds threads" in verdicts(root)[2].why


def test_a_damaged_note_of_homes_is_named(root: Path, write: Write) -> None:
    note = write("threads/.homes.json", '{\n"homes": 5}')
    assert f"{note}, line 2: " in verdicts(root)[2].why
    write("threads/.homes.json", homes=["work", "../x"])
    assert verdicts(root)[2].found == (f"{note} names '../x', and '..' cannot be the name of a folder here.",)
