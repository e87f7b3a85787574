"""A log of every change that Jan is asked for: who, what, when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoint import Endpoint
    from jan_core.hookspecs import Wrapper


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[audit-log]`."""
    from jan_audit_log.settings import Settings

    return Settings


@hookimpl
def wrap_every(settings: Any, jan: Jan, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """Log the operations that write."""
    from jan_audit_log.log import AuditLog
    from jan_audit_log.operations import wrappers

    return wrappers(jan.backend(AuditLog), endpoint)


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the check of the log's file."""
    from jan_audit_log.doctor import checks

    return checks(jan.root, settings)
