from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jan_threads_json.lines import exported, restoring

from jan_core.errors import InvalidRequest
from jan_core.folder.objects import Damaged

LINE = b'{"id":"own","created_at":5,"model":"m","metadata":{},"parameters":{"seed":1},"z":{"b":1,"a":[2]}}'


def written(folder: Path, **files: Any) -> None:
    folder.mkdir(exist_ok=True)
    for name, values in files.items():
        (folder / f"{name}.json").write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")


def test_what_a_person_wrote_goes_along(tmp_path: Path) -> None:
    taking = [{"assistant_id": "zoe", "nick": "Z", "model": {"id": "m", "more": 1}}]
    written(
        tmp_path / "own",
        thread={"created_at": 5, "assistants": taking, "metadata": {"a": 1}, "pinned": True},
        model={"id": "m", "instructions": "Rhyme.", "parameters": {"seed": 9, "own": [None]}, "z": {}},
    )
    line = exported("own", str(tmp_path / "own"))
    assert line is not None
    found = json.loads(line)
    assert (found["id"], found["model"], found["parameters"]) == ("own", "m", {"seed": 9, "own": [None]})
    assert (found["pinned"], found["assistants"][0]["nick"]) == (True, "Z")
    assert found["model.json"] == {"instructions": "Rhyme.", "z": {}}
    ((thread, write),) = restoring([line])
    assert thread.id == "own"
    (tmp_path / "again").mkdir()
    write(str(tmp_path / "again"))
    assert exported("own", str(tmp_path / "again")) == line


def test_what_is_missing_or_damaged_has_no_line(tmp_path: Path) -> None:
    assert exported("own", str(tmp_path / "own")) is None
    for damaged in ("{", "[]", '{"created_at": 5, "title": 7}'):
        written(tmp_path / "own", thread=damaged)
        assert exported("own", str(tmp_path / "own")) is None


def test_nothing_is_left_of_what_was_there_and_nothing_damaged_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    ((_, write),) = restoring([LINE])
    written(folder, thread={"old": 1}, model={"old": 1})
    write(str(folder))
    line = exported("own", str(folder))
    assert line is not None
    assert b"old" not in line
    assert json.loads(line)["z"] == {"b": 1, "a": [2]}
    ((_, bare),) = restoring([b'{"id":"own","created_at":5,"metadata":{}}'])
    bare(str(folder))
    assert not (folder / "model.json").exists()
    for name in ("thread", "model"):
        written(folder, thread={"old": 1}, model={"old": 1})
        written(folder, **{name: "{half"})
        with pytest.raises(Damaged):
            write(str(folder))
        assert (folder / f"{name}.json").read_text("utf-8") == "{half"
        assert "old" in (folder / "thread.json").read_text("utf-8") + (folder / "model.json").read_text("utf-8")


def test_lines_that_are_no_threads() -> None:
    with pytest.raises(InvalidRequest, match="created_at"):
        restoring([b'{"id":"own"}'])
