"""Every error a caller of an operation can receive, in OpenAI's shape (`error.message/type/param/code`).

An implementation raises one of these from an operation; the HTTP layer turns it into the status and the body,
and a stream that has already begun turns it into an error event. Anything else that an operation raises is a
defect of the implementation: it is logged with its traceback and answered with a 500 that names the request id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping


class JanError(Exception):
    """An answer other than success.

    Args:
        message: what was asked, what was found, what to do; one or two sentences for a person.
        param: the request field at fault, in the form `messages[0].content`; None where no field is.
        code: a stable word a program can branch on, such as `model_not_found`; None where there is none.
        headers: extra reply headers, such as `Retry-After`.
    """

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else type(self).code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, dict[str, str | None]]:
        """The reply body: all four fields, always present."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def encoded(self) -> bytes:
        """The reply body as JSON."""
        return json.dumps(self.body()).encode()


class InvalidRequest(JanError):
    """400: the request itself is wrong; `param` names the field."""

    status = 400
    type = "invalid_request_error"


class NotSupported(InvalidRequest):
    """400: a valid OpenAI request that the chosen module does not do. Raised by optional operations left alone."""

    code = "not_supported"


class ContextLengthExceeded(InvalidRequest):
    """400: prompt and answer do not fit the model's context; nothing is cut silently.

    Args:
        context: tokens that prompt and answer may have together; None where nobody knows.
    """

    code = "context_length_exceeded"

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, context: int | None = None
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.context = context


class Unauthorized(JanError):
    """401: no key, or one that is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(JanError):
    """403: a known caller, or a web page, that may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(JanError):
    """404: no such object, or no such route."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """404: no installed model has this id."""

    code = "model_not_found"


class MethodNotAllowed(JanError):
    """405: the route exists, under another method."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class RequestTimeout(JanError):
    """408: the request did not arrive in time."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class Conflict(JanError):
    """409: the object changed, or an `Idempotency-Key` was used with another body."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class TooLarge(JanError):
    """413: the body is over the limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedMediaType(JanError):
    """415: a JSON route that was sent something else."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class Misdirected(JanError):
    """421: the `Host` is not this server's."""

    status = 421
    type = "invalid_request_error"
    code = "misdirected_request"


class HeadersTooLarge(JanError):
    """431: the header block is over the limit."""

    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"


class Busy(JanError):
    """429: the queue is full. Carries `Retry-After`, in whole seconds."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"

    def __init__(
        self, message: str, *, retry_after: int = 1, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, param=param, code=code, headers={"Retry-After": str(max(1, retry_after))})


class EngineError(JanError):
    """503: the engine stopped under this request; the next one starts it again, so asking again helps."""

    status = 503
    type = "server_error"
    code = "engine_error"


class Unavailable(JanError):
    """503: it will work later: starting, stopping, or a store that cannot be reached. Carries `Retry-After`."""

    status = 503
    type = "server_error"
    code = "unavailable"

    def __init__(
        self, message: str, *, retry_after: int = 1, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, param=param, code=code, headers={"Retry-After": str(max(1, retry_after))})
