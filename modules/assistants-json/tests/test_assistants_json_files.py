from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jan_assistants_json.files import AssistantFiles

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout

Write = Callable[..., Path]


@pytest.fixture
def files(root: Path) -> AssistantFiles:
    return AssistantFiles(Layout(root))


def test_an_assistant_is_read_of_both_its_files(files: AssistantFiles, write: Write) -> None:
    path = write("assistants/x/assistant.json", created_at=5)
    write("assistants/x/model.json", id="m")
    found = files.find("x", may_read=True)
    assert found is not None
    assert (found.folder, found.created_at) == (str(path.parent), 5)
    assert (found.item().id, found.item().model) == ("x", "m")
    assert files.time_made(found.folder) == 5
    path.unlink()
    assert files.find("x", may_read=True) is None


def test_what_is_no_name_is_refused(files: AssistantFiles) -> None:
    with pytest.raises(InvalidRequest) as caught:
        files.find("../x", may_read=True)
    assert caught.value.param == "assistant_id"
