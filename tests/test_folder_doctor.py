from __future__ import annotations

from pathlib import Path

from jan_core.folder.doctor import fault, folders, misnamed, names
from jan_core.folder.objects import Damaged


def test_folders_that_can_be_objects(tmp_path: Path) -> None:
    for name in ("one/b", "one/a", "one/.deleted", "one/zoë", "two/a"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one" / "file").write_text("")
    homes = [str(tmp_path / name) for name in ("two", "nothing", "one")]
    assert list(folders(homes)) == [str(tmp_path / name) for name in ("two/a", "one/a", "one/b")]
    assert names(homes[2]) == [".deleted", "a", "b", "file", "zoë"]
    assert names(homes[1]) == []
    assert list(misnamed(homes)) == [str(tmp_path / "one" / "zo") + "\\xeb"]


def test_what_is_wrong_is_a_sentence() -> None:
    assert fault("/x", Damaged("/x", 3, "the file is empty")) == "/x, line 3: the file is empty."
    assert fault("/x", PermissionError(13, "Permission denied")) == "/x cannot be read: Permission denied."
