"""The runs endpoint in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.runs import Runs


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[runs-postgresql]`."""
    from jan_runs_postgresql.settings import Settings

    return Settings


@hookimpl
def provide_runs(settings: Any, jan: Jan) -> Runs:
    """Return the runs of the database."""
    from jan_runs.runs import StoredRuns

    from jan_runs_postgresql.store import RunsPostgresql

    return StoredRuns(
        jan, RunsPostgresql(jan), expires_seconds=settings.expires_seconds, most_at_once=settings.most_at_once
    )


@hookimpl
def register_commands() -> Mapping[str, str]:
    """Return `jan db`, and `jan assistants code` and `jan assistants install`."""
    return {"assistants": "jan_code.commands:app", "db": "jan_postgresql.command:app"}


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the database, and of what the code of assistants can reach."""
    from jan_code.doctor import checks as checks_of_code
    from jan_postgresql.doctor import checks

    return [*checks(jan, "runs-postgresql"), *checks_of_code()]
