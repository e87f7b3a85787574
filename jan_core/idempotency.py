"""`Idempotency-Key`: a request that is sent again under the same key is done once, and answered as the first time.

A store that makes an object asks `once` what the caller wants. Where that is not None, it keeps `key`, `fingerprint`
and the reply atomically with the write. When it finds the key kept already, it calls `check` with what was kept and
returns the kept reply.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jan_core import call
from jan_core.errors import Conflict, InvalidRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

LONGEST = 255
"""Characters of an `Idempotency-Key`, at most."""


@dataclass(frozen=True, slots=True)
class Once:
    """A wish that a request be done once.

    Attributes:
        key: stands for the header, the caller, the operation and its scope: 32 hexadecimal digits, so that it can be
            the name of a file whatever the client sent.
        fingerprint: stands for the body: 32 hexadecimal digits, the same for equal bodies.
    """

    key: str
    fingerprint: str

    def check(self, kept: str) -> None:
        """Return where the fingerprint kept under this key is this one.

        Raises:
            Conflict: it is another one, with code `idempotency_conflict`.
        """
        if kept != self.fingerprint:
            raise Conflict(
                "This Idempotency-Key came before with another body; send a new request under a new key.",
                code="idempotency_conflict",
            )


def once(operation: str, body: BaseModel, scope: str = "") -> Once | None:
    """What the call being served wants to be done once.

    Args:
        operation: the operation, such as `messages.create`.
        body: the request.
        scope: what else tells two requests apart, such as the thread's id: the same header in another scope is
            another key.

    Returns:
        None where the request has no `Idempotency-Key`, or where no request is being served.

    Raises:
        InvalidRequest: the header is empty or too long, with code `invalid_idempotency_key`.
    """
    context = call.current()
    header = context.idempotency_key if context is not None else None
    if context is None or header is None:
        return None
    if not 0 < len(header) <= LONGEST:
        raise InvalidRequest(
            f"Idempotency-Key: it has {len(header)} characters, and must have 1 to {LONGEST}.",
            code="invalid_idempotency_key",
        )
    return Once(
        key=_digest([context.key_name, operation, scope, header]),
        fingerprint=_digest(body.model_dump(mode="json", exclude_unset=True)),
    )


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
