"""An app of chosen parts, without installing packages: what tests and benchmarks of the kernel run on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from jan_core.app import Jan
from jan_core.config import Value, load
from jan_core.discovery import Discovery
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

KERNEL = {
    "chat": "jan_core.endpoints.chat:Chat",
    "completions": "jan_core.endpoints.completions:Completions",
    "embeddings": "jan_core.endpoints.embeddings:Embeddings",
    "models": "jan_core.endpoints.models:Models",
    "assistants": "jan_core.endpoints.assistants:Assistants",
    "threads": "jan_core.endpoints.threads:Threads",
    "messages": "jan_core.endpoints.messages:Messages",
    "runs": "jan_core.endpoints.runs:Runs",
}
SCRIPTED = {"models-memory": "jan_core.testing.memory", "chat-scripted": "jan_core.testing.scripted"}
CONVERSATIONS = {
    "assistants-memory": "jan_core.testing.memory_assistants",
    "threads-memory": "jan_core.testing.memory_threads",
    "messages-memory": "jan_core.testing.memory_messages",
}
EVERYTHING = {
    **SCRIPTED,
    "completions-scripted": "jan_core.testing.scripted_completions",
    "embeddings-scripted": "jan_core.testing.scripted_embeddings",
    **CONVERSATIONS,
    "runs-memory": "jan_core.testing.memory_runs",
}
_BUILT_BY: WeakKeyDictionary[Jan, dict[str, Any]] = WeakKeyDictionary()


def entry_points(
    modules: Mapping[str, str | EntryPoint] = SCRIPTED,
    plugins: Mapping[str, str] | None = None,
    endpoints: Mapping[str, str] = KERNEL,
    backends: Mapping[str, str | EntryPoint] = {},
) -> dict[str, list[EntryPoint]]:
    """Entry points as if packages had declared them: name to `module` or `module:attribute`, by group.

    An entry point that a package did declare is taken as it is.
    """
    groups: dict[str, Mapping[str, str | EntryPoint]]
    groups = {"modules": modules, "plugins": plugins or {}, "endpoints": endpoints, "backends": backends}
    return {
        group: [
            value if isinstance(value, EntryPoint) else EntryPoint(name, value, f"jan.{group}")
            for name, value in named.items()
        ]
        for group, named in groups.items()
    }


def wired(
    root: Path,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    modules: Mapping[str, str | EntryPoint] = SCRIPTED,
    plugins: Mapping[str, str] | None = None,
    endpoints: Mapping[str, str] = KERNEL,
    backends: Mapping[str, str | EntryPoint] = {},
    at_rest: bool = False,
) -> Jan:
    """An app on the scripted engine and models in memory, or on the parts given.

    Args:
        root: the root folder; a `jan.toml` in it counts.
        tables: settings by table and key, over those of the file.
        modules: entry points of modules; each is chosen for the endpoint its name begins with.
        plugins: entry points of plugins, all chosen, outermost first.
        endpoints: entry points of endpoint classes.
        backends: entry points of backends, for their tables of settings.
        at_rest: see `Jan`.

    Raises:
        Refusal: as `Jan`.
    """
    chosen: dict[str, Any] = {}
    for name in modules:
        endpoint = name.split("-")[0]
        chosen[endpoint] = [*chosen.get(endpoint, []), name]
    given: dict[str, dict[str, Any]] = {
        "endpoints": {name: names if len(names) > 1 else names[0] for name, names in chosen.items()}
    }
    if plugins:
        given["plugins"] = {"use": list(plugins)}
    for table, values in (tables or {}).items():
        given.setdefault(table, {}).update(values)
    flags = {
        (table, key): Value(value, f"test [{table}] {key}")
        for table, values in given.items()
        for key, value in values.items()
    }
    config = load(root, flags=flags, environ={})
    return Jan(config, Discovery(config, entry_points(modules, plugins, endpoints, backends)), at_rest=at_rest)


def one_module(
    root: Path,
    endpoint: str,
    module: str,
    settings: Mapping[str, Any] | None = None,
    *,
    plugins: Mapping[str, str] | None = None,
    beside: Mapping[str, str] = {},
    model: ModelLocation | None = None,
    tables: Mapping[str, Mapping[str, Any]] = {},
) -> Jan:
    """An app on one module for one endpoint; every other endpoint is in memory, or scripted.

    Args:
        root: the root folder.
        endpoint: the endpoint's name.
        module: the name of an installed module, or of one of `EVERYTHING`, or what to import: `module`,
            `package.module`, or either with `:attribute`.
        settings: the module's table of `jan.toml`.
        plugins: entry points of plugins, all chosen, outermost first.
        beside: endpoint to installed module, where another endpoint is not to be in memory.
        model: the only model that `models` in memory has; default one of the scripted engine.
        tables: further tables of `jan.toml`, such as that of a backend.

    Raises:
        Refusal: as `Jan`; or no such module is installed, and nothing of that name can be imported.
    """
    found: dict[str, str | EntryPoint] = {one.name: one for one in installed(group="jan.modules")}
    found |= EVERYTHING
    name, value = (module, found[module]) if module in found else (f"{endpoint}-given", module)
    if module not in found and not _importable(module):
        close = get_close_matches(module, found, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        remedy = f"{hint}`jan modules` lists what is installed; what is not is named as package.module:attribute."
        cause = "no module of that name is installed, and nothing is imported by it"
        raise Refusal(f"the module {module!r} for {endpoint}", cause, remedy)
    own = {endpoint, *beside}
    others: dict[str, str | EntryPoint]
    others = {one: path for one, path in EVERYTHING.items() if one.split("-")[0] not in own}
    others |= {one: found[one] for one in beside.values()}
    chosen: dict[str, Any] = {one.split("-")[0]: one for one in others} | {endpoint: name}
    given: dict[str, Any] = {**tables, "endpoints": chosen, "server": {"log_requests": False}}
    if settings:
        given[name] = dict(settings)
    from jan_core.testing.memory import names_of

    names = names_of(root.absolute())  # kept by the app from here on
    if model is not None:
        names.clear()
        names[model.id] = model.engine
        names.locations[model.id] = model
    backends = {one.name: one for one in installed(group="jan.backends")}
    # An endpoint of another package is there for its own modules only.
    endpoints = KERNEL | {one.name: one.value for one in installed(group="jan.endpoints") if one.name == endpoint}
    modules = {**others, name: value}
    jan = wired(root, given, modules=modules, plugins=plugins, endpoints=endpoints, backends=backends)
    _BUILT_BY[jan] = {
        "root": str(root),
        "endpoint": endpoint,
        "module": module,
        "settings": dict(settings or {}),
        "plugins": dict(plugins or {}),
        "beside": dict(beside),
        "model": None if model is None else model.model_dump(mode="json"),
        "tables": {table: dict(values) for table, values in tables.items()},
    }
    return jan


def built_by(jan: Jan) -> Mapping[str, Any] | None:
    """The arguments that `one_module` built an app of, as JSON has them; None where something else built it."""
    return _BUILT_BY.get(jan)


def _importable(reference: str) -> bool:
    """Whether there is the file or package that `package.module:attribute` begins with. Nothing is imported."""
    first = reference.partition(":")[0].partition(".")[0]
    return first.isidentifier() and (first in sys.modules or find_spec(first) is not None)
