from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jan_assistants_json import files as module
from jan_assistants_json.files import AssistantFiles

from jan_core.folder.layout import Layout
from jan_core.folder.shelf import Unread

Write = Callable[..., Path]


@pytest.fixture
def files(root: Path) -> AssistantFiles:
    return AssistantFiles(Layout(root))


def test_an_unchanged_file_is_not_opened_again(
    files: AssistantFiles, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_settled", lambda found, now: True)
    path = write("assistants/x/assistant.json", created_at=5)
    with pytest.raises(Unread):
        files.find("x", may_read=False)
    first = files.find("x", may_read=True)
    assert first is not None
    assert files.find("x", may_read=False) is first
    assert first.assistant() is not first.assistant()
    write("assistants/x/model.json", id="m")
    changed = files.find("x", may_read=True)
    assert changed is not None
    assert changed.assistant().model == "m"
    path.unlink()
    assert files.find("x", may_read=False) is None


def test_a_file_that_was_just_changed_is_read_again(files: AssistantFiles, write: Write) -> None:
    write("assistants/x/assistant.json", created_at=5)
    files.find("x", may_read=True)
    with pytest.raises(Unread):
        files.find("x", may_read=False)


def test_memory_is_bounded(files: AssistantFiles, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    for number in range(20):
        write(f"assistants/a{number}/assistant.json", created_at=5)
        files.find(f"a{number}", may_read=True)
    assert list(files._records) == [f"a{number}" for number in range(15, 20)]
