"""Runs cases and tells what each found, as JSON: one line on stdout for each case."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

NOWHERE = "http://127.0.0.1:9/v1"
"""An address where nobody answers."""


def tell(*cases: Callable[[], Any]) -> None:
    """Run every case to its end, whatever becomes of the others.

    Args:
        cases: functions, async or not, that take nothing and return something that JSON can hold.
    """

    async def run() -> None:
        for case in cases:
            try:
                found = case()
                said = {"found": await found if inspect.isawaitable(found) else found}
            except Exception:
                said = {"failed": traceback.format_exc()}
            print(json.dumps({"case": case.__name__, **said}), flush=True)

    asyncio.run(run())


def base_url() -> str:
    """The server under test."""
    return sys.argv[1]


def model() -> str:
    """The model under test."""
    return sys.argv[2]
