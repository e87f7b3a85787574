from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound, NotSupported
from jan_core.schemas.completions import CompletionRequest
from tests.models.tiny_gpt2 import TALE

pytestmark = pytest.mark.anyio
CHOSEN: dict[str, Any] = {"chat": [], "runs": [], "completions": "completions-ctransformers", "embeddings": []}


@pytest.fixture
async def jan(tmp_path: Path, tiny_gpt2: Path) -> AsyncIterator[Jan]:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "gpt2.bin").symlink_to(tiny_gpt2)
    async with open_jan(tmp_path, endpoints=CHOSEN, jan_ctransformers={"threads": 1}) as found:
        yield found


def body(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "tiny", "prompt": "go", "max_tokens": 50, **fields})


async def test_texts_and_tokens(jan: Jan) -> None:
    reply = await jan.completions.create(body(prompt=["go", "User: go\nAssistant:"], n=2))
    assert [(choice.index, choice.text) for choice in reply.choices] == [(n, f" {TALE}") for n in range(4)]
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 56)
    reply = await jan.completions.create(body(prompt=[[256], [256]], echo=True, stop="€"))
    assert [choice.text for choice in reply.choices] == ["go One café for 5"] * 2
    assert await jan.completions.count_tokens(body(prompt=["go", "go go"])) == 3


async def test_sixteen_tokens_unless_told(jan: Jan) -> None:
    reply = await jan.completions.create(body(prompt="tick", max_tokens=None))
    assert reply.usage is not None
    assert (reply.usage.completion_tokens, reply.choices[0].finish_reason) == (16, "length")


async def test_nothing_but_the_prompt(jan: Jan) -> None:
    reply = await jan.completions.create(body(max_tokens=0, echo=True))
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == ("go", "length")


async def test_an_empty_prompt(jan: Jan) -> None:
    for prompt in ("", None):
        reply = await jan.completions.create(body(prompt=prompt, max_tokens=1))
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == 1


async def test_requests_that_cannot_be_answered(jan: Jan) -> None:
    with pytest.raises(ModelNotFound):
        await jan.completions.create(body(model="nothing"))
    with pytest.raises(ContextLengthExceeded, match="256 tokens") as refused:
        await jan.completions.create(body(prompt="go " * 500))
    assert refused.value.param == "prompt"
    with pytest.raises(InvalidRequest, match="0 to 275"):
        await jan.completions.create(body(prompt=[276]))
    with pytest.raises(InvalidRequest, match="zero character"):
        await jan.completions.create(body(prompt="a\0b"))
    with pytest.raises(NotSupported, match="suffix"):
        await jan.completions.create(body(suffix="x"))
