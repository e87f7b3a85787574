"""Checks around the endpoints of a running app: what `jan serve --check` adds.

Both sides are looked at: what a caller gives, be it a client or another module, and what the implementation answers.
A broken promise is logged, and the request fails with it; nothing wrong is handed on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from jan_core import wrapping
from jan_core.errors import JanError
from jan_core.testing.contract.case import Broken, check_type

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.endpoint import Endpoint, Operation
    from jan_core.wrapping import Proceed

log = logging.getLogger("jan")


def check_all(jan: Jan) -> None:
    """Put the checks around every endpoint of an app that was built and is not entered yet."""
    jan.endpoints = {name: checked(endpoint) for name, endpoint in jan.endpoints.items()}


def checked(endpoint: Endpoint) -> Endpoint:
    """An endpoint with the checks around it."""
    return wrapping.wrap(endpoint, [wrapping.Layer("live checks", {"*": _check})])


async def _check(proceed: Proceed, *arguments: Any) -> Any:
    operation = proceed.operation
    _look_at_arguments(operation, arguments)
    try:
        reply = await proceed(*arguments)
    except (JanError, NotImplementedError):
        raise
    except Exception as error:
        raise _broken(
            operation, f"it raised {error!r}, and may only refuse with the errors of jan_core.errors"
        ) from error
    if operation.stream:
        return _events(operation, reply)
    try:
        check_type(operation.qualified, operation.types().reply, reply)
    except Broken as broken:
        raise _broken(operation, str(broken)) from None
    return reply


async def _events(operation: Operation, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for event in events:
            try:
                check_type(operation.qualified, operation.types().item, event)
            except Broken as broken:
                raise _broken(operation, str(broken)) from None
            yield event
    except JanError:
        raise
    except Exception as error:
        raise _broken(
            operation, f"it raised {error!r}, and may only refuse with the errors of jan_core.errors"
        ) from error
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _look_at_arguments(operation: Operation, arguments: tuple[Any, ...]) -> None:
    types = operation.types()
    given = {"body": types.body, "query": types.query, **dict.fromkeys(operation.parameters, str)}
    for name, value in zip(operation.arguments, arguments, strict=False):
        declared = given.get(name)
        if declared is not None and not isinstance(value, declared):
            told = (
                f"its caller gave the argument {name!r} as {type(value).__name__}, and {declared.__name__} is declared"
            )
            raise _broken(operation, told)


def _broken(operation: Operation, what: str) -> JanError:
    log.error("contract broken: %s: %s", operation.qualified, what)
    return JanError(f"{operation.qualified} broke its contract: {what}", code="contract_broken")
