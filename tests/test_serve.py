from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from pydantic import BaseModel

from jan_core.backend import Backend
from jan_core.refusal import Refusal
from jan_core.serve import bind, check_bind, is_loopback, run
from jan_core.testing.wired import wired
from tests.parts import part


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "localhost.evil", "my-laptop", "127.0.0.1.evil"])
def test_everything_else_is_public(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_a_public_bind_without_authentication_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_bind(wired(tmp_path, {"server": {"host": host}}))
    assert host in refused.value.asked
    assert "[plugins] use" in refused.value.remedy


@pytest.mark.parametrize(("says", "may"), [(True, True), (False, False), ("yes", False), (None, False)])
def test_a_plugin_that_authenticates_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: object, may: bool
) -> None:
    plugins = {"keys": part(monkeypatch, "keys", authenticates=lambda: says)}
    jan = wired(tmp_path, {"server": {"host": "0.0.0.0"}}, plugins=plugins)
    if may:
        check_bind(jan)
    else:
        with pytest.raises(Refusal):
            check_bind(jan)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use_names_the_flag_and_the_next_port(tmp_path: Path, taken: int) -> None:
    with pytest.raises(Refusal) as refused:
        bind(wired(tmp_path, {"server": {"port": taken}}))
    assert f"port {taken}" in refused.value.asked
    assert refused.value.cause == "another program uses that port"
    following = taken + 1 if taken < 65535 else 1337
    assert f"jan serve --port {following}" in refused.value.remedy


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1"])
def test_an_address_that_is_none_names_the_flag(tmp_path: Path, host: str) -> None:
    with pytest.raises(Refusal) as refused:
        bind(wired(tmp_path, {"server": {"host": host}}))
    assert "--host" in refused.value.remedy


def test_an_app_that_refuses_to_be_entered_is_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jan = wired(tmp_path, {"server": {"port": 0}})
    refusal = Refusal("[store] dsn", "the database is too old", "Take a newer one.")

    class Refusing(Backend):
        name = "jan-refusing"
        settings_model = BaseModel

        async def __aenter__(self) -> Self:
            raise refusal

    jan.backends[Refusing] = Refusing(None, jan)
    with pytest.raises(Refusal) as refused:
        run(jan, lambda address: pytest.fail("it is announced"))
    assert refused.value is refusal
    assert "Traceback" not in caplog.text


def test_a_free_port_is_taken_for_0(tmp_path: Path) -> None:
    with bind(wired(tmp_path, {"server": {"port": 0}})) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.getsockname()[1] > 0
        assert not listener.getblocking()
