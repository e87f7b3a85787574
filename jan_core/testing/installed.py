"""The contracts of one installed module, as pytest collects them: what `jan check` runs.

The environment variable `JAN_CHECK` says which, as JSON: `module`, its `settings`, and `contracts` by endpoint, each
`package.module:Class`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jan_core.discovery import import_name

if TYPE_CHECKING:
    from jan_core.app import Jan

VARIABLE = "JAN_CHECK"
"""The name of the environment variable."""


def classes(told: dict[str, Any]) -> dict[str, type]:
    """A test class for each contract, by name.

    Args:
        told: what the variable says.
    """

    def make(self: Any, tmp_path: Path) -> Jan:
        app: Jan = self.app(tmp_path, told["module"], told["settings"])
        return app

    return {
        f"Test{endpoint.title()}": type(f"Test{endpoint.title()}", (import_name(contract),), {"make": make})
        for endpoint, contract in told["contracts"].items()
    }


if VARIABLE in os.environ:
    globals().update(classes(json.loads(os.environ[VARIABLE])))
