from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.asgi import create_app
from jan_core.refusal import Refusal
from jan_core.serve import check_bind
from jan_core.testing.wired import wired

MakeKey = Callable[..., str]


def built(path: Path, host: str = "0.0.0.0") -> Jan:
    return wired(path.parent, {"server": {"host": host}}, plugins={"auth-keys": "jan_auth_keys"})


def test_with_a_key_the_server_may_be_reached_from_elsewhere(path: Path, make_key: MakeKey) -> None:
    make_key()
    for host in ("0.0.0.0", "::", "192.168.1.2", "my.box"):
        check_bind(built(path, host))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "there is no such file"),
        ("# nobody\n", "it holds no key that counts"),
        ("[keys.a]\nexpire = 1\n", "it holds no key that counts"),
        ("[keys", "it is not TOML"),
        ("", "it is empty"),
    ],
)
def test_without_a_key_it_may_not(path: Path, text: str | None, cause: str) -> None:
    path.parent.mkdir()
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refusal) as caught:
        check_bind(built(path))
    assert str(path) in caught.value.asked
    assert cause in caught.value.cause
    assert caught.value.remedy
    check_bind(built(path, "127.0.0.1"))


def test_expired_keys_do_not_count(path: Path, make_key: MakeKey) -> None:
    make_key("a", seconds=-1)
    with pytest.raises(Refusal, match="all of its keys have expired") as caught:
        check_bind(built(path))
    assert "jan keys add" in caught.value.remedy
    make_key("b", seconds=1000)
    check_bind(built(path))


def test_on_loopback_it_starts_without_a_key_and_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "jan"):
        create_app(built(path, "127.0.0.1"))
    assert "there is no such file, so nobody can use this server. Make a key: jan keys add NAME." in caplog.text


def test_a_file_that_cannot_be_read_refuses_the_start(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[keys")
    with pytest.raises(Refusal, match="it is not TOML"):
        create_app(built(path, "127.0.0.1"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_a_file_that_others_may_open_is_told(path: Path, make_key: MakeKey, caplog: pytest.LogCaptureFixture) -> None:
    make_key()
    with caplog.at_level(logging.WARNING, "jan"):
        create_app(built(path))
        assert caplog.text == ""
        path.chmod(0o664)
        create_app(built(path))
    assert f"others than its owner may read and write {path}: chmod 600" in caplog.text
