from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jan_core.pull import about
from jan_core.pull.errors import PullError

ENTRY = about.Entry("Tiny.Q4_1.gguf", "pypi:tiny==1", "a" * 64)


def record(folder: Path, entry: about.Entry = ENTRY) -> dict[str, Any]:
    about.record(folder, "tiny", entry, "somebody")
    found = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_what_a_person_wrote_survives(tmp_path: Path) -> None:
    mine: dict[str, Any] = {
        "future": {"deep": [1, None, "ü"]},
        "name": "Mine",
        "engine": "other",
        "settings": {"ctx_len": 4096},
        "source": [
            {"filename": "Tiny.Q4_1.gguf", "url": "old", "sha256": "old", "note": "kept"},
            {"filename": "b.gguf"},
            "odd",
        ],
    }
    (tmp_path / "model.json").write_text("\ufeff" + json.dumps(mine), encoding="utf-8")
    found = record(tmp_path)
    entry = {"filename": "Tiny.Q4_1.gguf", "url": "pypi:tiny==1", "sha256": "a" * 64, "note": "kept"}
    assert found["source"] == [entry, {"filename": "b.gguf"}, "odd"]
    assert {key: found[key] for key in mine if key != "source"} == {key: mine[key] for key in mine if key != "source"}
    assert list(found)[: len(mine)] == list(mine)
    assert (found["id"], found["owned_by"], found["metadata"]) == ("tiny", "somebody", {})


def test_a_projector_is_named_in_the_settings(tmp_path: Path) -> None:
    found = record(tmp_path, about.Entry("mmproj-F16.gguf", "u", "a" * 64))
    assert found["settings"] == {"mmproj": "mmproj-F16.gguf"}
    assert found["name"] == "tiny"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"source": {}}', "\xff", "[" * 100_000])
def test_a_broken_file_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(PullError, match=r"model\.json.*Mend it|no object"):
        record(tmp_path)
    assert (tmp_path / "model.json").read_bytes() == text.encode("latin-1")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
