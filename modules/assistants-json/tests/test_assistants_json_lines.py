from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jan_assistants_json.lines import exported, restoring

from jan_core.errors import InvalidRequest
from jan_core.folder.objects import Damaged

LINE = b'{"id":"own","created_at":5,"model":"m","tools":[{"type":"file_search","note":1}],"z":{"b":1,"a":[2]}}'


def written(folder: Path, **files: Any) -> None:
    folder.mkdir(exist_ok=True)
    for name, values in files.items():
        (folder / f"{name}.json").write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")


def test_older_forms_and_what_a_person_wrote_go_along(tmp_path: Path) -> None:
    written(
        tmp_path / "own",
        assistant={
            "created_at": 5,
            "tools": [{"type": "rag", "settings": {"top": 2}}],
            "file_ids": ["file-1"],
            "z": [{}],
        },
        model={"id": "m", "parameters": {"top_k": 7}, "own": 1e300},
    )
    line = exported("own", str(tmp_path / "own"))
    assert line is not None
    found = json.loads(line)
    assert (found["id"], found["created_at"], found["model"], found["z"]) == ("own", 5, "m", [{}])
    assert [tool["type"] for tool in found["tools"]] == ["file_search"]
    assert found["model.json"] == {"id": "m", "parameters": {"top_k": 7}, "own": 1e300}
    ((assistant, write),) = restoring([line])
    assert (assistant.id, assistant.model) == ("own", "m")
    (tmp_path / "again").mkdir()
    write(str(tmp_path / "again" / "assistant.json"))
    assert exported("own", str(tmp_path / "again")) == line


def test_what_is_missing_or_damaged_has_no_line(tmp_path: Path) -> None:
    assert exported("own", str(tmp_path / "own")) is None
    for damaged in ("{", "[]", '{"created_at": 5, "name": 7}'):
        written(tmp_path / "own", assistant=damaged)
        assert exported("own", str(tmp_path / "own")) is None


def test_nothing_is_left_of_what_was_there_and_nothing_damaged_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    ((_, write),) = restoring([LINE])
    written(folder, assistant={"old": 1}, model={"id": "old"})
    write(str(folder / "assistant.json"))
    assert json.loads((folder / "assistant.json").read_text("utf-8")) == json.loads(LINE)
    assert not (folder / "model.json").exists()
    for name in ("assistant", "model"):
        written(folder, assistant={"old": 1}, model={"id": "old"})
        written(folder, **{name: "{half"})
        with pytest.raises(Damaged):
            write(str(folder / "assistant.json"))
        assert (folder / f"{name}.json").read_text("utf-8") == "{half"
        assert "old" in (folder / "assistant.json").read_text("utf-8") + (folder / "model.json").read_text("utf-8")


def test_lines_that_are_no_assistants() -> None:
    with pytest.raises(InvalidRequest, match="model"):
        restoring([b'{"id":"own","created_at":5}'])
