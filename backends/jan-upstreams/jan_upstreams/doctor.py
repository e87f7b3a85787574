"""The backend's checks for `jan doctor`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jan_core.check import Check, Verdict
from jan_upstreams.failures import Failure
from jan_upstreams.upstream import Upstream

if TYPE_CHECKING:
    from jan_upstreams.backend import Upstreams


def checks(upstreams: Upstreams) -> list[Check]:
    """Whether each server answers, and tells its models; once, however many modules ask."""
    if upstreams.checked:
        return []
    upstreams.checked = True
    return [Check(f"upstream {one.name}", lambda one=one: _tells(one)) for one in upstreams.upstreams]  # type: ignore[misc]


def _tells(one: Upstream) -> Verdict:
    async def ask() -> frozenset[str]:
        fresh = Upstream(one.settings)
        try:
            return await fresh.look()
        finally:
            await fresh.close()

    try:
        found = asyncio.run(ask())
    except Failure as failure:
        if one.settings.models is not None:
            return Verdict(True, f"its models are named; {failure.error.message}")
        return Verdict(False, failure.error.message, f"curl {one.settings.url}/models")
    missing = [name for name in one.settings.models or () if name not in found]
    if missing:
        return Verdict(False, f"it does not list {', '.join(missing)}", f"curl {one.settings.url}/models")
    return Verdict(True, f"it has {len(found)} models")
