"""The assistants endpoint on a plain folder of JSON files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.assistants import Assistants


@hookimpl
def provide_assistants(settings: Any, jan: Jan) -> Assistants:
    """Return the assistants of the root."""
    from jan_assistants_json.store import AssistantsJson

    return AssistantsJson(jan)


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the assistants' folders."""
    from jan_assistants_json.doctor import checks

    return checks(jan.root)
