from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from jan_runs.tools import Toolbox

from jan_core.schemas.tools import AssistantFunctionTool

from .conftest import FUNCTION

TOOL = AssistantFunctionTool.model_validate(FUNCTION)


def test_a_toolbox_says_what_it_has_and_carries_it_out() -> None:
    with pytest.raises(TypeError, match="call.*tools"):
        Toolbox()  # type: ignore[abstract]


class Box(Toolbox):
    async def tools(self, assistant_id: str) -> Sequence[AssistantFunctionTool]:
        return [TOOL]

    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        return ""


class WithRun(Box):
    async def has_run(self, assistant_id: str) -> bool:
        return True


@pytest.mark.anyio
@pytest.mark.parametrize(("box", "own_run"), [(Box(), False), (WithRun(), True)])
async def test_what_it_has_is_told_at_once(box: Any, own_run: bool) -> None:
    assert await box.has("a") == (own_run, [TOOL])
