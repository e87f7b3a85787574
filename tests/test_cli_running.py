from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jan_core.cli.running import ask
from jan_core.errors import InvalidRequest, JanError, Unavailable
from tests.command_line import root_with


class Server:
    """Answers every request in the same way, and remembers what it was asked."""

    def __init__(self, status: int, reply: bytes) -> None:
        self.asked: list[tuple[str, str, bytes, str | None]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked.append((self.command, self.path, body, self.headers.get("Authorization")))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(reply)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(status: int = 200, reply: Any = None) -> Server:
        made.append(Server(status, reply if isinstance(reply, bytes) else json.dumps(reply).encode()))
        return made[-1]

    yield start
    for server in made:
        server.close()


def test_the_address_is_that_of_the_config(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAN_API_KEY", raising=False)
    server = serve(200, {"data": 1})
    root = root_with(tmp_path, f'[server]\nhost = "0.0.0.0"\nport = {server.port}\n')
    assert ask(root, None, None, "GET /engines/models") == {"data": 1}
    monkeypatch.setenv("JAN_API_KEY", "secret")
    assert ask(root, None, None, "POST /engines/load", {"model": "é"}) == {"data": 1}
    assert server.asked == [
        ("GET", "/engines/models", b"", None),
        ("POST", "/engines/load", b'{"model": "\\u00e9"}', "Bearer secret"),
    ]


@pytest.mark.parametrize(
    "form", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://127.0.0.1:{}/v1", "http://127.0.0.1:{}/"]
)
def test_the_flag_goes_before_it_in_any_usual_form(serve: Callable[..., Server], form: str) -> None:
    server = serve(200, {})
    assert ask(None, None, form.format(server.port), "GET /x") == {}
    assert server.asked[0][1] == "/x"


def test_a_server_that_does_not_run_is_said_so(serve: Callable[..., Server]) -> None:
    server = serve()
    server.close()
    with pytest.raises(Unavailable, match=r"No server answers at 127\.0\.0\.1:\d+ \(.+\)\. Start it: jan serve"):
        ask(None, None, f"127.0.0.1:{server.port}", "GET /x")


def test_what_the_server_says_is_passed_on(serve: Callable[..., Server]) -> None:
    error = {"error": {"message": "It is in use.", "type": "t", "param": "model", "code": "model_in_use"}}
    with pytest.raises(JanError, match=r"^It is in use\.$") as told:
        ask(None, None, f"127.0.0.1:{serve(409, error).port}", "POST /x", {})
    assert told.value.code == "model_in_use"


@pytest.mark.parametrize(("status", "reply"), [(200, b"<html>"), (404, b""), (200, b"[]"), (500, b'{"error": "no"}')])
def test_another_program_is_told_from_jan(serve: Callable[..., Server], status: int, reply: bytes) -> None:
    with pytest.raises(InvalidRequest, match="is not Jan"):
        ask(None, None, f"127.0.0.1:{serve(status, reply).port}", "GET /x")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://:80"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="that is no address"):
        ask(None, None, url, "GET /x")
