from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import TABLES
from jan_core.cli.new_package import REQUESTS
from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired
from tests.command_line import Call
from tests.parts import Site, part

ENDPOINT = """\
from abc import abstractmethod
from typing import ClassVar
from jan_core.endpoint import Endpoint, operation
from jan_core.hookspecs import hookspec

class Things(Endpoint):
    '''Things.'''
    name: ClassVar[str] = "things"
    schemas: ClassVar[str] = "jan_core.schemas.models"

    @operation("GET /v1/things")
    @abstractmethod
    async def list(self) -> "ModelList":
        '''List them.'''

@hookspec
def provide_things(settings, jan): ...

@hookspec
def wrap_things(settings, jan): ...
"""


@pytest.mark.parametrize("qualified", REQUESTS)
def test_the_requests_of_a_plugin_call_its_operation(
    qualified: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    async def told(proceed: Any, *arguments: Any, **named: Any) -> Any:
        called.append(proceed.operation.qualified)
        return await proceed(*arguments, **named)

    plugin = part(monkeypatch, "told", wrap_every=lambda settings, jan, endpoint: {"*": told})

    async def talk() -> None:
        jan = wired(tmp_path, modules=EVERYTHING, plugins={"told": plugin})
        async with jan, client(jan) as http:
            ids: list[str] = []
            for method, path, body in REQUESTS[qualified]:
                reply = await http.request(method, path.format(*ids), json=body)
                assert reply.status_code == 200, reply.text
                ids.append("" if b"data: " in reply.content else reply.json().get("id", ""))

    asyncio.run(talk())
    assert qualified in called


def test_a_module_of_an_endpoint_without_a_contract(
    jan: Call, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("jan-things", {"jan_things.py": ENDPOINT}, {"endpoints": {"things": "jan_things:Things"}})
    monkeypatch.chdir(tmp_path)
    done = jan("modules", "new", "things-mine")
    assert (done.code, done.err) == (0, "")
    assert "No contract of things is installed" in done.out
    assert '"jan-things",' in (tmp_path / "things-mine" / "pyproject.toml").read_text("utf-8")
    source = (tmp_path / "things-mine" / "jan_things_mine.py").read_text("utf-8")
    assert 'raise NotSupported("things.list is not written yet.")' in source
    assert "def test_it_is_served" in (tmp_path / "things-mine" / "tests" / "test_contract.py").read_text("utf-8")


def test_a_class_is_never_named_as_what_it_imports(jan: Call, tmp_path: Path) -> None:
    assert jan("modules", "new", "threads-query", "--folder", tmp_path / "new").code == 0
    assert "class ThreadsQueryModule(Threads):" in (tmp_path / "new" / "jan_threads_query.py").read_text("utf-8")


def test_a_contract_that_cannot_be_run_is_told_and_nothing_is_written(
    jan: Call, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"jan_things.py": ENDPOINT, "jan_things_contract.py": "class ThingsContract: ...\n"}
    entries = {
        "endpoints": {"things": "jan_things:Things"},
        "contracts": {"things": "jan_things_contract:ThingsContract"},
    }
    site.add("jan-things", files, entries)
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    monkeypatch.chdir(tmp_path)
    done = jan("modules", "new", "things-mine")
    assert done.code == 2
    assert "could not be run: LookupError" in done.err
    assert not (tmp_path / "things-mine").exists()


@pytest.mark.parametrize("table", TABLES)
def test_no_plugin_has_a_table_of_the_kernel(jan: Call, table: str, tmp_path: Path) -> None:
    done = jan("plugins", "new", table, "--folder", tmp_path / "new")
    assert done.code == 2
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_run(jan: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (Path("/proc/nowhere/deep"), tmp_path / "file" / "new", tmp_path / "new" / ("x" * 300)):
        done = jan("modules", "new", "messages-mine", "--folder", folder)
        assert (done.code, done.out) == (2, "")
        assert f"cause:   {folder} cannot be written: " in done.err
        assert "remedy:  Name another folder with --folder" in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
