from __future__ import annotations

import json
from pathlib import Path

import pytest
from jan_code.beginning import begin
from jan_code.installing import requirements

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.folder.layout import Layout

from .conftest import Assistant

pytestmark = pytest.mark.anyio


async def test_it_works_from_the_start(assistant: Assistant, tmp_path: Path) -> None:
    assistant.index.parent.rmdir()
    assert begin(Layout(tmp_path), "a") == str(assistant.index)
    (tool,) = await assistant.code.tools("a")
    assert (tool.name, tool.description) == ("roll", "Roll a die, and tell the number that it shows.")
    assert tool.parameters["properties"]["sides"] == {
        "type": "integer",
        "enum": [4, 6, 8, 12, 20],
        "default": 6,
        "description": "How many sides the die has.",
    }
    assert json.loads(await assistant.call("roll", '{"sides": 4}')) in range(1, 5)
    assert json.loads(await assistant.call("roll")) in range(1, 7)
    assert requirements(str(assistant.index.parent / "pyproject.toml")) == []
    assert {one.name for one in assistant.folder.iterdir()} == {"assistant.json", "src"}


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "assistants" / "a"
    (folder / "src").mkdir(parents=True)
    with pytest.raises(NotFound, match="no assistant 'a'"):
        begin(Layout(tmp_path), "a")
    (folder / "assistant.json").write_text("{}")
    with pytest.raises(Conflict, match="is there already") as error:
        begin(Layout(tmp_path), "a")
    assert error.value.code == "code_exists"
    assert not list((folder / "src").iterdir())


def test_nothing_is_written_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "assistant.json").write_text("{}")
    (tmp_path / "root" / "assistants").mkdir(parents=True)
    (tmp_path / "root" / "assistants" / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(InvalidRequest, match="leads out of the root"):
        begin(Layout(tmp_path / "root"), "a")


def test_the_name_of_the_project_is_one_that_installers_take(tmp_path: Path) -> None:
    for name, project in (("math-tutor", "math-tutor"), ("-_x-", "assistant")):
        folder = tmp_path / "assistants" / name
        folder.mkdir(parents=True)
        (folder / "assistant.json").write_text("{}")
        begin(Layout(tmp_path), name)
        assert f'name = "{project}"' in (folder / "src" / "pyproject.toml").read_text()
