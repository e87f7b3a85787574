from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jan_code.source import Source, find

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "assistants" / "a"
    (made / "src").mkdir(parents=True)
    (made / "src" / "index.py").write_text("x = 1\n")
    return made


def found(tmp_path: Path) -> Source:
    source = find(Layout(tmp_path), "a")
    assert source is not None
    return source


def settled(tmp_path: Path) -> Source:
    while not (source := found(tmp_path)).settled:
        continue
    return source


def test_nothing_where_there_is_no_code(tmp_path: Path) -> None:
    assert find(Layout(tmp_path), "a") is None
    with pytest.raises(InvalidRequest) as error:
        find(Layout(tmp_path), "../a")
    assert error.value.code == "invalid_id"


def test_every_change_shows(tmp_path: Path, folder: Path) -> None:
    first = settled(tmp_path)
    assert found(tmp_path).same(first)
    (folder / "src" / "more.py").write_text("y = 1\n")
    second = settled(tmp_path)
    assert not second.same(first)
    (folder / "assistant.json").write_text('{"network": true}')
    third = settled(tmp_path)
    assert third.network
    assert not third.same(second)
    assert found(tmp_path).same(third)


@pytest.mark.parametrize("text", ["{", '{"network": "yes"}', '{"network": 1}', "[]"])
def test_the_network_is_asked_for_by_true_alone(tmp_path: Path, folder: Path, text: str) -> None:
    (folder / "assistant.json").write_text(text)
    assert not found(tmp_path).network


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
class TestLinks:
    def test_out_of_the_root(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere" / "src"
        elsewhere.mkdir(parents=True)
        (elsewhere / "index.py").write_text("x = 1\n")
        root = tmp_path / "root"
        (root / "assistants").mkdir(parents=True)
        (root / "assistants" / "a").symlink_to(elsewhere.parent)
        with pytest.raises(InvalidRequest, match="leads out of"):
            find(Layout(root), "a")

    @pytest.mark.parametrize("name", ["src", "src/index.py", "src/more.py"])
    def test_out_of_the_folder(self, tmp_path: Path, folder: Path, name: str) -> None:
        elsewhere = tmp_path / "assistants" / "b"
        (folder / "src").rename(elsewhere)
        if name == "src":
            (folder / name).symlink_to(elsewhere)
        else:
            (folder / "src").mkdir()
            (folder / "src" / "index.py").write_text("x = 1\n")
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(elsewhere / "index.py")
        with pytest.raises(InvalidRequest, match="leads out of") as error:
            find(Layout(tmp_path), "a")
        assert error.value.code == "outside_root"

    def test_within_the_folder_they_are_followed(self, tmp_path: Path, folder: Path) -> None:
        (folder / "src" / "index.py").rename(folder / "code.py")
        (folder / "src" / "index.py").symlink_to(folder / "code.py")
        assert found(tmp_path).index.endswith("index.py")
