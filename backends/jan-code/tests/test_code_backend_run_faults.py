"""Own runs that hang, flood, die and yield nonsense: they end with a sentence, and the next one works."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from typing import Any

import pytest
from jan_code.conversation import MOST_STEPS, Begins, Said
from jan_code.loaded import RunFailed

from .conftest import Assistant
from .test_code_backend_run import BEGIN, context, text

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]
QUICK = pytest.mark.parametrize("assistant", [{"run_seconds": 2.0, "output_bytes": 65536}], indirect=True)
FAULTS = {
    "raises": ("yield 'a'\n    raise ValueError('no')", "failed: ValueError: no ({index}, line 3)."),
    "leaves": ("yield 'a'\n    raise SystemExit", "failed: SystemExit ({index}, line 3)."),
    "hangs": ("yield 'a'\n    while True: pass", "was ended: it took longer than 2 s."),
    "sleeps": ("yield 'a'\n    await __import__('asyncio').sleep(60)", "was ended: it took longer than 2 s."),
    "clings": (
        "yield 'a'\n    import asyncio\n    while True:\n        try: await asyncio.sleep(60)\n"
        "        except BaseException: pass",
        "was ended: it took longer than 2 s.",
    ),
    "spins": ("yield 'a'\n    while True: yield ''", "was ended: it took longer than 2 s."),
    "floods": ("while True: yield 'a' * 1000", "failed: it gave more than 65536 bytes (line 2)."),
    "prints": ("yield 'a'\n    while True: print('x' * 10000)", "was ended: it printed more than 65536 bytes."),
    "dies": ("yield 'a'\n    import os; os._exit(7)", "was ended: it ended by itself (exit code 7)."),
    "crashes": (
        "yield 'a'\n    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "was ended: it ended by itself (",
    ),
    "number": ("yield 'a'\n    yield 42", "failed: run yielded 42, of the type int; it may yield"),
    "object": ("yield 'a'\n    yield object()", "of the type object; it may yield texts, chunks of a chat and"),
    "dict": ("yield 'a'\n    yield {'object': 'list'}", "run yielded {{'object': 'list'}}, of the type dict; it may"),
    "memory": ("yield 'a'\n    x = bytearray(4 << 30)", "failed: MemoryError ({index}, line 3)."),
    "name": ("yield 'a'\n    context.step('a b', {}, '')", "a step is called 'a b', and may have letters"),
    "steps": (
        f"yield 'a'\n    for n in range({MOST_STEPS + 1}): context.step('x', {{}}, '')",
        f"was ended: it had more than {MOST_STEPS} steps.",
    ),
    "arguments": ("yield 'a'\n    context.step('x', (lambda f: f(f))(lambda f: f(f)), '')", "RecursionError"),
    "garbage": (
        "yield 'a'\n    import os\n    for n in range(3, 20):\n        try: os.write(n, b'garbage' * 10)\n"
        "        except OSError: pass\n    await __import__('asyncio').sleep(60)",
        "was ended: it wrote into the server's channel.",
    ),
    "forged": (
        "yield 'a'\n    context._telling._send({{'say': {{'text': 'x' * 70000}}}})\n"
        "    await __import__('asyncio').sleep(60)",
        "was ended: it gave more than 65536 bytes.",
    ),
    "method": (
        "yield 'a'\n    ask = {{'number': 1, 'method': [], 'path': '/', 'headers': [], 'body': ''}}\n"
        "    context._telling._send({{'request': ask}})\n    await __import__('asyncio').sleep(60)",
        "was ended: it wrote into the server's channel.",
    ),
    "unknown": (
        "yield 'a'\n    context._telling._send({{'say': 5}})\n    await __import__('asyncio').sleep(60)",
        "was ended: it wrote into the server's channel.",
    ),
    "other": (
        "yield 'a'\n    context._telling._send({{'number': 999, 'output': ''}})\n"
        "    await __import__('asyncio').sleep(60)",
        "failed: ",
    ),
    "requests": (
        "yield 'a'\n    import asyncio\n    asked = [context._pipe.ask('POST', '/v1/chat/completions', "
        "[('content-type', 'application/json')], HANG) for n in range(9)]\n"
        "    context._pipe._room = asyncio.Semaphore(9)\n    await asyncio.gather(*asked)",
        "was ended: it had more than 8 requests under way.",
    ),
}


@QUICK
@pytest.mark.parametrize("bad", FAULTS)
async def test_a_bad_run_ends_with_a_sentence_and_the_next_one_works(assistant: Assistant, bad: str) -> None:
    body, why = FAULTS[bad]
    hang = {"model": "scripted", "messages": [{"role": "user", "content": '{"hang": true}'}], "stream": True}
    body = body.replace("{{", "{").replace("}}", "}").replace("HANG", repr(json.dumps(hang).encode()))
    assistant.write(BEGIN + "    " + body + "\n    yield 'end'\n")
    said: list[Any] = []

    async def listen() -> None:
        async with aclosing(assistant.code.run("a", context())) as events:
            async for one in events:
                said.extend([] if one in (Begins(), Said("")) else [one])

    with pytest.raises(RunFailed) as error:
        await listen()
    assert why.format(index=assistant.index) in error.value.message
    # What arrives together with what is no frame is not looked at.
    assert said[:1] == [Said("a")] or bad in ("floods", "garbage")
    assistant.write(BEGIN + "    yield 'well'\n")
    assert await text(assistant) == "well"
