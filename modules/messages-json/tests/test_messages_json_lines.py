from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jan_messages_json.lines import checked, exported
from jan_messages_json.stored import names

from jan_core.errors import InvalidRequest
from jan_core.folder.lists import Lists
from jan_core.folder.locks import Locks
from jan_core.folder.views import ListView
from jan_core.lines import line_of
from jan_core.schemas.messages import Message


def values(id: str, **fields: Any) -> dict[str, Any]:
    made = Message.model_validate({"id": id, "created_at": 1, "thread_id": "t", "role": "user", "content": []})
    return {**made.model_dump(mode="json"), **fields}


class File:
    """A list of messages, in Jan's layout or as a person wrote it."""

    def __init__(self, folder: Path, elements: list[Any], *, own: bool) -> None:
        self.path = folder / "messages.json"
        lines = [json.dumps(one, separators=(",", ":")) for one in elements]
        text = "[\n" + ",\n".join(lines) + "\n]\n" if own else json.dumps(elements, indent=1)
        self.path.write_text(text, "utf-8")
        self.lists = Lists(Locks(folder), names)

    def export(self, after: str | None = None, limit: int = 100) -> list[str]:
        def look(view: ListView) -> list[bytes]:
            return exported(view, "t", after, limit)

        return [json.loads(line)["id"] for line in self.lists.read(str(self.path), "t", look)]


@pytest.mark.parametrize("own", [True, False])
def test_page_by_page_up_to_the_last_one(tmp_path: Path, own: bool) -> None:
    ids = [f"msg_{number}" for number in range(1200)]
    file = File(tmp_path, [values(id) for id in ids], own=own)
    found: list[str] = []
    while page := file.export(found[-1] if found else None, 400):
        found += page
    assert found == ids
    assert file.export(ids[-1]) == []
    with pytest.raises(InvalidRequest, match="msg_none"):
        file.export("msg_none")


@pytest.mark.parametrize("own", [True, False])
def test_of_several_of_one_id_the_first_counts_also_where_the_last_of_all_is_one(tmp_path: Path, own: bool) -> None:
    elements = [values("msg_1"), values("msg_2"), "damaged", values("msg_3"), values("msg_1", role="assistant")]
    file = File(tmp_path, elements, own=own)
    assert file.export() == ["msg_1", "msg_2", "msg_3"]
    assert file.export("msg_1") == ["msg_2", "msg_3"]
    assert file.export("msg_2") == ["msg_3"]
    assert file.export("msg_3") == []


def test_an_id_that_others_speak_of(tmp_path: Path) -> None:
    said = {"type": "text", "text": {"value": 'I am "id":"msg_2"', "annotations": []}}
    file = File(tmp_path, [values("msg_1", content=[said]), values("msg_2")], own=True)
    assert file.export("msg_2") == []
    assert file.export("msg_1") == ["msg_2"]


def test_lines_that_are_stored() -> None:
    lines = [line_of(Message, values("msg_1")), line_of(Message, values("msg_2", own=1))]
    assert checked("t", lines) == ["msg_1", "msg_2"]
    for wrong in (lines * 2, [*lines, b"{"], [line_of(Message, values("../x"))]):
        with pytest.raises(InvalidRequest):
            checked("t", wrong)
    with pytest.raises(InvalidRequest, match="'u'"):
        checked("u", lines)
