"""The code of assistants in JavaScript, on a real Node."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import pytest
from jan_code.backend import Code
from jan_code.loaded import BrokenCode
from jan_code.source import find

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout
from jan_core.testing.wired import wired
from tests.clients.environments import node
from tests.doc_examples import REPOSITORY, blocks

from .conftest import BACKENDS, Assistant

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]

ADD = """\
export function add({ a, b = 1 }) {
  return a + b;
}
add.schema = {
  description: "Adds two numbers.",
  parameters: {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "integer", default: 1 } },
    required: ["a"],
    additionalProperties: false,
  },
};
"""


def tool(name: str, body: str) -> str:
    """An exported function without arguments, as a tool."""
    return f"export async function {name}() {{\n{body}\n}}\n{name}.schema = {{ description: 'D.' }};\n"


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Node, the only one on the PATH."""
    found, _ = node()
    monkeypatch.setenv("PATH", os.pathsep.join([str(found.parent), "/usr/bin", "/bin"]))
    return found


@pytest.fixture
def script(assistant: Assistant) -> Assistant:
    """An assistant whose code is to be in JavaScript, in modules."""
    (assistant.index.parent / "package.json").write_text('{"type": "module"}')
    assistant.index = assistant.index.with_name("index.js")
    return assistant


async def test_a_function_is_told_and_called_in_a_process_that_stays(script: Assistant) -> None:
    script.write(ADD + "export const other = () => 1;\n")
    await script.settled()
    (one,) = await script.code.tools("a")
    assert (one.name, one.description, one.parameters["required"]) == ("add", "Adds two numbers.", ["a"])
    pid = script.pid
    assert await script.call("add", '{"a": 1, "b": 2}') == "3"
    assert await script.call("add", '{"a": 1}') == "2"
    assert script.pid == pid
    script.write(ADD.replace("a + b", "a - b"))
    assert await script.call("add", '{"a": 1}') == "0"


async def test_the_example_of_the_documentation(script: Assistant) -> None:
    examples = [one for one in blocks(REPOSITORY / "docs" / "code.md") if one.language == "js"]
    script.write("".join(one.text for one in examples))
    assert await script.code.has_run("a")
    (one,) = await script.code.tools("a")
    assert one.parameters["properties"]["city"]["description"] == "Its English name."
    assert await script.call("population", '{"city": "Hanoi"}') == "8500000"
    assert await script.call("population", '{"city": "Rome"}') == "0"


async def test_what_functions_give_becomes_text(script: Assistant) -> None:
    script.write(
        tool("text", "return 'Hà Nội';")
        + tool("nothing", "")
        + tool("thing", "return { a: [1, null, 'é'], b: 10n, s: new Set([1]), m: new Map([['x', 1]]) };")
        + tool("later", "await new Promise((done) => setTimeout(done, 1)); return 5;")
    )
    assert sorted(await script.names()) == ["later", "nothing", "text", "thing"]
    assert await script.call("text") == "Hà Nội"
    assert await script.call("nothing") == "null"
    assert json.loads(await script.call("thing")) == {"a": [1, None, "é"], "b": "10", "s": [1], "m": {"x": 1}}
    assert [await script.call("later") for _ in range(2)] == ["5", "5"]


async def test_errors_are_told_to_the_model(script: Assistant) -> None:
    script.write(
        ADD
        + tool("fail", "throw new TypeError('not today');")
        + tool("odd", "throw 'a text';")
        + tool("deep", "const f = () => f() + 1; return f();")
        + tool("much", "return 'x'.repeat(2 << 20);")
    )
    assert len(await script.names()) == 5
    assert await script.call("fail") == "error: TypeError: not today (index.js, line 14)"
    assert await script.call("odd") == "error: it threw a text"
    assert (await script.call("deep")).startswith("error: RangeError: Maximum call stack")
    assert await script.call("much") == "error: much gave more than 1048576 bytes"
    assert await script.call("add", '{"a": "x"}') == 'error: a is "x", and must be of the type integer'
    assert await script.call("add", '{"a": 1.5}') == "error: a is 1.5, and must be of the type integer"
    assert await script.call("add", "{}") == "error: the arguments must have a"
    assert await script.call("add", '{"a": 1, "c": 1}') == ('error: the arguments must not have "c"; allowed are a, b')
    assert (await script.call("add", "{")).startswith("error: the arguments are no JSON: ")
    assert await script.call("add", "[]") == "error: the arguments are no JSON object"
    assert await script.call("sub") == "error: there is no function sub"


