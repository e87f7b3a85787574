from __future__ import annotations

from typing import Any

import pytest

from jan_core import call
from jan_core.call import Call
from jan_core.errors import Busy, EngineError, InvalidRequest, NotSupported
from jan_core.schemas.completions import CompletionRequest
from jan_core.testing.scripted_completions import ScriptedCompletions

pytestmark = pytest.mark.anyio


def body(prompt: Any, **fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "scripted", "prompt": prompt, **fields})


async def test_scripts_and_plain_texts_are_said() -> None:
    script = '{"say": ["Hel", "lo"], "finish": "length", "prompt_tokens": 7}'
    reply = await ScriptedCompletions().create(body([script, "to be"], n=2))
    assert [(one.text, one.finish_reason) for one in reply.choices] == [("Hello", "length")] * 2 + [
        ("to be ", "stop")
    ] * 2
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (8, 8)
    assert (await ScriptedCompletions().create(body([[1, 2], [3]]))).choices[0].text == "1 2 "


async def test_it_tells_the_call_its_tokens() -> None:
    context = Call("req_1")
    call.enter(context)
    await ScriptedCompletions().create(body("a b c"))
    assert (context.prompt_tokens, context.completion_tokens) == (1, 3)


@pytest.mark.parametrize(("code", "kind"), [("queue_full", Busy), ("engine_error", EngineError), ("x", RuntimeError)])
async def test_it_fails_when_told(code: str, kind: type[Exception]) -> None:
    completions = ScriptedCompletions()
    for after in (0, 1, 2):
        with pytest.raises(kind):
            await completions.create(body(f'{{"say": ["a", "b"], "fail": "{code}", "fail_after": {after}}}'))
    assert completions.open == 0


async def test_a_hanging_one_ends_when_closed() -> None:
    completions = ScriptedCompletions()
    events: Any = completions.create_stream(body('{"say": ["a"], "hang": true, "rate": 1000}'))
    assert (await anext(events)).choices[0].text == "a"
    assert completions.open == 1
    await events.aclose()
    assert completions.open == 0


async def test_what_it_does_not_do_is_refused() -> None:
    for more in ({"suffix": "x"}, {"logprobs": 0}):
        with pytest.raises(NotSupported) as caught:
            await ScriptedCompletions().create(body("a", **more))
        assert caught.value.param in more
    with pytest.raises(InvalidRequest, match="script"):
        await ScriptedCompletions().create(body('{"sya": []}'))
