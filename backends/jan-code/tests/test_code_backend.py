"""The code of assistants, in real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from jan_code import source
from jan_code.backend import BrokenCode, Code

from jan_core.errors import InvalidRequest
from jan_core.testing.wired import wired

from .conftest import BACKENDS, Assistant

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]

ADD = '''
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b
'''
QUICK = pytest.mark.parametrize("assistant", [{"call_seconds": 2.0}], indirect=True)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while alive(pid):
            await asyncio.sleep(0.01)


class TestCalls:
    async def test_a_function_is_told_and_called_in_a_process_that_stays(self, assistant: Assistant) -> None:
        assistant.write(ADD)
        await assistant.settled()
        (tool,) = await assistant.code.tools("a")
        assert (tool.name, tool.description) == ("add", "Adds two numbers.")
        assert tool.parameters["required"] == ["a"]
        pid = assistant.pid
        assert await assistant.call("add", '{"a": 1, "b": 2}') == "3"
        assert await assistant.call("add", '{"a": 1}') == "2"
        assert assistant.pid == pid

    async def test_what_functions_give_becomes_text(self, assistant: Assistant) -> None:
        assistant.write('''
from dataclasses import dataclass
import asyncio, enum
class E(enum.Enum):
    A = 1
@dataclass
class P:
    x: int
def text() -> str:
    """T."""
    return "Hà Nội"
def nothing() -> None:
    """N."""
def thing() -> dict:
    """D."""
    return {"a": [1, None, "é"], "p": P(1), "e": E.A, "s": {1}}
async def later(x: int) -> int:
    """L."""
    await asyncio.sleep(0)
    return x
''')
        assert await assistant.names() == ["text", "nothing", "thing", "later"]
        assert await assistant.call("text") == "Hà Nội"
        assert await assistant.call("nothing") == "null"
        assert json.loads(await assistant.call("thing")) == {"a": [1, None, "é"], "p": {"x": 1}, "e": 1, "s": [1]}
        assert [await assistant.call("later", '{"x": 5}') for _ in range(2)] == ["5", "5"]

    async def test_half_a_character_is_told_as_a_question_mark(self, assistant: Assistant) -> None:
        assistant.write('def half() -> str:\n    """H."""\n    return "a\\ud800b"\n')
        assert await assistant.call("half", "{}") == "a?b"

    async def test_errors_are_told_to_the_model(self, assistant: Assistant) -> None:
        assistant.write(
            ADD
            + '''
def fail() -> None:
    """F."""
    raise ValueError("not today")
def leave() -> None:
    """X."""
    raise SystemExit(3)
def deep(n: int = 0) -> int:
    """R."""
    return deep(n + 1)
'''
        )
        await assistant.settled()
        assert await assistant.names() == ["add", "fail", "leave", "deep"]
        pid = assistant.pid
        assert await assistant.call("fail") == "error: ValueError: not today (index.py, line 8)"
        assert await assistant.call("leave") == "error: SystemExit: 3 (index.py, line 11)"
        assert (await assistant.call("deep")).startswith("error: RecursionError")
        assert await assistant.call("add", '{"a": "x"}') == 'error: a is "x", and must be of the type integer'
        assert await assistant.call("add", "{") == (
            "error: the arguments are no JSON: Expecting property name enclosed in double quotes: line 1 column 2 "
            "(char 1)"
        )
        assert await assistant.call("sub") == "error: there is no function sub"
        assert assistant.pid == pid

    async def test_calls_at_once_wait_for_each_other(self, assistant: Assistant) -> None:
        assistant.write(ADD)
        found = await asyncio.gather(*(assistant.call("add", json.dumps({"a": one})) for one in range(10)))
        assert found == [str(one + 1) for one in range(10)]

    async def test_what_is_printed_goes_to_the_log(
        self, assistant: Assistant, caplog: pytest.LogCaptureFixture
    ) -> None:
        assistant.write('''
import os, sys
def talk() -> str:
    """T."""
    print("hello\\x1b[31m")
    print("to stderr", file=sys.stderr)
    os.write(1, b"raw\\n")
    for n in range(300):
        print("x" * 1000)
    return "said"
''')
        with caplog.at_level(logging.INFO, "jan"):
            assert await assistant.call("talk") == "said"
            async with asyncio.timeout(10):
                while "the others are left out" not in caplog.text:
                    await asyncio.sleep(0.01)
        printed = [one.getMessage() for one in caplog.records if "printed" in one.getMessage()]
        assert printed[0] == "assistant a printed: hello\N{REPLACEMENT CHARACTER}[31m"
        assert {"assistant a printed: to stderr", "assistant a printed: raw"} <= set(printed)
        assert len(printed) == 101
        assert max(map(len, printed)) < 600

    async def test_a_call_that_goes_on_keeps_nobody_from_the_tools(self, assistant: Assistant) -> None:
        assistant.write(ADD + '\ndef hang() -> None:\n    """H."""\n    while True: pass\n')
        await assistant.settled()
        assert await assistant.names() == ["add", "hang"]
        task = asyncio.create_task(assistant.call("hang"))
        await asyncio.sleep(0)
        assert await assistant.names() == ["add", "hang"]
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})

    async def test_code_that_answers_in_the_place_of_its_process(self, assistant: Assistant) -> None:
        assistant.write(
            """
import os, json
text = json.dumps({"tools": [{"name": "a b", "description": "", "parameters": {}}], "told": []}).encode()
for n in range(3, 20):
    try: os.write(n, b"jan1" + len(text).to_bytes(4, "big") + text)
    except OSError: pass
