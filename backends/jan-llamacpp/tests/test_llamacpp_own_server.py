"""The engine's own HTTP server, as a process that nobody else reaches it through."""

from __future__ import annotations

import http.server
import os
import socketserver
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_llamacpp.own_server import FOLDER, OwnServer, sweep

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets in Python")


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])) + self.headers["Authorization"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return

    def address_string(self) -> str:
        return "unix"


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path: that of a socket may have about a hundred bytes, and pytest's own folders have most of them."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def own(temporary: Path, request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    if request.param and sys.platform != "linux":
        pytest.skip("only Linux connects to a socket without a name")
    found = OwnServer(nameless=request.param)
    params = SimpleNamespace()
    found.prepare(params)
    assert params.api_keys == [found.key]
    with socketserver.ThreadingUnixStreamServer(params.hostnames[0], Echo) as server:
        import threading

        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found.listens(None)
        yield found
        found.close()
        server.shutdown()
        thread.join()


@posix
def test_it_is_asked_with_its_key_and_leaves_nothing(own: OwnServer, temporary: Path) -> None:
    for _ in range(3):
        assert own.ask("/x", b"{}") == b"{}Bearer " + own.key.encode()
    for folder in temporary.iterdir():
        assert folder.stat().st_mode & 0o077 == 0, "others can enter"
    own.close()
    assert not list(temporary.iterdir())
    with pytest.raises(OSError):
        own.ask("/x", b"{}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux connects to a socket without a name")
def test_on_linux_the_name_is_gone_while_it_listens(own: OwnServer, temporary: Path) -> None:
    named = [found.name for found in temporary.iterdir()]
    assert not named or not own._nameless


@posix
def test_what_killed_workers_left_is_swept(temporary: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = temporary / f"{FOLDER}{ended.pid}-abc"
    stale.mkdir()
    (stale / "engine.sock").touch()
    kept = [temporary / f"{FOLDER}{os.getpid()}-abc", temporary / f"{FOLDER}x", temporary / "other"]
    for path in kept:
        path.mkdir()
    sweep(str(temporary))
    assert sorted(temporary.iterdir()) == sorted(kept)


@posix
def test_a_path_that_is_too_long_for_a_socket_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    params, found = SimpleNamespace(), OwnServer()
    found.prepare(params)
    assert len(params.hostnames[0]) < 100
    found.close()
    assert not Path(params.hostnames[0]).parent.exists()
