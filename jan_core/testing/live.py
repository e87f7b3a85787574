"""Checks around the endpoints of a running app: what `jan serve --check` adds.

Both sides are looked at: what a caller gives, be it a client or another module, and what the implementation answers.
What is looked at is said by `Watch`, and by the contract of the endpoint, in `live`. The first broken promise is
logged, and the request fails with it: a stream is closed, and nothing wrong is handed on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jan_core import wrapping
from jan_core.errors import JanError
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.watch import CODE, Watch
from jan_core.testing.contracts import contract_of

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.endpoint import Endpoint, Operation
    from jan_core.testing.contract.clauses import Contract
    from jan_core.wrapping import Proceed

log = logging.getLogger("jan")


def check_all(jan: Jan) -> None:
    """Put the checks around every endpoint of an app that was built and is not entered yet.

    Raises:
        Refusal: the contract of an endpoint is installed and cannot be used.
    """
    asked = "jan serve --check"
    jan.endpoints = {name: checked(one, contract_of(name, asked)) for name, one in jan.endpoints.items()}


def checked(endpoint: Endpoint, contract: type[Contract] | None = None) -> Endpoint:
    """An endpoint with the checks around it.

    Args:
        endpoint: the implementation, with whatever is around it already.
        contract: whose `live` checks are made besides those that every operation gets.
    """
    watches: Mapping[str, type[Watch]] = {} if contract is None else contract.live

    async def check(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        operation = proceed.operation
        if not endpoint.supports(operation.name):
            return await proceed(*arguments, **named)  # it refuses, whatever it is given
        with _looking(operation):
            given = {**dict(zip(operation.arguments, arguments, strict=False)), **named}
            watch = watches.get(operation.name, Watch)(operation, given)
            watch.asked()
        try:
            reply = await proceed(*arguments, **named)
        except Exception as error:
            with _looking(operation):
                watch.refused(error)
            raise
        if operation.stream:
            return _events(watch, operation, reply)
        with _looking(operation):
            watch.answered(reply)
        return reply

    return wrapping.wrap(endpoint, [wrapping.Layer("live checks", {"*": check})])


async def _events(watch: Watch, operation: Operation, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    failing = True
    try:
        while True:
            try:
                event = await anext(events)
            except StopAsyncIteration:
                with _looking(operation):
                    watch.ended()
                failing = False
                return
            except Exception as error:
                with _looking(operation):
                    watch.refused(error)
                raise
            with _looking(operation):
                watch.event(event)
            yield event
    except GeneratorExit:
        failing = False
        raise
    finally:
        close: Callable[[], Any] | None = getattr(events, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception as error:
                told = _broken(operation, f"closing its stream raised {error!r}")
                if not failing:
                    raise told from error


@contextmanager
def _looking(operation: Operation) -> Iterator[None]:
    """Have what is found be told as an error; also that a check fails by itself, which is a defect of the check."""
    try:
        yield
    except Broken as broken:
        raise _broken(operation, str(broken)) from broken.__cause__
    except Exception as error:
        raise _broken(operation, f"a live check of it failed by itself, and raised {error!r}") from error


def _broken(operation: Operation, what: str) -> JanError:
    log.error("contract broken: %s: %s", operation.qualified, what)
    return JanError(f"{operation.qualified} broke its contract: {what}", code=CODE)
