from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jan_core.cli.new_source import STARTS, imports, module_source, quoted, shortened, start_of
from jan_core.endpoint import Endpoint, operation
from jan_core.endpoints.messages import Messages
from jan_core.testing.wired import KERNEL
from tests.notes import Notes
from tests.parts import Site


class Odd(Endpoint):
    """Long and unusual signatures."""

    name: ClassVar[str] = "odd"
    schemas: ClassVar[str] = "tests.notes"

    @operation("GET /v1/odd")
    @abstractmethod
    async def first(
        self, a_first_argument: str, a_second_argument: int = 0, *, a_third_argument_by_name: str | None = None
    ) -> str:
        """Do it.

        And more.
        """

    @operation("GET /v1/odd/{a}")
    @abstractmethod
    async def second(
        self,
        a_first_argument_of_some_length: str,
        a_second_argument_of_some_length: str,
        a_third_argument_of_some_length: str,
        a_fourth_argument: str,
    ) -> str:
        """Do it e.g. so. Then more, over
        two lines.
        """


def heads(endpoint: type[Endpoint], start: dict[str, Any]) -> dict[str, str]:
    return {one["doc"]: one["head"] for one in module_source(endpoint, start)["operations"]}


def test_what_is_not_written_refuses() -> None:
    found = module_source(Messages, {})
    bodies = [one["body"] for one in found["operations"]]
    assert bodies[0] == 'raise NotSupported("messages.create is not written yet.")'
    assert len(bodies) == 8
    assert "from jan_core.errors import NotSupported" in found["imports"]
    assert "from collections.abc import Sequence" in found["imports"]


def test_a_stream_is_a_generator_where_it_yields() -> None:
    refusing = heads(Notes, {})["Make a note, and tell about it."]
    assert refusing == "def create_stream(self, body: NoteRequest) -> AsyncIterator[NoteEvent]:"
    written = heads(Notes, {"operations": {"create_stream": "yield NoteEvent()"}})["Make a note, and tell about it."]
    assert written == f"async {refusing}"
    assert "Remove a note." not in heads(Notes, {})  # optional


def test_long_heads_are_broken_as_ruff_does() -> None:
    first, second = (one["head"] for one in module_source(Odd, {})["operations"])
    assert first.splitlines() == [
        "async def first(",
        "    self, a_first_argument: str, a_second_argument: int = 0, *, a_third_argument_by_name: str | None = None",
        ") -> str:",
    ]
    assert second.splitlines() == [
        "async def second(",
        "    self,",
        "    a_first_argument_of_some_length: str,",
        "    a_second_argument_of_some_length: str,",
        "    a_third_argument_of_some_length: str,",
        "    a_fourth_argument: str,",
        ") -> str:",
    ]
    assert [one["doc"] for one in module_source(Odd, {})["operations"]] == ["Do it.", "Do it e.g. so."]


def test_imports_are_ordered_as_ruff_does() -> None:
    wanted = ["pydantic:BaseModel", "jan_core.ids:now", "jan_core.ids:LONGEST_ID", "math", "pathlib:Path", "anyio"]
    assert imports([*wanted, "jan_core.ids:new_id", "jan_core.ids:now"]).splitlines() == [
        "import math",
        "from pathlib import Path",
        "",
        "import anyio",
        "from jan_core.ids import LONGEST_ID, new_id, now",
        "from pydantic import BaseModel",
    ]
    long = [f"jan_notes.schemas:A{'b' * 30}{number}" for number in range(4)]
    assert imports(long[:3], indent=4).startswith("    from jan_notes.schemas import (\n        Ab")
    assert len(imports(long).splitlines()) == 6


def test_texts_are_cut_at_words() -> None:
    assert shortened("a  b\nc") == "a b c"
    assert shortened("word, " * 30, 20) == "word, word, word …"
    assert quoted("it's `so`") == '"it\'s `so`"'
    assert quoted('say "so"') == "'say \"so\"'"


@pytest.mark.parametrize("path", sorted(STARTS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_start_is_of_an_endpoint_and_says_operations_that_it_has(path: Path) -> None:
    from jan_core.discovery import import_name

    endpoint = import_name(KERNEL[path.stem])
    start = start_of(endpoint)
    assert set(start["operations"]) <= set(endpoint.operations())
    assert set(start) <= {"imports", "fields", "settings", "operations", "below"}


def test_an_endpoint_without_a_start_has_none() -> None:
    assert start_of(Notes) == {}


def test_an_installed_package_brings_a_start(site: Site) -> None:
    start = {"jan_notes_loop/__init__.py": "", "jan_notes_loop/start_notes.toml": 'base = "NoteStore"\n'}
    site.add("jan-notes-loop", start, {"starts": {"notes": "jan_notes_loop"}})
    assert start_of(Notes) == {"base": "NoteStore"}
    assert start_of(Messages)["fields"]


def test_a_start_may_be_of_another_class_than_the_endpoint() -> None:
    start = {
        "base": "NoteStore",
        "settings_base": "LoopSettings",
        "settings_doc": "and more.",
        "needs": ["jan-notes-loop"],
        "imports": ["jan_notes_loop:NoteStore"],
        "members": "def keep(self) -> None: ...\n",
        "built": "Looped({name}(settings, jan))",
    }
    found = module_source(Notes, start)
    assert (found["base"], found["members"], found["needs"]) == (
        "NoteStore",
        "def keep(self) -> None: ...",
        ["jan-notes-loop"],
    )
    assert found["operations"] == []
    assert "from jan_notes_loop import NoteStore\n" in found["imports"]
    assert "ConfigDict" not in found["imports"]
