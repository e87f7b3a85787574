from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.errors import InvalidRequest
from jan_core.importing.source import look
from tests.foreign import GGUF, NEW_THREAD, OLD_THREAD, newer, older, write


def test_what_lies_where(tmp_path: Path) -> None:
    folder = newer(older(tmp_path / "app"))
    write(folder / "models" / "cortex.so" / "tiny" / "1b" / "model.yml", "name: x\n")
    write(folder / "models" / "loose.gguf", GGUF)
    write(folder / "models" / ".downloads" / "part" / "x.gguf", GGUF)
    write(folder / "assistants" / "5f1c" / "threads" / "own" / "thread.json", {})
    write(folder / "assistants" / "stray" / "note.txt", "x")
    write(folder / "threads" / "only-messages" / "messages.jsonl", "")
    write(folder / "threads" / "empty" / "x.txt", "")
    found = look(folder, tmp_path / "root")
    assert [one.name for one in found.assistants] == ["5f1c", "jan"]
    assert [one.name for one in found.threads] == [NEW_THREAD, OLD_THREAD, "only-messages", "own"]
    assert [below for below, _ in found.models] == ["cortex.so/tiny/1b", "far-7b", "tiny-q4", "org/ship/q8"]


def test_the_apps_folder_around_its_data_will_do(tmp_path: Path) -> None:
    older(tmp_path / "Jan" / "data")
    found = look(tmp_path / "Jan", tmp_path / "root")
    assert found.folder == (tmp_path / "Jan" / "data").resolve()


def test_models_are_looked_for_to_some_depth_only(tmp_path: Path) -> None:
    write(tmp_path / "app" / "models" / "/".join("abcdefgh") / "x.gguf", GGUF)
    write(tmp_path / "app" / "models" / "near" / "x.gguf", GGUF)
    (tmp_path / "app" / "models" / "a" / "loop").symlink_to(tmp_path / "app" / "models")
    found = look(tmp_path / "app", tmp_path / "root")
    assert "near" in [below for below, _ in found.models]
    assert all(below.count("/") < 6 for below, _ in found.models)


def test_what_is_no_foreign_root_is_refused(tmp_path: Path) -> None:
    older(tmp_path / "app")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "file", "x")
    inside = tmp_path / "app" / "root"
    cases = {
        (tmp_path / "none", tmp_path / "root"): "is not there",
        (tmp_path / "file", tmp_path / "root"): "is no folder",
        (tmp_path / "empty", tmp_path / "root"): "it is no root of Jan",
        (tmp_path / "app", tmp_path / "app"): "one lies in the other",
        (tmp_path / "app", inside): "one lies in the other",
        (tmp_path / "app", tmp_path): "one lies in the other",
    }
    for (folder, root), why in cases.items():
        with pytest.raises(InvalidRequest, match=why):
            look(folder, root)
    (tmp_path / "alias").symlink_to(tmp_path / "app")
    with pytest.raises(InvalidRequest, match="--root"):
        look(tmp_path / "alias", tmp_path / "app")


def test_threads_and_models_of_assistants_in_our_own_format(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    write(folder / "assistants" / "a" / "assistant.json", {"created_at": 1, "thread_location": "work/threads"})
    write(folder / "assistants" / "a" / "models" / "small" / "x.gguf", GGUF)
    write(folder / "threads" / ".homes.json", {"homes": ["old/threads"]})
    for number, place in enumerate(
        ("threads", "work/threads", "old/threads", "assistants/a/threads", "nobody/threads")
    ):
        write(folder / place / f"t{number}" / "thread.json", {})
    found = look(folder, tmp_path / "root")
    assert sorted(one.name for one in found.threads) == ["t0", "t1", "t2", "t3"]
    assert [below for below, _ in found.models] == ["small"]
