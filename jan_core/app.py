"""The app: the chosen packages, built and wired once, and the ASGI application around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from jan_core import wrapping
from jan_core.aliases import Aliases
from jan_core.answers import Answers
from jan_core.backend import Backend
from jan_core.config import Config, load
from jan_core.discovery import Chosen, Discovery
from jan_core.endpoint import Endpoint
from jan_core.engines import RunningEngines
from jan_core.offers import Offers
from jan_core.reconcile import Reconciler
from jan_core.refusal import Refusal
from jan_core.requests import UnderWay
from jan_core.routing import route_by_engine
from jan_core.settings import ServerSettings

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp

    from jan_core.asgi import Routes
    from jan_core.check import Check

B = TypeVar("B", bound=Backend)

TABLES = ("server", "endpoints", "plugins", "aliases")
"""The kernel's own tables of `jan.toml`."""


class Jan:
    """The chosen implementations, wrapped and wired. `jan.models`, `jan.chat`, … are the endpoints.

    An async context manager: entering it enters the backends and then the endpoints; leaving it closes them in
    reverse order. It is used from one event loop.

    Args:
        config: what was asked for; default the config of the default root.
        discovery: the installed packages; default those of the running environment.
        at_rest: whether it is only to give and take what is stored: no run is carried on, and an endpoint may lack
            others that it could not serve without.

    Attributes:
        at_rest: see above.
        root: the folder the data lives in.
        config: what was asked for.
        server: the table `[server]`, checked.
        endpoints: those that are served, by name, as `jan.<name>` has them.
        refusal: why it could not be entered, where a backend or an endpoint refused.
        routes: the routes of its application, where it has one: what hooks that are called after them (`asgi_wrapper`)
            may ask.
        application: its ASGI application, where it has one.

    Raises:
        Refusal: anything chosen cannot be found, imported, configured or built.
    """

    def __init__(
        self, config: Config | None = None, discovery: Discovery | None = None, *, at_rest: bool = False
    ) -> None:
        self.config = config or load()
        self.discovery = discovery or Discovery(self.config)
        self.root: Path = self.config.root
        self.at_rest = at_rest
        self.server = self.config.table("server", ServerSettings)
        self.under_way = UnderWay()
        self.routes: Routes | None = None
        self.refusal: Refusal | None = None
        self.application: ASGIApp | None = None
        self.endpoints: Mapping[str, Endpoint] = {}
        self.backends: dict[type[Backend], Backend] = {}
        self._stack: AsyncExitStack | None = None
        self._entered = False
        self._asking = "a chosen package"
        self._served: set[str] = set()
        self.aliases = Aliases(self.config, lambda: self._served)
        self.reconciler = Reconciler(self)
        self.answers = Answers(self)
        self.plugins = [(chosen, self.discovery.settings(chosen)) for chosen in self._plugins()]
        self.modules: list[tuple[Chosen, Any]] = []
        choices = self.discovery.choices()
        if not at_rest:
            self._check_needs(choices)
        built = {name: self._build(name, *choice) for name, choice in choices.items()}
        if "engines" in self.discovery.endpoints and self.config.get("endpoints", "engines") is None:
            built["engines"] = RunningEngines(self)
        self.aliases.check(self._served)
        if "models" not in built and self._served and self.config.get("endpoints", "models") is not None:
            asked = f"[endpoints] models = [] ({self.config.where('endpoints', 'models')})"
            remedy = 'Choose a module, such as models = "models-json", or serve none of the endpoints that run models.'
            raise Refusal(asked, "the chosen engines look up every model there", remedy)
        self.endpoints = {name: wrapping.wrap(one, self._layers(name, one)) for name, one in built.items()}
        self.discovery.check_tables(TABLES)

    def __getattr__(self, name: str) -> Any:
        endpoints: Mapping[str, Endpoint] = self.__dict__.get("endpoints", {})
        if name in endpoints:
            return endpoints[name]
        raise AttributeError(f"no endpoint {name!r} is served; served are: {', '.join(endpoints) or 'none'}")

    def backend(self, kind: type[B]) -> B:
        """The app's one instance of a backend, built at the first call.

        Raises:
            Refusal: a bad value in the backend's table, or it was built for other versions of jan-core.
            RuntimeError: the first call comes when the app runs already, so that nobody would enter the backend.
        """
        found = self.backends.get(kind)
        if found is None:
            if self._entered:
                raise RuntimeError(f"ask for the backend {kind.name} in provide_…, while the app is built")
            self.discovery.check_backend(kind.name, self._asking)
            settings = self.config.table(kind.name, kind.settings_model)
            found = self.backends[kind] = kind(settings, self)
        assert isinstance(found, kind)
        return found

    @property
    def served_engines(self) -> frozenset[str]:
        """The engines whose models the chosen modules answer for."""
        return frozenset(self._served)

    def checks(self) -> list[Check]:
        """The checks that chosen packages bring for `jan doctor`."""
        found: list[Check] = []
        for chosen, settings in [*self.modules, *self.plugins]:
            found += self.discovery.call(chosen, "doctor_checks", settings=settings, jan=self) or []
        return found

    def authenticated(self) -> bool:
        """True where a chosen plugin declares that no request passes it without a valid key."""
        return any(
            self.discovery.call(chosen, "authenticates", settings=settings, jan=self) is True
            for chosen, settings in self.plugins
        )

    async def __aenter__(self) -> Self:
        self._entered = True
        async with AsyncExitStack() as stack:
            try:
                for backend in self.backends.values():
                    await stack.enter_async_context(backend)
                for endpoint in sorted(self.endpoints.values(), key=lambda one: one.unasked):
                    await stack.enter_async_context(endpoint)
            except Refusal as refusal:
                self.refusal = refusal
                raise
            if "threads" in self.endpoints:
                await stack.enter_async_context(self.reconciler)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    def _plugins(self) -> list[Chosen]:
        value = self.config.get("plugins", "use")
        for key, other in self.config.tables.get("plugins", {}).items():
            if key != "use":
                asked = f"[plugins] {key} = {other.value!r} ({other.origin})"
                raise Refusal(asked, f"plugins has no setting {key!r}", 'Write [plugins] use = ["…"].')
        if value is None:
            return []
        asked = f"[plugins] use = {value.value!r} ({value.origin})"
        names = value.value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refusal(asked, "it must be a list of names", 'Write use = ["auth-keys"], outermost first.')
        if len(set(names)) < len(names):
            raise Refusal(asked, "it names a plugin twice", "Keep one of them.")
        return [self.discovery.load("plugins", name, f"plugin {name!r} in {asked}") for name in names]

    def _check_needs(self, choices: Mapping[str, tuple[list[str], str]]) -> None:
        """Refuse to serve an endpoint without those that it can do nothing without."""
        declared = self.discovery.endpoints
        needs = {name: declared[name].needs for name in choices if name in declared}
        for missing in dict.fromkeys(one for some in needs.values() for one in some if one not in choices):
            users = [name for name, some in needs.items() if missing in some]
            asked = f"[endpoints] {missing} = [] ({self.config.where('endpoints', missing)})"
            if self.config.get("endpoints", missing) is None:
                asked = f"[endpoints] {choices[users[0]][1]}"
            raise Refusal(
                asked,
                f"{' and '.join(users)} cannot be served without {missing}, for which no module is chosen",
                f"Choose a module for {missing}, or write {' and '.join(f'{name} = []' for name in users)} as well.",
            )

    def _build(self, endpoint: str, names: list[str], asked: str) -> Endpoint:
        if endpoint not in self.discovery.endpoints:
            raise Refusal(asked, f"there is no endpoint {endpoint!r}", "Update the bundle, or jan-core.")
        declared = self.discovery.endpoints[endpoint]
        built: dict[str, Endpoint] = {}
        for name in names:
            chosen = self.discovery.load("modules", name, asked)
            settings, self._asking = self.discovery.settings(chosen), asked
            made = self.discovery.call(chosen, f"provide_{endpoint}", settings=settings, jan=self)
            if not isinstance(made, declared):
                found = "does not implement it" if made is None else f"returned {type(made).__name__}"
                raise Refusal(
                    asked,
                    f"the hook provide_{endpoint} of {name} must return a {declared.__name__}, but it {found}",
                    f"Choose a module that implements {endpoint}; `jan modules` lists them.",
                    answers=chosen.installed.answers,
                )
            self.modules.append((chosen, settings))
            built[name] = made
            if declared.several and made.engine is not None:
                self._served.add(made.engine)
        alone = built[names[0]] if len(built) == 1 else None
        if alone is not None and (not declared.several or alone.engine is None):
            return alone
        return route_by_engine(self, built, asked)

    def _layers(self, name: str, endpoint: Endpoint) -> list[wrapping.Layer]:
        layers = []
        declared = endpoint.declared()
        for chosen, settings in self.plugins:
            given, self._asking = {"settings": settings, "jan": self}, chosen.asked
            for wrappers in (
                self.discovery.call(chosen, f"wrap_{name}", **given),
                self.discovery.call(chosen, "wrap_every", endpoint=declared, **given),
            ):
                if wrappers:
                    layer = wrapping.Layer(chosen.name, wrappers)
                    wrapping.check(declared, layer)
                    layers.append(layer)
        if name == "models":
            layers.append(wrapping.Layer("aliases", self.aliases.wrappers()))
            layers.append(wrapping.Layer("offers", Offers(self).wrappers()))
            layers.append(wrapping.Layer("engines", RunningEngines(self).wrappers()))
        if name == "threads":
            layers.append(wrapping.Layer("reconciler", self.reconciler.wrappers()))
        if name in ("messages", "runs") and "runs" in self.discovery.choices():
            layers.append(wrapping.Layer("answers", self.answers.wrappers(name)))
        return layers


@asynccontextmanager
async def open_jan(root: str | Path | None = None, **tables: Mapping[str, Any]) -> AsyncIterator[Jan]:
    """Jan as a library: build and enter it, without a server.

        async with open_jan("~/jan") as jan:
            completion = await jan.chat.create(body)

    Args:
        root: the root folder; default as on the command line.
        tables: settings that override `jan.toml`, a keyword a table: `server={"log_requests": True}`. Requests are
            not logged unless a setting says so.

    Raises:
        Refusal: as `Jan`.
    """
    from jan_core.config import Value

    flags = {
        (table.replace("_", "-"), key): Value(value, f"argument {table}")
        for table, values in tables.items()
        for key, value in values.items()
    }
    config = load(Path(root) if root is not None else None, flags=flags)
    # A program that uses Jan as a library has a stderr of its own to write to.
    config.tables.setdefault("server", {}).setdefault("log_requests", Value(False, "default of open_jan"))
    async with Jan(config) as jan:
        yield jan