"""
        )
        with pytest.raises(BrokenCode, match="wrote into the server's channel"):
            await assistant.code.tools("a")


class TestChanges:
    async def test_an_edit_is_in_the_next_call(self, assistant: Assistant) -> None:
        assistant.write(ADD)
        assert await assistant.call("add", '{"a": 1}') == "2"
        assistant.write(ADD.replace("a + b", "a - b").replace("def add", "def sub"))
        assert await assistant.names() == ["sub"]
        assert await assistant.call("sub", '{"a": 1}') == "0"

    async def test_so_is_one_of_a_file_beside_it(self, assistant: Assistant) -> None:
        other = assistant.index.parent / "other.py"
        other.write_text("VALUE = 1\n")
        assistant.write('import other\ndef value() -> int:\n    """V."""\n    return other.VALUE\n')
        assert await assistant.call("value") == "1"
        other.write_text("VALUE = 22\n")
        assert await assistant.call("value") == "22"

    async def test_broken_code_is_told_with_file_and_line_and_can_be_mended(self, assistant: Assistant) -> None:
        for text, line, told in [
            ("x = 1\ny = nothing\n", 2, "NameError: name 'nothing' is not defined"),
            ("x = 1\n\ndef f(:\n", 3, "SyntaxError: invalid syntax"),
            ("raise SystemExit\n", 1, "SystemExit"),
            ("\nimport not_there_at_all\n", 2, "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ]:
            assistant.write(text)
            with pytest.raises(BrokenCode) as error:
                await assistant.code.tools("a")
            assert f"{assistant.index}:{line}: {told}" in error.value.message
        assert "jan assistants install a" in error.value.message
        assistant.write(ADD)
        assert await assistant.names() == ["add"]

    async def test_code_that_ends_or_hangs_while_it_is_loaded(self, tmp_path: Path, walls: bool) -> None:
        jan = wired(tmp_path, {"jan-code": {"load_seconds": 3.0}}, backends=BACKENDS)
        code = jan.backend(Code)
        code._tried = not walls
        async with jan:
            assistant = Assistant(tmp_path, code)
            assistant.write("import os\nos._exit(3)\n")
            with pytest.raises(BrokenCode, match="it ended by itself .exit code 3"):
                await code.tools("a")
            assistant.write("while True: pass\n")
            with pytest.raises(BrokenCode, match="longer than 3 s"):
                await code.tools("a")

    async def test_packages_of_its_own_environment(self, assistant: Assistant) -> None:
        assistant.write('import mine\ndef value() -> str:\n    """V."""\n    return mine.VALUE\n')
        with pytest.raises(BrokenCode, match="No module named 'mine'"):
            await assistant.code.tools("a")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = assistant.folder / ".venv" / "lib" / version / "site-packages"
        packages.mkdir(parents=True)
        (packages / "mine.py").write_text("VALUE = 'installed'\n")
        assert await assistant.call("value") == "installed"
        packages.rename(packages.parent / "gone")
        with pytest.raises(InvalidRequest, match="is no environment of python") as error:
            await assistant.code.tools("a")
        assert error.value.code == "other_python"

    async def test_what_is_not_known_to_be_small_is_looked_at_beside_the_event_loop(
        self, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[bool] = []

        def listed(*arguments: Any) -> Any:
            looked.append(threading.get_ident() == here)
            return really(*arguments)

        here, really = threading.get_ident(), source._listed
        monkeypatch.setattr(source, "_listed", listed)
        assistant.write(ADD)
        for _ in range(2):
            await assistant.names()
        assert looked == [False, True]
        for number in range(source.FEW):
            (assistant.folder / "src" / f"more{number}.py").write_text("")
        for _ in range(2):
            await assistant.call("add", '{"a": 1}')
        assert looked[2:] == [True, False]

    async def test_no_code_no_tools(self, assistant: Assistant) -> None:
        assert await assistant.code.tools("a") == ()
        assert await assistant.code.tools("nobody") == ()
        assert await assistant.code.has("nobody") == (False, ())
        assert not await assistant.code.has_code("a")
        with pytest.raises(BrokenCode, match="has no code"):
            await assistant.call("add")

    @pytest.mark.parametrize("assistant", [{"enabled": False}], indirect=True)
    async def test_switched_off(self, assistant: Assistant) -> None:
        assistant.write(ADD)
        assert await assistant.code.tools("a") == ()
        assert not assistant.code._running

    async def test_what_cannot_be_a_tool_is_logged(
        self, assistant: Assistant, caplog: pytest.LogCaptureFixture
    ) -> None:
        assistant.write(ADD + "\ndef help(x):\n    pass\n")
        assert await assistant.names() == ["add"]
        assert f"{assistant.index}, line 6: help is not offered as a tool: it has no docstring" in caplog.text

    async def test_links_out_of_the_folder_are_refused(self, assistant: Assistant, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere.py"
        elsewhere.write_text(ADD)
        assistant.index.symlink_to(elsewhere)
        with pytest.raises(InvalidRequest, match="leads out of") as error:
            await assistant.code.tools("a")
        assert error.value.code == "outside_root"

    @pytest.mark.parametrize("assistant", [{"idle_seconds": 0.1}], indirect=True)
    async def test_an_idle_process_ends_and_its_tools_stay_known(self, assistant: Assistant) -> None:
        assistant.write(ADD)
        await assistant.settled()
        assert await assistant.names() == ["add"]
        pid = assistant.pid
        await gone(pid)
        assert await assistant.names() == ["add"]
        assert assistant.code._running["a"].process is None
        assert await assistant.call("add", '{"a": 1}') == "2"
