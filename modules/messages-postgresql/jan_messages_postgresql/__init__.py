"""The messages endpoint in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.messages import Messages


@hookimpl
def provide_messages(settings: Any, jan: Jan) -> Messages:
    """Return the messages of the database."""
    from jan_messages_postgresql.store import MessagesPostgresql

    return MessagesPostgresql(jan)


@hookimpl
def register_commands() -> Mapping[str, str]:
    """Return `jan db`, which is the backend's."""
    return {"db": "jan_postgresql.command:app"}


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the database."""
    from jan_postgresql.doctor import checks

    return checks(jan, "messages-postgresql")
