"""What goes wrong at an upstream, as the caller of an operation is told of it.

An answer of another server is a stranger's text: it is cut to a sentence, and its key is taken out of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jan_core.errors import (
    Busy,
    ContextLengthExceeded,
    InvalidRequest,
    JanError,
    ModelNotFound,
    NotSupported,
    Unavailable,
)

SHOWN = 400
"""Characters of an upstream's own words that are told."""
LATER = 3600
"""Seconds of `Retry-After` that are handed on, at most."""
_TOO_LONG = re.compile(
    r"context (length|size|window)|maximum context|is too large to process|exceeds? .{0,40}\bcontext\b", re.IGNORECASE
)
_PARAM = re.compile(r"[a-z_]{1,40}(?:\[\d{1,6}\]|\.[A-Za-z_]{1,40}){0,8}")
_UNSUPPORTED = re.compile(r"\b(input|output)s? (is|are) not supported", re.IGNORECASE)
_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error")
_UNSUPPORTED_CODES = ("unsupported_parameter", "unsupported_value", "not_supported", "unsupported_feature")


class Failure(Exception):
    """An attempt that failed.

    Args:
        error: what the caller is told, where nobody else is asked.
        elsewhere: whether another server may do better.
        broken: whether the server itself is at fault, so that it is left alone for a while.
        gone: whether it is not even there.
        models: whether the server does not know the model, so that its models are looked at again.

    Attributes:
        upstream: whose it is, once it is known.
    """

    def __init__(
        self, error: JanError, *, elsewhere: bool = True, broken: bool = True, gone: bool = False, models: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.elsewhere = elsewhere
        self.broken = broken
        self.gone = gone
        self.models = models
        self.upstream = ""


def unreachable(name: str, why: str, *, gone: bool = False) -> Failure:
    """The server does not answer as servers do, or is not there at all."""
    message = f"The upstream {name!r} {why}. Ask again; if it stays so, look after that server."
    return Failure(Unavailable(message, code="upstream_unavailable"), gone=gone)


def refused(name: str, status: int, headers: Mapping[str, str], body: bytes, *, key: str | None, model: str) -> Failure:
    """A reply other than 200.

    Args:
        name: of the upstream.
        status: of the reply.
        headers: of the reply.
        body: the beginning of the reply's body.
        key: what is told to nobody.
        model: that was asked for.
    """
    told = _told(body)
    message, code = _text(told.get("message"), key), _word(told.get("code"), told.get("type"))
    said = f"The upstream {name!r} answered {status}" + (f": {message}" if message else ".")
    if status == 429:
        return Failure(Busy(said, retry_after=_seconds(headers), code="upstream_busy"), broken=False)
    if 300 <= status < 400:
        return unreachable(
            name, f"answered {status}, a redirect, which is never followed: give the address itself as url"
        )
    if status in (401, 403):
        return unreachable(name, f"does not take the key it is given ({status})")
    param = told.get("param")
    param = param if isinstance(param, str) and _PARAM.fullmatch(param) and not (key and key in param) else None
    if code in _CONTEXT_CODES or (status in (400, 413, 500) and _TOO_LONG.search(message)):
        return Failure(ContextLengthExceeded(said, param=param or "messages"), elsewhere=False, broken=False)
    if _UNSUPPORTED.search(message):
        return Failure(NotSupported(said, param=param or "messages"), elsewhere=False, broken=False)
    if status == 501 or code in _UNSUPPORTED_CODES:
        return Failure(NotSupported(said, param=param), elsewhere=False, broken=False)
    if status == 404 and code in ("model_not_found", "NotFoundError", "not_found_error"):
        missing = ModelNotFound(f"The upstream {name!r} has no model {model!r} any more.", param="model")
        return Failure(missing, broken=False, models=True)
    if status in (408, 409, 425):
        return Failure(Unavailable(said, code="upstream_unavailable"), broken=False)
    if 400 <= status < 500:
        return Failure(InvalidRequest(said, param=param, code=_safe(code, key)), elsewhere=False, broken=False)
    return Failure(Unavailable(said, retry_after=_seconds(headers), code="upstream_failed"))


def within(name: str, told: Any, key: str | None) -> str:
    """A sentence about the error that an upstream tells within a stream."""
    message = _text(told.get("message") if isinstance(told, dict) else told, key)
    return f"The upstream {name!r} broke off its answer" + (f": {message}" if message else ".")


def _told(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        error = found if isinstance(found, dict) else {}
    return {"message": error.get("detail"), **error}


def _text(value: Any, key: str | None) -> str:
    text = value if isinstance(value, str) else ""
    if key:
        text = text.replace(key, "…")
    text = " ".join(text.split())
    text = "".join(one for one in text if one.isprintable())
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _word(*values: Any) -> str | None:
    return next((one for one in values if isinstance(one, str)), None)


def _safe(code: str | None, key: str | None) -> str | None:
    known = code is not None and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", code) and not (key and key in code)
    return code if known else None


def _seconds(headers: Mapping[str, str]) -> int:
    try:
        return min(LATER, max(1, int(float(headers.get("retry-after", "1")))))
    except (ValueError, OverflowError):
        return 1
