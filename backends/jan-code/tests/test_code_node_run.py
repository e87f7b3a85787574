"""Own runs of assistants in JavaScript, on a real Node."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from jan_code.conversation import Begins, Said, Stepped, Used
from jan_code.frames import AT_ONCE
from jan_code.loaded import BrokenCode, RunFailed

from tests.clients.environments import node

from .conftest import Assistant

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]
BEGIN = "export async function* run(context) {\n"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts Node on the PATH; returns a folder of packages."""
    found, folder = node()
    monkeypatch.setenv("PATH", os.pathsep.join([str(found.parent), "/usr/bin", "/bin"]))
    return folder / "node_modules"


@pytest.fixture
def script(modules: Path, assistant: Assistant) -> Assistant:
    """An assistant whose code is to be in JavaScript, in modules."""
    (assistant.index.parent / "package.json").write_text('{"type": "module"}')
    assistant.index = assistant.index.with_name("index.js")
    return assistant


def context(*said: str, **more: Any) -> dict[str, Any]:
    """What a run gets; the last text is the script of the engine."""
    messages = [{"role": "user", "content": one} for one in said or ("hello there",)]
    request = {"model": "scripted", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    return {"thread": {"id": "t"}, "assistant": {"id": "a"}, "run": {}, "messages": [], "request": request, **more}


async def told(script: Assistant, given: dict[str, Any] | None = None) -> list[Any]:
    """What a run said and did; pieces that follow each other are joined."""
    found: list[Any] = []
    async with aclosing(script.code.run("a", given or context())) as events:
        assert await anext(events) == Begins()
        async for one in events:
            if isinstance(one, Said) and found and isinstance(found[-1], Said):
                one = Said(found.pop().text + one.text)
            if one != Said(""):
                found.append(one)
    return found


async def test_texts_and_steps_come_in_their_order(script: Assistant) -> None:
    script.write(
        "export const add = ({ a }) => a + 1;\nadd.schema = { description: 'A.' };\n"
        + BEGIN
        + """
  yield "Hà ";
  yield context.step("add", { a: 1 }, add({ a: 1 }));
  yield "";
  yield "Nội";
  context.step("look", "as it is", { x: [1] });
  yield context.thread.id + context.assistant.id;
}
"""
    )
    await script.settled()
    assert await script.code.has_run("a")
    assert await script.names() == ["add"]
    expected = [
        Said("Hà "),
        Stepped("add", '{"a":1}', "2"),
        Said("Nội"),
        Stepped("look", "as it is", '{"x":[1]}'),
        Said("ta"),
    ]
    assert [await told(script) for _ in range(2)] == [expected, expected]
    script.write("export async function run() { return 'all of it'; }\n")
    assert await told(script) == [Said("all of it")]


async def test_the_model_is_asked(script: Assistant) -> None:
    script.write(BEGIN + "  for await (const one of context.ask()) yield one.toUpperCase();\n}\n")
    assert await told(script) == [Used(2, 2), Said("HELLO THERE ")]
    script.write(
        BEGIN
        + """
  yield* context.ask("Be short.", { max_completion_tokens: 2 });
  yield* context.ask("", { messages: [{ role: "user", content: "another thing" }] });
}
"""
    )
    assert "".join(one.text for one in await told(script) if isinstance(one, Said)) == "hello there another thing "


async def test_requests_of_its_own(script: Assistant) -> None:
    script.write(
        BEGIN
        + """
  const reply = await context.fetch("/v1/models?limit=5");
  yield `${reply.status} ${reply.headers.get("content-type")} ${(await reply.json()).object} `;
  const many = Array.from({ length: MANY }, () => context.fetch("/v1/models").then((one) => one.text()));
  yield String(new Set(await Promise.all(many)).size);
  try {
    await context.fetch("/v1/chat/completions", { method: "POST", body: "x".repeat(2 << 20) });
  } catch (error) {
    yield ` ${error.message}`;
  }
}
""".replace("MANY", str(3 * AT_ONCE))
    )
    assert await told(script) == [
        Said("200 application/json list 1 the request has 2097152 bytes, and 1048576 are the most")
    ]


async def test_one_that_is_left_ends(script: Assistant) -> None:
    endless = json.dumps({"say": ["a"], "hang": True})
    script.write(
        BEGIN
        + """
  for await (const one of context.ask()) {
    yield one;
    break;
  }
  const stop = new AbortController();
  const body = JSON.stringify({ ...context.request, stream: true });
  const headers = { "content-type": "application/json" };
  const reply = await context.fetch("/v1/chat/completions", { method: "POST", headers, body, signal: stop.signal });
  setTimeout(() => stop.abort(), 50);
  try {
    await reply.text();
  } catch (error) {
    yield error.name;
  }
}
"""
    )
    async with asyncio.timeout(60):
        said = [one for one in await told(script, context(endless)) if isinstance(one, Said)]
    assert said == [Said("aAbortError")]


async def test_the_official_client(script: Assistant, modules: Path) -> None:
    script.write(
        BEGIN
        + """
  const client = await context.client();
  const asked = { model: "scripted", messages: [{ role: "user", content: "hello there" }] };
  yield* await client.chat.completions.create({ ...asked, stream: true });
  yield (await client.chat.completions.create(asked)).choices[0].message.content;
  try {
    await client.chat.completions.create({ ...asked, model: "none" });
  } catch (error) {
    yield String(error.status);
  }
}
"""
    )
    with pytest.raises(RunFailed, match=r"name `openai` in the assistant's package\.json"):
        await told(script)
    shutil.copytree(modules / "openai", script.index.parent / "node_modules" / "openai")
    script.write(script.index.read_text() + "\n")
    said = [one.text for one in await told(script) if isinstance(one, Said)]
    assert "".join(said) == "hello there hello there 404"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("throw new TypeError('not today');", "TypeError: not today ({index}, line 2)"),
        ("yield 1;", "Error: run yielded 1; it may yield texts"),
        ("context.step('a b', 1, 2);", "a step is called"),
        ("yield 'x'.repeat(2 << 20);", "it gave more than 1048576 bytes"),
        ("yield* context.ask('', { model: 'none' });", "There is no model 'none'"),
        ("process.exit(3);", "it ended by itself (exit code 3)"),
        ("yield { event: 'thread.run.failed', data: { id: 'r', status: 'failed' } };", "the run r, whose events"),
    ],
)
async def test_what_goes_wrong_is_told(script: Assistant, body: str, why: str) -> None:
    script.write(BEGIN + "  " + body + "\n}\n")
    with pytest.raises(RunFailed) as error:
        await told(script)
    assert why.format(index=script.index) in error.value.message


async def test_events_of_a_run_are_passed_on(script: Assistant) -> None:
    events = [
        {"event": "thread.run.created", "data": {}},
        {
            "event": "thread.message.delta",
            "data": {"delta": {"content": [{"type": "text", "text": {"value": "said"}}]}},
        },
        {
            "event": "thread.run.step.completed",
            "data": {
                "type": "tool_calls",
                "step_details": {
                    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}", "output": "o"}}]
                },
            },
        },
        {"event": "done", "data": "[DONE]"},
    ]
    script.write(BEGIN + f"  yield* {json.dumps(events)};\n}}\n")
    assert await told(script) == [Said("said"), Stepped("f", "{}", "o")]


async def test_broken_code_has_no_run(script: Assistant) -> None:
    script.write("export async function* run(context) {\n")
    with pytest.raises(BrokenCode, match="SyntaxError"):
        await script.code.has_run("a")
