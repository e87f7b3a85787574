"""Which packages are installed, which of them the config chooses, and loading those and no others.

Entry points are read from the packages' metadata without importing them. Groups: `jan.endpoints` (classes),
`jan.modules`, `jan.plugins`, `jan.backends`, and `jan.bundles` (a mapping of the choices made where the config makes
none; the bundle `jan` brings the default modules that way).
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any

import pluggy

from jan_core import hookspecs, versions
from jan_core.config import Config
from jan_core.endpoint import Endpoint
from jan_core.installed import Installed, declared, listed
from jan_core.refusal import Refusal

GROUPS = ("endpoints", "modules", "plugins", "backends", "bundles")
"""The entry-point groups, without their prefix `jan.`."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A loaded package: its name, where the config chose it, and the object that pluggy calls hooks on."""

    name: str
    asked: str
    installed: Installed
    plugin: Any


class _Endpoints(Mapping[str, type[Endpoint]]):
    """Endpoint classes by name, each imported when it is asked for."""

    def __init__(self, names: Iterable[str], load: Callable[[str], type[Endpoint]]) -> None:
        self._names = dict.fromkeys(names)
        self._load = load

    def __getitem__(self, name: str) -> type[Endpoint]:
        if name not in self._names:
            raise KeyError(name)
        return self._load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Discovery:
    """The installed packages, and pluggy's manager with the chosen ones.

    Args:
        config: what was asked for.
        found: entry points by group; default those of the running environment.
    """

    def __init__(self, config: Config, found: Mapping[str, Iterable[EntryPoint]] | None = None) -> None:
        self.config = config
        self._found = found
        self._loaded: dict[tuple[str, str], Chosen] = {}
        self.hooks = pluggy.PluginManager("jan")
        self.hooks.add_hookspecs(hookspecs)

    @cached_property
    def installed(self) -> Mapping[str, list[Installed]]:
        """Everything installed, by group, ordered by name. Nothing is imported."""
        found = self._found
        if found is None:
            every = list(declared())
            found = {group: [entry for entry in every if entry.group == f"jan.{group}"] for group in GROUPS}
        return {group: listed(group, found.get(group, ())) for group in GROUPS}

    def find(self, group: str, name: str, asked: str) -> Installed:
        """The one installed package of this name.

        Raises:
            Refusal: none has the name (with near misses), or two have.
        """
        matches = [one for one in self.installed[group] if one.name == name]
        if len(matches) == 1:
            return matches[0]
        what = group[:-1]
        if matches:
            uninstall = ", ".join(f"pip uninstall {one.distribution.split()[0]}" for one in matches)
            raise Refusal(
                asked,
                f"{len(matches)} installed packages offer the {what} {name!r}",
                f"Uninstall all but one: {uninstall}.",
                answers="; ".join(one.answers for one in matches),
            )
        names = [one.name for one in self.installed[group]]
        close = get_close_matches(name, names, 1)
        remedy = f"did you mean {close[0]!r}? Otherwise: " if close else ""
        offered = f" Installed: {', '.join(names)}." if names else ""
        raise Refusal(asked, f"no {what} of that name is installed", f"{remedy}pip install jan-{name}.{offered}")

    def load(self, group: str, name: str, asked: str) -> Chosen:
        """Import a chosen package and make its hooks known, once.

        Raises:
            Refusal: it is not installed, was built for other versions of jan-core, fails to import, or implements a
                hook that does not exist.
        """
        if (group, name) in self._loaded:
            return self._loaded[group, name]
        one = self.find(group, name, asked)
        versions.check(one.entry.dist, one.distribution, asked, one.answers)
        try:
            plugin = one.entry.load()
        except (Exception, SystemExit) as error:  # a package may fail in any way while it is imported
            raise Refusal(
                asked,
                f"it fails to import: {type(error).__name__}: {error}",
                f"Mend or reinstall it (pip install --force-reinstall {one.distribution.split()[0]}), "
                "or take it out of the config.",
                answers=one.answers,
            ) from error
        chosen = Chosen(name, asked, one, plugin)
        if group in ("modules", "plugins"):
            self._register(chosen)
        self._loaded[group, name] = chosen
        return chosen

    @property
    def loaded(self) -> list[Installed]:
        """What has been imported so far, in that order."""
        return [chosen.installed for chosen in self._loaded.values()]

    def check_backend(self, name: str, asked: str) -> None:
        """Refuse a backend that was built for other versions of jan-core.

        Args:
            name: as the backend's class says.
            asked: what asks for it.
        """
        for one in self.installed["backends"]:
            if one.name == name:
                wanted = f"the backend {name!r}, for {asked}"
                versions.check(one.entry.dist, one.distribution, wanted, one.answers)

    def _register(self, chosen: Chosen) -> None:
        offered = [name for name in dir(chosen.plugin) if self.hooks.parse_hookimpl_opts(chosen.plugin, name)]
        for name in offered:  # hooks of an endpoint must be known before a package that implements them is registered
            endpoint = name.partition("_")[2]
            if not hasattr(self.hooks.hook, name) and endpoint in self.endpoints:
                _ = self.endpoints[endpoint]
        known = {name for name in vars(self.hooks.hook) if not name.startswith("_")}
        unknown = [name for name in offered if name not in known]
        try:
            if unknown:
                raise ValueError(f"it implements the hook {unknown[0]!r}, which no installed endpoint or kernel has")
            if not self.hooks.is_registered(chosen.plugin):  # one package may be several modules
                self.hooks.register(chosen.plugin)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise Refusal(
                chosen.asked,
                str(error),
                "Update the package, or install the one that declares the hook; `jan modules` lists what is here.",
                answers=chosen.installed.answers,
            ) from error

    def call(self, chosen: Chosen, hook: str, **arguments: Any) -> Any:
        """Call one hook of one package; None where the package does not implement it.

        Raises:
            Refusal: the hook raised; the cause is chained.
        """
        others = [plugin for plugin in self.hooks.get_plugins() if plugin is not chosen.plugin]
        try:
            return self.hooks.subset_hook_caller(hook, others)(**arguments)
        except Refusal:
            raise
        except Exception as error:
            raise Refusal(
                chosen.asked,
                f"{hook} failed: {type(error).__name__}: {error}",
                "See the package's own documentation, or take it out of the config.",
                answers=chosen.installed.answers,
            ) from error

    def settings(self, chosen: Chosen) -> Any:
        """The package's own table, checked against its settings model; None where it has no settings.

        Raises:
            Refusal: a bad value, or a table for a package that takes no settings.
        """
        model = self.call(chosen, "settings_model")
        if model is not None:
            if not hasattr(model, "model_validate"):
                raise Refusal(
                    chosen.asked,
                    f"settings_model must return a BaseModel class, but returned {model!r}",
                    "Update the package, or take it out of the config.",
                    answers=chosen.installed.answers,
                )
            return self.config.table(chosen.name, model)
        if self.config.tables.get(chosen.name):
            key, value = next(iter(self.config.tables[chosen.name].items()))
            raise Refusal(
                f"[{chosen.name}] {key} ({value.origin})", f"{chosen.name} takes no settings", "Take that table out."
            )
        return None

    @cached_property
    def endpoints(self) -> Mapping[str, type[Endpoint]]:
        """Every installed endpoint class by name.

        Names are known without an import. A class is imported when it is asked for, and the hookspecs in its file are
        made known; one that nothing asks for is none of the chosen.

        Raises, where a class is asked for:
            Refusal: two packages offer one name, one fails to import, or one is no endpoint class.
        """
        return _Endpoints([one.name for one in self.installed["endpoints"]], self._endpoint)

    def _endpoint(self, name: str) -> type[Endpoint]:
        chosen = self.load("endpoints", name, f"endpoint {name!r}")
        if not (isinstance(chosen.plugin, type) and issubclass(chosen.plugin, Endpoint)):
            answers = chosen.installed.answers
            raise Refusal(chosen.asked, "its entry point names no Endpoint class", "Update it.", answers=answers)
        if f"provide_{name}" not in vars(self.hooks.hook):
            self._learn(chosen, chosen.plugin)
        return chosen.plugin

    def _learn(self, chosen: Chosen, endpoint: type[Endpoint]) -> None:
        try:
            self.hooks.add_hookspecs(sys.modules[endpoint.__module__])
        except ValueError:
            pass  # the file declares no hookspec at all: said below
        missing = [f"{verb}_{chosen.name}" for verb in ("provide", "wrap")]
        missing = [hook for hook in missing if hook not in vars(self.hooks.hook)]
        if missing:
            raise Refusal(
                chosen.asked,
                f"{endpoint.__module__} declares no hookspec {missing[0]}",
                f"Declare `provide_{chosen.name}` and `wrap_{chosen.name}` with jan_core.hookspecs.hookspec there.",
                answers=chosen.installed.answers,
            )

    def choices(self) -> dict[str, tuple[list[str], str]]:
        """Endpoint name to the modules chosen for it and where that was asked for.

        The config decides; for an endpoint it does not name, the installed bundle does.

        Raises:
            Refusal: a value of a wrong type, an unknown endpoint, or two bundles that disagree.
        """
        chosen: dict[str, tuple[list[str], str]] = {}
        bundles = self.installed["bundles"]
        given = self.config.tables.get("endpoints", {})
        if len(bundles) > 1 and not set(self.endpoints) <= set(given):
            raise Refusal(
                "the default modules",
                "more than one bundle is installed",
                "Uninstall all but one, or name a module for every endpoint under [endpoints].",
                answers="; ".join(one.answers for one in bundles),
            )
        for one in bundles[:1]:
            defaults = self.load("bundles", one.name, f"bundle {one.name!r}").plugin
            for endpoint, names in defaults.items():
                listed = [names] if isinstance(names, str) else list(names)
                chosen[endpoint] = (listed, f"{endpoint} = {names!r} (default of {one.distribution})")
        for endpoint, value in given.items():
            asked = f"{endpoint} = {value.value!r} ({value.origin})"
            if endpoint not in self.endpoints:
                close = get_close_matches(endpoint, self.endpoints, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise Refusal(asked, "there is no such endpoint", f"{hint}Endpoints: {', '.join(self.endpoints)}.")
            chosen[endpoint] = (self._names(endpoint, value.value, asked), asked)
        return {name: choice for name, choice in chosen.items() if choice[0]}

    def _names(self, endpoint: str, value: Any, asked: str) -> list[str]:
        several = self.endpoints[endpoint].several
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            form = f'"{endpoint}-…" or a list of such names' if several else f'"{endpoint}-…"'
            raise Refusal(asked, "that is no module's name", f"Write {endpoint} = {form}; [] serves no {endpoint}.")
        if len(names) > 1 and not several:
            raise Refusal(asked, f"{endpoint} takes exactly one module", f"Keep one: {endpoint} = {names[0]!r}.")
        if len(set(names)) < len(names):
            raise Refusal(asked, "it names a module twice", "Keep one of them.")
        return names

    def check_tables(self, own: Iterable[str]) -> None:
        """Refuse tables that belong to nothing installed.

        Args:
            own: the names of the kernel's tables.
        """
        known = {*own, *(one.name for group in ("modules", "plugins", "backends") for one in self.installed[group])}
        for name in self.config.tables:
            if name in known:
                continue
            values = list(self.config.tables[name].values())
            where = values[0].origin if values else self.config.where(name)
            close = get_close_matches(name, known, 1)
            hint = f"did you mean [{close[0]}]? " if close else ""
            named = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
            remedy = f"{hint}Take the table out{f', or pip install jan-{name}' if named else ''}."
            raise Refusal(f"table [{name}] ({where})", "nothing installed has settings of that name", remedy)


def import_name(reference: str) -> Any:
    """The object that `module:attribute` names."""
    module, _, attribute = reference.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
