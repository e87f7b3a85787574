"""An app of chosen parts, without installing packages: what tests and benchmarks of the kernel run on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed
from pathlib import Path
from typing import Any

from jan_core.app import Jan
from jan_core.config import Value, load
from jan_core.discovery import Discovery

KERNEL = {
    "chat": "jan_core.endpoints.chat:Chat",
    "completions": "jan_core.endpoints.completions:Completions",
    "embeddings": "jan_core.endpoints.embeddings:Embeddings",
    "models": "jan_core.endpoints.models:Models",
    "assistants": "jan_core.endpoints.assistants:Assistants",
    "threads": "jan_core.endpoints.threads:Threads",
    "messages": "jan_core.endpoints.messages:Messages",
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
}


def entry_points(
    modules: Mapping[str, str] = SCRIPTED,
    plugins: Mapping[str, str] | None = None,
    endpoints: Mapping[str, str] = KERNEL,
    backends: Mapping[str, str] = {},
) -> dict[str, list[EntryPoint]]:
    """Entry points as if packages had declared them: name to `module` or `module:attribute`, by group."""
    groups = {"modules": modules, "plugins": plugins or {}, "endpoints": endpoints, "backends": backends}
    return {
        group: [EntryPoint(name, value, f"jan.{group}") for name, value in named.items()]
        for group, named in groups.items()
    }


def wired(
    root: Path,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    modules: Mapping[str, str] = SCRIPTED,
    plugins: Mapping[str, str] | None = None,
    endpoints: Mapping[str, str] = KERNEL,
    backends: Mapping[str, str] = {},
) -> Jan:
    """An app on the scripted engine and models in memory, or on the parts given.

    Args:
        root: the root folder; a `jan.toml` in it counts.
        tables: settings by table and key, over those of the file.
        modules: entry points of modules; each is chosen for the endpoint its name begins with.
        plugins: entry points of plugins, all chosen, outermost first.
        endpoints: entry points of endpoint classes.
        backends: entry points of backends, for their tables of settings.

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
    return Jan(config, Discovery(config, entry_points(modules, plugins, endpoints, backends)))


def one_module(
    root: Path,
    endpoint: str,
    module: str,
    settings: Mapping[str, Any] | None = None,
    *,
    plugins: Mapping[str, str] | None = None,
    beside: Mapping[str, str] = {},
) -> Jan:
    """An app on one module for one endpoint; every other endpoint is in memory, or scripted.

    Args:
        root: the root folder.
        endpoint: the endpoint's name.
        module: the name of an installed module, or of one of `EVERYTHING`, or `package.module:attribute` of one.
        settings: the module's table of `jan.toml`.
        plugins: entry points of plugins, all chosen, outermost first.
        beside: endpoint to installed module, where another endpoint is not to be in memory.

    Raises:
        Refusal: as `Jan`.
        LookupError: no such module is installed.
    """
    found = {one.name: one.value for one in installed(group="jan.modules")} | EVERYTHING
    name, value = (module, found[module]) if module in found else (f"{endpoint}-given", module)
    if value == module and "." not in module:
        raise LookupError(f"no module {module!r} is installed; `jan modules` lists those that are")
    own = {endpoint, *beside}
    others = {one: path for one, path in EVERYTHING.items() if one.split("-")[0] not in own}
    others |= {one: found[one] for one in beside.values()}
    chosen: dict[str, Any] = {one.split("-")[0]: one for one in others} | {endpoint: name}
    tables: dict[str, Any] = {"endpoints": chosen, "server": {"log_requests": False}}
    if settings:
        tables[name] = dict(settings)
    backends = {one.name: one.value for one in installed(group="jan.backends")}
    return wired(root, tables, modules={**others, name: value}, plugins=plugins, backends=backends)
