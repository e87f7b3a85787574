from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jan_assistants_json.doctor import checks

from jan_core.check import Verdict

Write = Callable[..., Path]


def verdicts(root: Path) -> list[Verdict]:
    return [check.run() for check in checks(root)]


def test_a_root_in_order(root: Path, write: Write) -> None:
    assert [verdict.ok for verdict in verdicts(root)] == [True, True]
    write("assistants/x/assistant.json", created_at=5)
    write("assistants/x/model.json", id="m")
    write("assistants/.deleted/y/z", "")
    found = verdicts(root)
    assert [verdict.ok for verdict in found] == [True, True]
    assert "holds 1 assistant." in found[0].why


def test_damaged_files_are_named(root: Path, write: Write) -> None:
    broken = write("assistants/a/assistant.json", '{\n"created_at": }')
    write("assistants/b/assistant.json", created_at=5)
    model = write("assistants/b/model.json", '{"parameters": 5}')
    outside = write("assistants/c/assistant.json", created_at=5, thread_location="../..")
    verdict = verdicts(root)[0]
    assert not verdict.ok
    assert verdict.remedy
    for named in (f"{broken}, line 2: ", f"{model}, line 1: ", f"{outside}: `thread_location`"):
        assert named in verdict.why


def test_folders_that_are_none_and_twins(root: Path, write: Write) -> None:
    write("assistants/Jan/assistant.json", created_at=5)
    write("assistants/jan/assistant.json", created_at=5)
    write("assistants/half/model.json", "{}")
    write("assistants/zoë/assistant.json", created_at=5)
    verdict = verdicts(root)[1]
    assert not verdict.ok
    for named in (f"{root / 'assistants/jan'} has the name of Jan", "half has no assistant.json", "zo\\xeb: the name"):
        assert named in verdict.why


def test_homes_inside_one_another_are_named(root: Path, write: Write) -> None:
    write("assistants/a/assistant.json", created_at=5, thread_location="work")
    inner = write("assistants/b/assistant.json", created_at=5, thread_location="work/threads")
    write("assistants/c/assistant.json", created_at=5, thread_location="other")
    verdict = verdicts(root)[0]
    assert any(told.startswith(f"{inner}: `thread_location`") for told in verdict.found)
    assert not any("assistants/c" in told for told in verdict.found)


def test_a_new_default_assistant_is_offered_for_a_damaged_one(root: Path, write: Write) -> None:
    other = write("assistants/a/assistant.json", "{")
    path = write("assistants/jan/assistant.json", "{ broken")
    verdict = verdicts(root)[0]
    assert f"{other}, line 1" in verdict.why
    (repair,) = verdict.repairs
    assert str(path) in repair.question
    told = repair.do()
    assert json.loads(path.read_text())["name"] == "Jan"
    (kept,) = path.parent.glob("assistant.json.broken-*")
    assert str(kept) in told
    assert kept.read_text() == "{ broken"
    assert "nothing was changed" in repair.do()
    path.unlink()
    assert "nothing was changed" in repair.do()
