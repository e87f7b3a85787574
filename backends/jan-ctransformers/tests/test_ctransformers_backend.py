from __future__ import annotations

from collections.abc import Callable

import pytest
from jan_ctransformers import CTransformers
from jan_ctransformers.sampling import Parameters

from jan_core.schemas.models import ModelLocation

pytestmark = pytest.mark.anyio


async def test_it_tells_why_a_file_does_not_load(engine: CTransformers) -> None:
    lines = ["something", "gpt2_model_load: invalid model file 'a.bin' (bad magic)", "Traceback"]
    assert engine.explain(lines) == "invalid model file 'a.bin' (bad magic)"
    assert engine.explain(["something"]) is None


async def test_its_settings_reach_the_worker(engine: CTransformers, tiny: Callable[..., ModelLocation]) -> None:
    assert engine.parameters(tiny())["threads"] == 1
    assert engine.check_seconds == 2
    assert engine.estimate(tiny()).total > 0


async def test_it_tells_what_it_answers_with_by_itself(
    engine: CTransformers, tiny: Callable[..., ModelLocation]
) -> None:
    assert engine.defaults(tiny())["repeat_penalty"] == 1.1
    assert set(engine.defaults(tiny())) <= set(Parameters.model_fields)