async def test_arguments_are_held_to_the_schema(script: Assistant) -> None:
    properties = {
        "kind": {"enum": ["apple", "pear"]},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}},
        "at": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
        "any": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "one": {"const": 1},
    }
    parameters = json.dumps({"type": "object", "properties": properties})
    script.write(
        f"export const echo = (given) => given;\necho.schema = {{ description: 'E.', parameters: {parameters} }};\n"
    )
    good = {"kind": "pear", "tags": ["a", None], "at": {"x": 1.5, "y": 2}, "any": None, "one": 1, "more": []}
    assert json.loads(await script.call("echo", json.dumps(good))) == good
    for bad, told in [
        ({"kind": "plum"}, 'kind is "plum", and must be one of ["apple","pear"]'),
        ({"tags": "a"}, 'tags is "a", and must be of the type array'),
        ({"tags": ["a", 1]}, "tags[1] is 1, and must be of the type string or null"),
        ({"at": {}}, "at must have x"),
        ({"at": {"x": True}}, "x is true, and must be of the type number"),
        ({"any": 1}, "any is 1, which is none of the types that it may have"),
        ({"one": 2}, "one is 2, and must be 1"),
    ]:
        assert await script.call("echo", json.dumps(bad)) == f"error: {told}"


async def test_what_cannot_be_a_tool_is_logged(script: Assistant, caplog: pytest.LogCaptureFixture) -> None:
    for name, schema in [("a", "1"), ("b", "{}"), ("c", "{ description: 'C.', parameters: { type: 'array' } }")]:
        script.index.parent.joinpath("more.js").write_text("")
        script.write(f"export function {name}() {{}}\n{name}.schema = {schema};\n" + ADD)
        assert await script.names() == ["add"]
    assert "a is not offered as a tool: its schema is no object." in caplog.text
    assert "b is not offered as a tool: its schema has no `description`" in caplog.text
    assert "c is not offered as a tool: the `parameters` of its schema are no JSON schema" in caplog.text


async def test_files_without_export(script: Assistant) -> None:
    (script.index.parent / "package.json").unlink()
    (script.index.parent / "other.cjs").write_text("exports.VALUE = 5;\n")
    script.write(
        "const { VALUE } = require('./other.cjs');\n"
        "const made = { value: () => VALUE };\nmade.value.schema = { description: 'V.' };\nmodule.exports = made;\n"
    )
    assert await script.names() == ["value"]
    assert await script.call("value") == "5"
    (script.index.parent / "other.cjs").write_text("exports.VALUE = 66;\n")
    assert await script.call("value") == "66"


async def test_broken_code_is_told_with_file_and_line_and_can_be_mended(script: Assistant) -> None:
    for text, line, told in [
        ("\nconst y = nothing;\n", ":2", "ReferenceError: nothing is not defined"),
        ("export const x = 1;\n\nexport function f(: {\n", ":3", "SyntaxError: Unexpected token ':'"),
        ("import 'not-there-at-all';\n", "", "Error: Cannot find package 'not-there-at-all'"),
    ]:
        script.write(text)
        with pytest.raises(BrokenCode) as error:
            await script.code.tools("a")
        assert f"{script.index}{line}: {told}" in error.value.message
    assert "`jan assistants install a` installs what its package.json names" in error.value.message
    script.write(ADD)
    assert await script.names() == ["add"]


async def test_packages_of_its_own(script: Assistant) -> None:
    package = script.index.parent / "node_modules" / "fruit"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "fruit", "version": "1.0.0", "main": "fruit.js"}')
    (package / "fruit.js").write_text("exports.KIND = 'peach';\n")
    script.write("import { KIND } from 'fruit';\n" + tool("kind", "return KIND;"))
    assert await script.call("kind") == "peach"


async def test_what_is_printed_goes_to_the_log(script: Assistant, caplog: pytest.LogCaptureFixture) -> None:
    script.write(
        "import { writeSync } from 'node:fs';\n"
        + tool("talk", "console.log('hello'); console.error('to stderr'); writeSync(1, 'raw\\n'); return 'said';")
    )
    with caplog.at_level(logging.INFO, "jan"):
        assert await script.call("talk") == "said"
        async with asyncio.timeout(10):
            while caplog.text.count("printed:") < 3:
                await asyncio.sleep(0.01)
    printed = {one.getMessage() for one in caplog.records if "printed" in one.getMessage()}
    assert {f"assistant a printed: {text}" for text in ("hello", "to stderr", "raw")} <= printed


