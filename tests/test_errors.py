from __future__ import annotations

import json

import pytest

from jan_core import errors
from jan_core.errors import Busy, ContextLengthExceeded, InvalidRequest, JanError, NotSupported, Unavailable
from tests.pinned import spec


def kinds() -> list[type[JanError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JanError)]
    assert len(found) >= 15
    return found


@pytest.mark.parametrize("kind", kinds())
def test_every_error_has_the_four_fields_a_status_and_a_docstring_that_begins_with_it(kind: type[JanError]) -> None:
    error = kind("It is so.", param="messages[0].content", code="special")
    assert error.body() == {
        "error": {"message": "It is so.", "type": kind.type, "param": "messages[0].content", "code": "special"}
    }
    assert json.loads(error.encoded()) == error.body()
    spec().validate("GET", "/v1/models", kind.status, error.body())
    assert str(error) == "It is so."
    bare = kind("It is so.").body()["error"]
    assert (bare["param"], bare["code"]) == (None, kind.code)
    if kind is not JanError:
        assert (kind.__doc__ or "").startswith(f"{kind.status}: ")
        assert kind.code or kind is InvalidRequest


def test_the_official_client_makes_its_own_errors_of_them() -> None:
    import openai

    expected = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        429: openai.RateLimitError,
    }
    statuses = {kind.status for kind in kinds()}
    assert {*expected, 405, 408, 413, 415, 421, 431, 500, 503} == statuses


def test_what_will_pass_says_when_to_ask_again() -> None:
    assert Busy("Full.", retry_after=7).headers == {"Retry-After": "7"}
    assert Busy("Full.", retry_after=0).headers == {"Retry-After": "1"}
    assert Unavailable("Starting.").headers == {"Retry-After": "1"}
    assert JanError("No.", headers={"Allow": "GET"}).headers == {"Allow": "GET"}


def test_what_is_too_long_may_say_how_much_fits() -> None:
    assert ContextLengthExceeded("Too long.").context is None
    assert ContextLengthExceeded("Too long.", param="messages", context=512).context == 512


def test_not_supported_is_a_bad_request() -> None:
    assert issubclass(NotSupported, InvalidRequest)
    assert (NotSupported("No.").status, NotSupported("No.").code) == (400, "not_supported")


def test_whatever_a_message_holds_the_body_is_ascii() -> None:
    raw = InvalidRequest("é \ud800 \n \x00", param="é").encoded()
    assert raw.isascii()
    assert json.loads(raw)["error"]["message"] == "é \ud800 \n \x00"
