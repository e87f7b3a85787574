"""The runs endpoint on a plain folder of JSON files."""

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
    """Return the model of `[runs-json]`."""
    from jan_runs_json.settings import Settings

    return Settings


@hookimpl
def provide_runs(settings: Any, jan: Jan) -> Runs:
    """Return the runs of the root."""
    from jan_runs.runs import StoredRuns

    from jan_runs_json.store import RunsJson

    return StoredRuns(
        jan, RunsJson(jan.root), expires_seconds=settings.expires_seconds, most_at_once=settings.most_at_once
    )


@hookimpl
def register_commands() -> Mapping[str, str]:
    """Return `jan assistants code` and `jan assistants install`."""
    return {"assistants": "jan_code.commands:app"}


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the files of runs, and of what the code of assistants can reach."""
    from jan_code.doctor import checks as checks_of_code

    from jan_runs_json.doctor import checks

    return [*checks(jan.root), *checks_of_code()]