@pytest.mark.parametrize("assistant", [{"call_seconds": 3.0, "memory_mib": 128}], indirect=True)
async def test_hangs_ends_and_floods_cost_their_call(script: Assistant) -> None:
    script.write(
        ADD
        + tool("hang", "for (;;);")
        + tool("wait", "await new Promise(() => {}); ")
        + tool("leave", "process.exit(3);")
        + tool("reject", "Promise.reject(new Error('nobody looks')); await new Promise((d) => setTimeout(d, 500));")
        + tool("eat", "const a = []; for (;;) a.push(new Array(1000).fill(a.length));")
        + tool("fill", "const a = []; for (;;) a.push(Buffer.alloc(1 << 22, 1));")
        + tool("forge", "(await import('node:fs')).writeSync(4, 'jan1nonsense'); return 1;")
    )
    assert len(await script.names()) == 8
    for name, told in [
        ("hang", "it took longer than 3 s"),
        ("wait", "it took longer than 3 s"),
        ("leave", "it ended by itself (exit code 3)"),
        ("reject", "it ended by itself (exit code 1)"),
        ("eat", "it ended by itself"),
        ("fill", "error: "),
        ("forge", "it wrote"),
    ]:
        assert told in await script.call(name)
        assert await script.call("add", '{"a": 1}') == "2"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="walls are for Linux only")
async def test_what_it_can_reach(
    script: Assistant, walls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    (tmp_path / "near").write_text("secret")
    (script.folder / "threads").mkdir()
    (script.folder / "threads" / "said").write_text("secret")
    script.write(
        "import { readFileSync, writeFileSync, readdirSync } from 'node:fs';\nimport { connect } from 'node:net';\n"
        + "function tried(work) { try { return String(work()); } catch (error) { return error.code; } }\n"
        + tool(
            "look",
            f"return [Object.keys(process.env).sort(), tried(() => readFileSync('{tmp_path}/near')),"
            f" tried(() => readdirSync('{script.folder}/threads')), tried(() => writeFileSync('{script.index}', '')),"
            " tried(() => writeFileSync('/tmp/own', 'x')), process.cwd(), tried(() => readFileSync('/etc/passwd'))];",
        )
        + tool(
            "call",
            "return await new Promise((done) => connect(53, '1.1.1.1').on('error', (error) => done(error.code)));",
        )
    )
    variables, near, threads, index, own, folder, passwords = json.loads(await script.call("look"))
    assert "OPENAI_API_KEY" not in variables
    if not walls:
        assert near == "secret"
        return
    assert set(variables) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONUTF8", "PWD"}
    assert (near, threads, index, passwords) == ("ENOENT", "ENOENT", "EROFS", "ENOENT")
    assert (own, folder) == ("undefined", "/tmp")
    assert await script.call("call") == "ENETUNREACH"


async def test_it_ends_with_the_server(tmp_path: Path) -> None:
    jan = wired(tmp_path, {}, backends=BACKENDS)
    code = jan.backend(Code)
    code._tried = True
    async with jan:
        script = Assistant(tmp_path, code)
        (script.index.parent / "package.json").write_text('{"type": "module"}')
        script.index = script.index.with_name("index.js")
        script.write(tool("hang", "for (;;);") + ADD)
        await script.settled()
        assert await script.call("add", '{"a": 1}') == "2"
        pid = script.pid
        task = asyncio.create_task(script.call("hang"))
        await asyncio.sleep(0.1)
        process = code._running["a"].process
        assert process is not None
        assert process._transport is not None
        pipe = process._transport.get_pipe_transport(0)
        assert pipe is not None
        pipe.close()  # as the system does when the server is killed
        assert "killed by SIGKILL" in await task
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_without_node_or_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = tmp_path / "assistants" / "a" / "src"
    src.mkdir(parents=True)
    (src / "index.js").write_text(ADD)
    source = find(Layout(tmp_path), "a")
    assert source is not None
    assert source.node is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InvalidRequest, match=r"Node, which would run it, is not on the PATH.*Install Node\.js"
    ) as error:
        find(Layout(tmp_path), "a")
    assert error.value.code == "no_node"
    (src / "index.py").write_text("")
    with pytest.raises(InvalidRequest, match=r"both an index\.py and an index\.js\. Keep one") as error:
        find(Layout(tmp_path), "a")
    assert error.value.code == "two_indexes"
