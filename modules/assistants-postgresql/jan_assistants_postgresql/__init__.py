"""The assistants endpoint in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.assistants import Assistants


@hookimpl
def provide_assistants(settings: Any, jan: Jan) -> Assistants:
    """Return the assistants of the database."""
    from jan_assistants_postgresql.store import AssistantsPostgresql

    return AssistantsPostgresql(jan)


@hookimpl
def register_commands() -> Mapping[str, str]:
    """Return `jan db`, which is the backend's."""
    return {"db": "jan_postgresql.command:app"}


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the database."""
    from jan_postgresql.doctor import checks

    return checks(jan, "assistants-postgresql")
