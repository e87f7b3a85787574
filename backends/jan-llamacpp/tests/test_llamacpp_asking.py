from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_llamacpp.asking import Asking
from jan_llamacpp.parameters import EMBEDDINGS

from jan_core.errors import EngineError, InvalidRequest, NotSupported
from jan_core.schemas.models import ModelLocation

pytestmark = pytest.mark.anyio


async def test_a_model_tells_what_it_is_and_its_tokens(
    engine: Callable[..., LlamaCpp], location: Callable[..., ModelLocation]
) -> None:
    backend = engine()
    async with backend.workers:
        asking = Asking(backend, location())
        assert (asking.context, asking.slots) == (512, 2)
        described = await asking.described()
        assert described["vocabulary"] == 49152
        assert await asking.described() is described
        assert await Asking(backend, location()).described() is described, "it is asked once while it is loaded"
        assert await asking.text(await asking.tokens("Hello wörld")) == "Hello wörld"
        assert len(await asking.tokens("<|im_end|>")) == 1 < len(await asking.tokens("<|im_end|>", special=False))
        with pytest.raises(EngineError) as caught:
            await asking.once("dance", {})
        assert caught.value.code == "unknown_task"


async def test_a_refusal_of_the_engine_is_an_error(
    engine: Callable[..., LlamaCpp], location: Callable[..., ModelLocation]
) -> None:
    backend = engine()
    async with backend.workers:
        asking = Asking(backend, location(), EMBEDDINGS)
        with pytest.raises(InvalidRequest):
            await asking.once("embedding", {"input": ""})
        assert (await asking.once("embedding", {"input": "a"}))["data"]


async def test_a_model_of_another_kind_is_refused(
    engine: Callable[..., LlamaCpp], location: Callable[..., ModelLocation]
) -> None:
    backend = engine()

    class Models:
        async def locate(self, model: str) -> ModelLocation:
            return location(engine=model)

    class App:
        models = Models()

    app: Any = App()
    with pytest.raises(InvalidRequest, match="'other'"):
        await Asking.locate(app, backend, "other")
    assert (await Asking.locate(app, backend, "llamacpp")).context == 512
    with pytest.raises(NotSupported):
        Asking(backend, location(revision="2", settings={"embedding": True}))
