"""The threads endpoint on a plain folder of JSON files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.threads import Threads


@hookimpl
def provide_threads(settings: Any, jan: Jan) -> Threads:
    """Return the threads of the root."""
    from jan_threads_json.store import ThreadsJson

    return ThreadsJson(jan)


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the threads' folders."""
    from jan_threads_json.doctor import checks

    return checks(jan.root)
