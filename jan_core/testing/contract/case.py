"""An app under test, and the ways to ask it: as other modules do, and over HTTP as clients do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from jan_core import call
from jan_core.errors import JanError, NotSupported
from jan_core.testing.contract.hostile import ids
from jan_core.versions import built_for
from jan_core.wrapping import Layer, wrap

if TYPE_CHECKING:
    from types import TracebackType

    import httpx2

    from jan_core.app import Jan
    from jan_core.endpoint import Endpoint

T = TypeVar("T")


class Broken(AssertionError):
    """A promise that is not kept."""


class Case:
    """The app of one clause.

    An async context manager: it builds and enters the app, and closes it.

    Args:
        make: builds an app on the module under test.
        name: the endpoint's name.
        folder: an empty folder. The root lies two levels below it, so that an escape from the root shows.

    Attributes:
        jan: the app.
        http: an HTTP client whose requests go to the app.
        tested: the implementation, wrapped as the app wraps it.
    """

    def __init__(self, make: Callable[[Path], Jan], name: str, folder: Path) -> None:
        self._make = make
        self._name = name
        self._folder = folder
        self._stack = AsyncExitStack()
        self.root = folder / "around" / "root"
        self.jan: Jan
        self.http: httpx2.AsyncClient

    async def __aenter__(self) -> Self:
        from jan_core.inprocess import client

        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.jan = await self._stack.enter_async_context(self._make(self.root))
        self.http = await self._stack.enter_async_context(client(self.jan))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def tested(self) -> Endpoint:
        """The endpoint under test."""
        return self.jan.endpoints[self._name]

    def built_before(self, version: str) -> bool:
        """Whether the module under test declares that it was built for a jan-core before this version.

        Its requirement on jan-core says so, by its lower bound. A module that is not installed says nothing.
        """
        if "jan" not in vars(self):
            return False  # it could not even be built
        names, _ = self.jan.discovery.choices().get(self._name, ([], ""))
        tested = [chosen.installed.entry.dist for chosen, _ in self.jan.modules if chosen.name in names]
        told = [built_for(one) if one is not None else None for one in tested]
        return bool(told) and all(one is not None and one.from_before(version) for one in told)

    @asynccontextmanager
    async def again(self) -> AsyncIterator[Self]:
        """A second app on the same storage, as another process would be; the first goes on."""
        other = type(self)(self._make, self._name, self._folder)
        async with other:
            await other.follow(self)
            yield other

    @contextmanager
    def around(self, operation: str, wrapper: Callable[..., Awaitable[Any]]) -> Iterator[None]:
        """Put a wrapper around an operation of this app for a while, outermost.

        Args:
            operation: endpoint and operation, such as `messages.start`.
            wrapper: as one of a plugin, see `jan_core.wrapping`.
        """
        endpoint, _, name = operation.partition(".")
        implementation = self.jan.endpoints[endpoint]
        inner = getattr(implementation, name)
        wrapped = wrap(implementation, [Layer("the clause", {name: wrapper})])
        setattr(implementation, name, getattr(wrapped, name))
        try:
            yield
        finally:
            setattr(implementation, name, inner)

    async def follow(self, first: Self) -> None:
        """Have the endpoints in memory hold what those of another app do. For subclasses."""

    async def ask(self, operation: str, *arguments: Any, key: str | None = None) -> Any:
        """Call an operation as other modules do, and look whether the answer is what its class says.

        Args:
            operation: endpoint and operation, such as `messages.create`.
            arguments: by position.
            key: the `Idempotency-Key` of the request that this is part of.

        Raises:
            JanError: as it was raised.
            Broken: it raised anything else, or the answer is of another type than declared.
        """
        endpoint, _, name = operation.partition(".")
        implementation = self.jan.endpoints[endpoint]

        async def request() -> Any:
            call.enter(call.Call("req_contract", idempotency_key=key))
            return await getattr(implementation, name)(*arguments)

        try:
            reply = await asyncio.create_task(request())
        except JanError:
            raise
        except Exception as error:
            raise Broken(f"{operation}{_shown(arguments)} raised {error!r}") from error
        check_type(operation, implementation.operations()[name].types().reply, reply)
        return reply

    async def refused(self, kind: type[JanError], operation: str, *arguments: Any, **expected: Any) -> JanError:
        """Look that an operation refuses.

        Args:
            kind: the error's class.
            operation: see `ask`.
            arguments: by position.
            expected: attributes of the error, such as `param` and `code`; and `key`, see `ask`.

        Raises:
            Broken: it does not refuse, or otherwise.
        """
        what = f"{operation}{_shown(arguments)}"
        try:
            reply = await self.ask(operation, *arguments, key=expected.pop("key", None))
        except JanError as error:
            if not isinstance(error, kind):
                raise Broken(f"{what} is refused with {error!r}, and not with {kind.__name__}") from error
            for name, value in expected.items():
                if getattr(error, name) != value:
                    raise Broken(f"{what}: the error's {name} is {getattr(error, name)!r}, not {value!r}") from error
            return error
        raise Broken(f"{what} answered {reply!r} instead of refusing with {kind.__name__}")

    async def send(
        self, method: str, path: str, body: Any = None, *, query: dict[str, Any] | None = None, key: str | None = None
    ) -> tuple[int, Any]:
        """Send a request as a client does, and look whether the reply has the shape that every reply has.

        Args:
            method: of HTTP.
            path: below `/v1`, quoted.
            body: sent as JSON.
            query: parameters.
            key: the `Idempotency-Key`.

        Returns:
            Status, and the reply read as JSON.

        Raises:
            Broken: the server failed, or an error has not its shape.
        """
        headers = {"idempotency-key": key} if key is not None else {}
        reply = await self.http.request(method, path, json=body, params=query, headers=headers)
        what = f"{method} {path[:200]}"
        if reply.status_code >= 500 and reply.status_code != 501:
            raise Broken(f"{what} answered {reply.status_code}: {reply.text[:500]}")
        try:
            told = json.loads(reply.content)
        except ValueError:
            raise Broken(f"{what} answered {reply.status_code} and no JSON: {reply.text[:200]!r}") from None
        if reply.status_code >= 400:
            error = told.get("error") if isinstance(told, dict) else None
            if not isinstance(error, dict) or {"message", "type", "param", "code"} - set(error):
                raise Broken(f"{what}: an error has message, type, param and code; this is {told!r}")
        return reply.status_code, told

    async def not_supported(self, name: str) -> None:
        """Look that an optional operation that is left out says so, whatever it is given.

        Raises:
            Broken: it says anything else.
        """
        described = self.tested.operations()[name]
        given = getattr(self.tested, name)(*(None for _ in described.arguments))
        try:
            await (anext(given) if described.stream else given)
        except NotSupported:
            return
        except Exception as error:
            raise Broken(f"{self._name}.{name} is left out and must raise NotSupported, not {error!r}") from error
        raise Broken(f"{self._name}.{name} is left out and must raise NotSupported; it answered")

    def hostile_ids(self) -> tuple[str, ...]:
        """Ids of nothing; see `hostile.ids`."""
        return ids(self._folder)

    def escaped(self) -> list[str]:
        """What lies in the folder outside of the root."""
        inside = {self.root, self.root.parent}
        found = (path for path in self._folder.rglob("*") if path not in inside and self.root not in path.parents)
        return sorted(str(path.relative_to(self._folder)) for path in found)


def written(reply: BaseModel) -> Any:
    """A reply as a client reads it."""
    return json.loads(reply.__pydantic_serializer__.to_json(reply))


def same(what: str, found: T, wanted: T) -> None:
    """Look that two values are equal.

    Raises:
        Broken: they are not; both are told, of dictionaries only what differs.
    """
    if found != wanted:
        if isinstance(found, dict) and isinstance(wanted, dict):
            found, wanted = _but(found, wanted), _but(wanted, found)  # type: ignore[assignment]
        raise Broken(f"{what}: {_cut(found)} was found, and {_cut(wanted)} is right")


def holds(truth: object, what: str) -> None:
    """Look that something is true.

    Raises:
        Broken: it is not.
    """
    if not truth:
        raise Broken(what)


def segment(id: str) -> str:
    """An id as a part of a path."""
    return quote(id.encode("utf-8", "surrogatepass"), safe="")


def check_type(what: str, declared: Any, reply: Any) -> None:
    """Look whether an answer is of the type that an operation declares, all the way down.

    Raises:
        Broken: it is not.
    """
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        # A `Page` whose objects are notes is a `Page[Note]`, whatever it was made as.
        generic = declared.__pydantic_generic_metadata__["origin"]
        if not isinstance(reply, generic or declared):
            raise Broken(f"{what} answered a {type(reply).__name__}, and {declared.__name__} is declared")
        try:
            (declared if generic else type(reply)).model_validate(reply.model_dump(), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise Broken(f"{what} answered what its schema does not allow: {first['loc']}: {first['msg']}") from None
        return
    try:
        TypeAdapter(declared).validate_python(reply)
    except ValidationError as error:
        raise Broken(f"{what} answered {_cut(reply)}, which is not the declared {declared}: {error}") from None


async def settled(awaitables: list[Awaitable[T]]) -> list[T]:
    """The results of what runs at once; when one fails, after all have ended."""
    found = await asyncio.gather(*awaitables, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A task for what goes on during a block; the block awaits it where it wants to know what comes of it.

    Nothing of it is left after the block, however that ends: it is cancelled, and an error of it that nobody has asked
    for is no matter.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _shown(arguments: tuple[Any, ...]) -> str:
    return f"({', '.join(_cut(one) for one in arguments)})"


def _but(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in one.items() if name not in other or other[name] != value}


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:150]}…{text[-150:]}"
