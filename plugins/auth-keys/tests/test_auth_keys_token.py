from __future__ import annotations

import hashlib
import hmac
import math
import re

import pytest
from jan_auth_keys.token import Token, digest_of, new_token, read_token, written


def test_a_key_is_read_as_it_was_made() -> None:
    made = [new_token() for _ in range(200)]
    assert len({one.id for one in made}) == len({one.secret for one in made}) == 200
    for one in made:
        assert re.fullmatch(r"jan_[a-z0-9]{12}_[A-Za-z0-9]{43}", written(one))
        assert read_token(written(one).encode()) == one
    assert 43 * math.log2(62) > 256
    assert set(b"".join(one.secret for one in made)) == set(
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    )


def test_what_is_kept_is_a_hash_that_other_tools_compute_too() -> None:
    token = Token(b"abcdefghijkl", b"x" * 43)
    assert digest_of(token) == hmac.new(b"abcdefghijkl", b"x" * 43, hashlib.sha256).digest()
    assert digest_of(Token(b"abcdefghijkm", token.secret)) != digest_of(token)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"sk-1234",
        b"jan_abcdefghijkl_",
        b"jan_abcdefghijkl_" + b"x" * 42,
        b"jan_abcdefghijkl_" + b"x" * 44,
        b"jan_abcdefghijkl_" + b"x" * 42 + b"\n",
        b"jan_abcdefghijkl_" + b"x" * 43 + b"\n",
        b"jan_ABCDEFGHIJKL_" + b"x" * 43,
        b"jan_abcdefghijkl_" + b"\xff" * 43,
        b"x" * 100_000,
    ],
)
def test_what_has_not_the_form_of_a_key(text: bytes) -> None:
    assert read_token(text) is None
