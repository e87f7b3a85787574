from __future__ import annotations

import os
from pathlib import Path

import pytest

from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.folder.removal import BIN, empty_bin, hide_folder, remove_folder, secure_hidden


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside" / "kept").mkdir(parents=True)
    home = tmp_path / "root" / "threads"
    (home / "a" / "files" / "deep").mkdir(parents=True)
    (home / "a" / "files" / "deep" / "x").write_text("x")
    (home / "a" / "link").symlink_to(tmp_path / "outside")
    return tmp_path / "root"


def test_a_folder_is_removed_and_no_link_followed(root: Path) -> None:
    home = root / "threads"
    (home / "out").symlink_to(root.parent / "outside")
    for name in ("a", "out", "nothing"):
        remove_folder(str(home / name))
    assert list(home.iterdir()) == []
    assert (root.parent / "outside" / "kept").is_dir()
    remove_folder(str(root / "nowhere" / "x"))


def test_hiding_and_emptying(root: Path) -> None:
    home, layout = root / "threads", Layout(root)
    (home / "a-b").mkdir()
    hide_folder(layout, str(home / "a"))
    hide_folder(layout, str(home / "a-b"))
    assert [entry.name for entry in home.iterdir()] == [BIN]
    assert all(entry.name.startswith(".") for entry in (home / BIN).iterdir())
    (home / BIN / "a").write_text("a note")
    (home / BIN / ".odd").write_text("not ours")
    empty_bin(str(home), "a")
    assert sorted(entry.name[:13] for entry in (home / BIN).iterdir()) == [".odd", ".removed-a-b-", "a"]
    empty_bin(str(home))
    assert sorted(entry.name for entry in (home / BIN).iterdir()) == [".odd", "a"]
    empty_bin(str(root / "nothing"))
    with pytest.raises(FileNotFoundError):
        hide_folder(layout, str(home / "a"))


def test_nothing_is_moved_behind_a_link(root: Path) -> None:
    (root / "work").symlink_to(root.parent / "outside")
    with pytest.raises(InvalidRequest):
        hide_folder(Layout(root), str(root / "work" / "kept"))
    assert os.listdir(root.parent / "outside") == ["kept"]


def test_what_was_hidden_is_flushed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = DISK.sync_folder
    monkeypatch.setattr(DISK, "sync_folder", lambda path: (real(path), flushed.append(str(path)))[1])
    secure_hidden(str(tmp_path / "none"))
    assert flushed == []
    (tmp_path / BIN).mkdir()
    secure_hidden(str(tmp_path))
    assert flushed == [str(tmp_path / BIN), str(tmp_path)]
