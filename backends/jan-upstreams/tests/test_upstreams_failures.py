from __future__ import annotations

import json
from typing import Any

import pytest
from jan_upstreams.failures import LATER, SHOWN, Failure, refused, unreachable, within

KEY = "sk-secret-0123456789"
TOO_LONG = (400, "context_length_exceeded", False, False)


def told(status: int, error: Any = None, **headers: str) -> Failure:
    body = json.dumps({"error": error}).encode() if error is not None else b"<html>"
    return refused("gpu1", status, headers, body, key=KEY, model="m")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"message": "no", "param": "messages[0].content"}, (400, None, False, False)),
        (400, {"message": "no", "code": "invalid_value"}, (400, "invalid_value", False, False)),
        (
            400,
            {"message": "no", "code": 400, "type": "exceed_context_size_error"},
            (400, "context_length_exceeded", False, False),
        ),
        (400, {"message": "This model's maximum context length is 5"}, TOO_LONG),
        (500, {"message": "input (9 tokens) is too large to process"}, TOO_LONG),
        (500, {"message": "image input is not supported"}, (400, "not_supported", False, False)),
        (501, {"message": "no"}, (400, "not_supported", False, False)),
        (400, {"message": "no", "code": "unsupported_parameter"}, (400, "not_supported", False, False)),
        (404, {"message": "no", "code": "model_not_found"}, (404, "model_not_found", True, False)),
        (401, {"message": "wrong key"}, (503, "upstream_unavailable", True, True)),
        (307, None, (503, "upstream_unavailable", True, True)),
        (429, {"message": "slow down"}, (429, "upstream_busy", True, False)),
        (500, None, (503, "upstream_failed", True, True)),
        (503, "text", (503, "upstream_failed", True, True)),
    ],
)
def test_replies(status: int, error: Any, expected: tuple[int, str | None, bool, bool]) -> None:
    found = told(status, error)
    assert (found.error.status, found.error.code, found.elsewhere, found.broken) == expected
    assert "gpu1" in found.error.message


def test_the_field_is_named_where_it_is_one() -> None:
    assert told(400, {"message": "no", "param": "messages[0].content"}).error.param == "messages[0].content"
    for param in ("<script>", 4, "a" * 500, KEY, None):
        assert told(400, {"message": "no", "param": param}).error.param is None


def test_what_a_stranger_says_is_short_and_clean_and_has_no_key() -> None:
    error = {"message": f"wrong {KEY}\x1b[31m\n" + "a" * 5000, "code": KEY, "type": KEY, "param": KEY}
    for status in (400, 404, 418, 429, 500):
        body = json.dumps(told(status, error).error.body())
        assert KEY not in body
        assert "\\u001b" not in body
        assert len(body) < SHOWN + 300
    assert KEY not in within("gpu1", error, KEY)
    assert within("gpu1", None, None) == "The upstream 'gpu1' broke off its answer."


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7), ("0", 1), ("-5", 1), ("1e999", 1), ("99999999", LATER), ("Wed, 21 Oct", 1), ("nan", 1)],
)
def test_when_to_ask_again(given: str, seconds: int) -> None:
    assert told(429, {}, **{"retry-after": given}).error.headers["Retry-After"] == str(seconds)


def test_who_is_not_there_is_left_alone() -> None:
    found = unreachable("gpu1", "cannot be reached", gone=True)
    assert (found.gone, found.broken, found.elsewhere, found.error.status) == (True, True, True, 503)
