from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.testing.elsewhere import Failed, read_elsewhere
from jan_core.testing.wired import EVERYTHING, built_by, one_module, wired

pytestmark = pytest.mark.anyio

THREAD = {"id": "jan-1", "created_at": 5, "object": "thread", "metadata": {}, "tool_resources": None}


async def test_it_answers_what_an_app_like_that_one_does(tmp_path: Path) -> None:
    jan = one_module(tmp_path, "messages", "messages-json")
    how = built_by(jan)
    assert how is not None
    found = await read_elsewhere(how, ["/threads/jan-1/messages", "/threads/none/messages"], [THREAD])
    assert [status for status, _ in found] == [200, 404]
    assert found[0][1]["data"] == []
    assert found[1][1]["error"]["code"] == "thread_not_found"


async def test_an_app_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    how = built_by(one_module(tmp_path, "messages", "messages-memory"))
    assert how is not None
    with pytest.raises(Failed, match="Refusal: asked:   the module 'messages-nowhere'"):
        await read_elsewhere({**how, "module": "messages-nowhere"}, [])


async def test_what_something_else_built_is_not_known(tmp_path: Path) -> None:
    assert built_by(wired(tmp_path, modules=EVERYTHING)) is None
