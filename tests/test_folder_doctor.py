from __future__ import annotations

from pathlib import Path

from jan_core.folder.doctor import fault, folders, listed, names
from jan_core.folder.objects import Damaged


def test_folders_that_can_be_objects(tmp_path: Path) -> None:
    for name in ("one/b", "one/a", "one/.deleted", "one/zoë", "two/a"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one" / "file").write_text("")
    homes = [str(tmp_path / name) for name in ("two", "nothing", "one")]
    assert list(folders(homes)) == [str(tmp_path / name) for name in ("two/a", "one/a", "one/b")]
    assert names(homes[2]) == [".deleted", "a", "b", "file", "zoë"]
    assert names(homes[1]) == []


def test_what_is_wrong_is_a_sentence() -> None:
    assert fault("/x", Damaged("/x", 3, "the file is empty")) == "/x, line 3: the file is empty."
    assert fault("/x", PermissionError(13, "Permission denied")) == "/x cannot be read: Permission denied."


def test_many_findings_are_cut_short() -> None:
    ten = [f"{number}." for number in range(10)]
    assert listed(ten) == "0. 1. 2. 3. 4. 5. 6. 7. 8. 9."
    assert listed([*ten, "10.", "11."]) == listed(ten) + " And 2 more."
