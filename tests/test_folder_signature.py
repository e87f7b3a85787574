from __future__ import annotations

import os
import time
from pathlib import Path

from jan_core.folder import signature as module
from jan_core.folder.signature import is_folder, is_settled, signature, signature_of


def test_a_change_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert signature(str(path)) is None
    path.write_text("{}")
    first = signature(str(path))
    assert first == signature_of(path.stat())
    path.write_text("{ }")
    assert signature(str(path)) != first
    second = signature(str(path))
    os.replace(path, tmp_path / "b.json")
    path.write_text("{ }")
    assert signature(str(path)) != second  # the same size, perhaps the same time, but another file
    assert signature("\0") is None


def test_what_changed_a_moment_ago_is_not_settled(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    found = signature(str(path))
    assert found is not None
    assert not is_settled(found, found[3])
    assert is_settled(found, found[3] + module.COARSE_TICK + 1)
    assert is_settled(None, time.time_ns())
    whole = (0, 2, 1, 5_000_000_000)
    assert not is_settled(whole, 5_000_000_000 + module.TICK + 1)  # a file system that keeps whole seconds
    assert is_settled((0, 2, 1, 5_000_000_001), 5_000_000_001 + module.TICK + 1)


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_folder(str(tmp_path))
    assert is_folder(str(tmp_path / "link"))
    assert not is_folder(str(tmp_path / "file"))
    assert not is_folder(str(tmp_path / "nothing"))
    assert not is_folder("\0")
