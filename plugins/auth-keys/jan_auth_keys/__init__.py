"""Keys for Jan: who may use the server, for what, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel
    from starlette.types import ASGIApp

    from jan_core.app import Jan
    from jan_core.check import Check


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[auth-keys]`."""
    from jan_auth_keys.settings import Settings

    return Settings


@hookimpl
def asgi_wrapper(settings: Any, jan: Jan) -> Callable[[ASGIApp], ASGIApp]:
    """Return what lets requests with a valid key through, and no others but those of `/health`."""
    from jan_auth_keys.start import gate

    return gate(settings, jan)


@hookimpl
def authenticates(settings: Any, jan: Jan) -> bool:
    """Return True; a server that nobody has a key for is refused."""
    from jan_auth_keys.start import check_keys

    check_keys(settings, jan)
    return True


@hookimpl
def register_commands() -> Mapping[str, str]:
    """Return `jan keys`."""
    return {"keys": "jan_auth_keys.commands:app"}


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the file of keys."""
    from jan_auth_keys.doctor import checks

    return checks(settings, jan)
