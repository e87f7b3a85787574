"""Every hook a package can implement. A hook builds; the object it builds does the work.

Hooks are called once, while the app is built, each chosen package alone and with its own settings. A package
implements the ones it needs in the module that its entry point names:

    from jan_core.hookspecs import hookimpl

    @hookimpl
    def provide_models(settings, jan):
        return MyModels(settings.folder)

An endpoint class from another package brings its own pair (`provide_<name>`, `wrap_<name>`), declared with `hookspec`
in the file that defines the class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoint import Endpoint
    from jan_core.endpoints.assistants import Assistants
    from jan_core.endpoints.chat import Chat
    from jan_core.endpoints.completions import Completions
    from jan_core.endpoints.embeddings import Embeddings
    from jan_core.endpoints.engines import Engines
    from jan_core.endpoints.messages import Messages
    from jan_core.endpoints.models import Models
    from jan_core.endpoints.runs import Runs
    from jan_core.endpoints.threads import Threads

hookspec = pluggy.HookspecMarker("jan")
"""Marks the declaration of a hook, in the file of an endpoint's class."""
hookimpl = pluggy.HookimplMarker("jan")
"""Marks a function that implements the hook of its name."""

Wrapper = Callable[..., Awaitable[Any]]
"""`async def wrapper(proceed, *arguments)`: goes around an operation; see `jan_core.wrapping`."""


@hookspec(firstresult=True)
def settings_model() -> type[BaseModel]:
    """Return the pydantic model of the package's own table in `jan.toml`.

    Called before anything else of the package. The table's values, checked, are the `settings` of the other hooks;
    a package without this hook takes no settings.

        @hookimpl
        def settings_model():
            return MySettings
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_chat(settings: Any, jan: Jan) -> Chat:
    """Return the object that answers `chat`.

    Called on the chosen modules, in the config's order. `settings` is an instance of the module's settings model;
    `jan` gives the other endpoints (`jan.models`, wrapped, usable once the app runs) and backends (`jan.backend(…)`).
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_chat(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `chat`, by operation name; `"*"` is every operation.

    Called on every chosen plugin. A name that is no operation refuses the start.

        @hookimpl
        def wrap_chat(settings, jan):
            async def count(proceed, body):
                counter.add(1)
                return await proceed(body)
            return {"create": count}
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_completions(settings: Any, jan: Jan) -> Completions:
    """Return the object that answers `completions`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_completions(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `completions`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_embeddings(settings: Any, jan: Jan) -> Embeddings:
    """Return the object that answers `embeddings`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_embeddings(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `embeddings`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_models(settings: Any, jan: Jan) -> Models:
    """Return the object that answers `models`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_models(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `models`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_assistants(settings: Any, jan: Jan) -> Assistants:
    """Return the object that answers `assistants`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_assistants(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `assistants`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_threads(settings: Any, jan: Jan) -> Threads:
    """Return the object that answers `threads`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_threads(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `threads`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_messages(settings: Any, jan: Jan) -> Messages:
    """Return the object that answers `messages`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_messages(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `messages`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_runs(settings: Any, jan: Jan) -> Runs:
    """Return the object that answers `runs`. Otherwise as `provide_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_runs(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `runs`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def provide_engines(settings: Any, jan: Jan) -> Engines:
    """Return the object that answers `engines`. The kernel's own answers where the config chooses no module for it."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_engines(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `engines`. Otherwise as `wrap_chat`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_every(settings: Any, jan: Jan, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `endpoint`, whichever it is; `"*"` is every operation.

    Called on every chosen plugin, once for each endpoint that is served, also those of other packages; a plugin that
    needs to know what it wraps looks at `endpoint.operations()`, or later at `proceed.operation`. Where the plugin has
    wrappers of its own for the endpoint (`wrap_chat`), those are outside of these.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def asgi_wrapper(settings: Any, jan: Jan) -> Callable[[ASGIApp], ASGIApp]:
    """Return a function that takes an ASGI app and returns one around it.

    Called on every chosen plugin; the first in the config is outermost. It runs inside the kernel's own guard (host,
    origin, size). `jan.routes.answering(scope)` tells who will answer a request. A package whose wrapper lets no
    unauthenticated request through also implements `authenticates`. A request that the server makes itself, in the name
    of a caller who was let in before, has no key: `jan_core.call.inside(scope)` names the caller's.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def authenticates(settings: Any, jan: Jan) -> bool:
    """Return True where this plugin, with these settings, answers 401 to every request without a valid key.

    Called on every chosen plugin. Binding to an address beyond loopback is refused unless one says True.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def register_routes(settings: Any, jan: Jan) -> list[BaseRoute]:
    """Return further Starlette routes. Called on every chosen module and plugin; a path in use refuses the start."""
    raise NotImplementedError


@hookspec(firstresult=True)
def register_commands() -> Mapping[str, str]:
    """Return commands for `jan`: name to `module:attribute` of a typer app, imported when the command is used.

    Under the name of a group of the kernel, such as `assistants`, the app's commands are added to that group's.

    Called on every chosen module and plugin whenever `jan` lists or looks up its commands, so it must be cheap.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return checks for `jan doctor`. Called on every chosen module and plugin, without the app running."""
    raise NotImplementedError
