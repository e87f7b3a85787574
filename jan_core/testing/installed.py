"""The contracts of one installed module, as pytest collects them: what `jan check` runs.

The environment variable `JAN_CHECK` says which, as JSON: `module`, its `settings`, further `tables` of `jan.toml`, the
`model` to run (a `ModelLocation`) where the module is an engine's, and `contracts` by endpoint, each
`package.module:Class`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jan_core.discovery import import_name
from jan_core.schemas.models import ModelLocation

if TYPE_CHECKING:
    from jan_core.app import Jan

VARIABLE = "JAN_CHECK"
"""The name of the environment variable."""


def classes(told: dict[str, Any]) -> dict[str, type]:
    """A test class for each contract, by name.

    Where there is a model, all clauses share one app, so that it is loaded once.

    Args:
        told: what the variable says.
    """
    model = ModelLocation.model_validate(told["model"]) if told.get("model") else None

    def make(self: Any, tmp_path: Path) -> Jan:
        app: Jan = self.app(tmp_path, told["module"], told["settings"], model=model, tables=told.get("tables", {}))
        return app

    body: dict[str, Any] = {"make": make} if model is None else {"make": make, "lasting": True}
    return {
        f"Test{endpoint.title()}": type(f"Test{endpoint.title()}", (import_name(contract),), body)
        for endpoint, contract in told["contracts"].items()
    }


if VARIABLE in os.environ:
    globals().update(classes(json.loads(os.environ[VARIABLE])))
