from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.testing.memory_assistants import SETTINGS, AssistantsInMemory, provide_assistants
from jan_core.testing.wired import CONVERSATIONS, wired
from tests.conversations import changed_assistant

pytestmark = pytest.mark.anyio


async def test_apps_on_one_root_share_the_assistants(tmp_path: Path) -> None:
    async with wired(tmp_path / "a", modules=CONVERSATIONS) as jan:
        made = provide_assistants(settings=None, jan=jan)
        assert isinstance(made, AssistantsInMemory)
        await jan.assistants.update("jan", changed_assistant(name="Joan"))
        assert (await made.retrieve("jan")).name == "Joan"
    async with wired(tmp_path / "b", modules=CONVERSATIONS) as other:
        assert (await other.assistants.retrieve("jan")).name == "Jan"


async def test_without_models_an_assistant_without_one_has_none(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        assert (await jan.assistants.retrieve("jan")).model == ""
        (layer,) = await jan.assistants.layers("jan")
        assert layer.values == {}
        await jan.assistants.update("jan", changed_assistant(model="m", temperature=0))
        (layer,) = await jan.assistants.layers("jan")
        assert layer.values == {"model": "m", "temperature": 0}
        assert set(layer.values) < set(SETTINGS)
