from __future__ import annotations

import json
from pathlib import Path

from jan_core.importing.reading import Unreadable
from jan_core.importing.report import Item, Report


def report() -> Report:
    there = Path("there")
    return Report(
        there,
        dry_run=False,
        items=[
            Item("model", "m", "left out", there / "m", why="no file of it is there"),
            Item("assistant", "a", "skipped", there / "a.json", why="it is odd", line=3),
            Item("thread", "t", "imported", there / "t", why="it was not finished", messages=5, notes=["n", "n", "o"]),
            Item("thread", "u", "imported", there / "u", messages=2, notes=["n"]),
            Item("thread", "v", "present", there / "v", problems=[Unreadable(there / "v" / "x", "it is torn", 7)]),
        ],
    )


def test_for_a_person() -> None:
    told = report()
    assert (told.count("thread", "imported"), told.count("model", "skipped"), told.messages) == (2, 0, 7)
    assert told.reasons() == ["there/a.json, line 3: it is odd", "there/v/x, line 7: it is torn"]
    assert told.notes() == ["thread t: n (3 times in all)", "thread t: o"]
    assert not told.whole


def test_for_a_program() -> None:
    told = json.loads(json.dumps(report().shown()))
    assert (told["source"], told["dry_run"], told["whole"], told["messages"]) == ("there", False, False, 7)
    model, assistant, thread, _, last = told["items"]
    assert model == {
        "kind": "model",
        "id": "m",
        "outcome": "left out",
        "path": "there/m",
        "why": "no file of it is there",
    }
    assert (assistant["why"], assistant["line"]) == ("it is odd", 3)
    assert "why" not in thread
    assert thread["notes"] == ["n (2 times)", "o"]
    assert last["problems"] == [{"path": "there/v/x", "line": 7, "why": "it is torn"}]


def test_whole_is_what_was_neither_stopped_nor_skipped() -> None:
    there = Path("there")
    items = [Item("model", "m", "left out", there), Item("thread", "t", "present", there, notes=["n"])]
    assert Report(there, False, items).whole
    assert not Report(there, False, items, stopped=True).whole
    assert not Report(there, False, [Item("thread", "t", "skipped", there)]).whole
