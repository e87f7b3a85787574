from __future__ import annotations

import pytest

from jan_core.endpoint import Endpoint
from jan_core.endpoints.engines import Engines
from jan_core.engines import RunningEngines
from jan_core.schemas.engines import EngineLoad, EngineModel, EngineModelList, EngineUnload


def test_its_operations_are_beside_openais_and_all_of_them_required() -> None:
    found = {one.name: (one.method, one.path, one.optional) for one in Engines.operations().values()}
    assert found == {
        "list": ("GET", "/engines/models", False),
        "load": ("POST", "/engines/load", False),
        "unload": ("POST", "/engines/unload", False),
    }
    assert not [path for _, path, _ in found.values() if str(path).startswith("/v1")]


def test_the_annotations_lead_to_the_schemas() -> None:
    types = {name: one.types() for name, one in Engines.operations().items()}
    assert (types["list"].body, types["list"].reply) == (None, EngineModelList)
    assert (types["load"].body, types["load"].reply) == (EngineLoad, EngineModel)
    assert (types["unload"].body, types["unload"].reply) == (EngineUnload, EngineModelList)


def test_the_kernels_own_is_complete_and_another_must_be() -> None:
    assert issubclass(RunningEngines, Endpoint)
    with pytest.raises(TypeError, match="load"):
        type("Half", (Engines,), {"list": Engines.list, "unload": lambda self, body: None})()
