"""The messages endpoint on a plain folder of JSON files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.messages import Messages


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[messages-json]`."""
    from jan_messages_json.settings import Settings

    return Settings


@hookimpl
def provide_messages(settings: Any, jan: Jan) -> Messages:
    """Return the messages of the root."""
    from jan_messages_json.store import MessagesJson

    return MessagesJson(jan, rewrite=settings.append == "rewrite")


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the message files."""
    from jan_messages_json.doctor import checks

    return checks(jan.root)
