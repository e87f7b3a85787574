from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jan_core.pull import request
from jan_core.pull.errors import PullError
from jan_core.pull.request import Broken, Limits, get
from jan_core.pull.source import Web, parse
from tests.pull_server import GGUF, FileServer, Served

LIMITS = Limits(connect=5.0, stall=5.0, waits=())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        running.files["/model.gguf"] = Served()
        yield running


def ask(url: str, environ: dict[str, str] | None = None) -> tuple[bytes, str | None]:
    web = parse(url, environ or {})
    assert isinstance(web, Web)
    with get(web, {}, LIMITS) as answer:
        return b"".join(answer.body()), answer.sha256


def redirect(server: FileServer, path: str, target: str, **headers: str) -> None:
    server.files[path] = Served(b"", status=302, headers={"Location": target, **headers})


def test_what_is_sent(server: FileServer) -> None:
    assert ask(server.url("/model.gguf?x=1"))[0] == GGUF
    path, headers = server.asked[0]
    assert path == "/model.gguf?x=1"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers


def test_a_redirect_on_the_same_origin_keeps_the_password(server: FileServer) -> None:
    redirect(server, "/start", "/model.gguf")
    assert ask(f"http://me:pw@127.0.0.1:{server.port}/start")[0] == GGUF
    assert [headers.get("authorization") for _, headers in server.asked] == ["Basic bWU6cHc="] * 2


def test_a_redirect_to_another_origin_drops_the_token_for_good(server: FileServer) -> None:
    with FileServer() as other:
        redirect(server, "/o/r/resolve/main/m.gguf", other.url("/hop"))
        redirect(other, "/hop", server.url())
        environ = {"HF_ENDPOINT": f"http://127.0.0.1:{server.port}", "HF_TOKEN": "hf_secret"}
        assert ask("hf:o/r/m.gguf", environ)[0] == GGUF
        assert [headers.get("authorization") for _, headers in server.asked] == ["Bearer hf_secret", None]
        assert [headers.get("authorization") for _, headers in other.asked] == [None]


def test_a_password_in_a_redirect_is_not_sent(server: FileServer) -> None:
    redirect(server, "/start", f"http://you:pw@127.0.0.1:{server.port}/model.gguf")
    assert ask(server.url("/start"))[0] == GGUF
    assert "authorization" not in server.asked[1][1]


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/x",
        "https://10.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "http://localhost:80/x",
        "file:///etc/passwd",
        "//192.168.0.1/x",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(server: FileServer, target: str) -> None:
    redirect(server, "/start", target)
    with pytest.raises(PullError, match=r"private address|was refused"):
        ask(server.url("/start"))
    assert len(server.asked) == 1


def test_a_redirect_to_nonsense(server: FileServer) -> None:
    redirect(server, "/start", "http://[::1/x")
    with pytest.raises(PullError, match="no address"):
        ask(server.url("/start"))


def test_five_redirects_and_no_more(server: FileServer) -> None:
    for n in range(1, 7):
        redirect(server, f"/{n}", f"/{n - 1}")
    server.files["/0"] = Served()
    assert ask(server.url("/5"))[0] == GGUF
    with pytest.raises(PullError, match="more than 5 times"):
        ask(server.url("/6"))


def test_only_the_hub_itself_tells_the_hash(server: FileServer) -> None:
    right = hashlib.sha256(GGUF).hexdigest()
    environ = {"HF_ENDPOINT": f"http://127.0.0.1:{server.port}"}
    with FileServer() as other:
        other.files["/m"] = Served(headers={"X-Linked-ETag": '"' + "0" * 64 + '"'})
        redirect(server, "/o/r/resolve/main/m.gguf", other.url("/m"), **{"X-Linked-ETag": f'"{right}"'})
        assert ask("hf:o/r/m.gguf", environ) == (GGUF, right)
        redirect(server, "/o/r/resolve/main/m.gguf", other.url("/m"), **{"X-Linked-ETag": '"' + "a" * 40 + '"'})
        assert ask("hf:o/r/m.gguf", environ) == (GGUF, None)
        assert ask(other.url("/m")) == (GGUF, None)


def test_a_proxy_is_used_where_one_is_set(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    with pytest.raises(Broken):  # it answers 501 to CONNECT
        ask("https://nothing.invalid/x.gguf")
    assert ask(server.url())[0] == GGUF  # never for this machine


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server for `localhost`, and its certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl program on this machine to make a certificate with")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(GGUF)))
            self.end_headers()
            self.wfile.write(GGUF)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that refuses the certificate

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, certificate
    server.shutdown()
    thread.join()
    server.server_close()


def test_certificates_are_checked_for_the_name(tls: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    port, certificate = tls
    request._trust.cache_clear()
    with pytest.raises(PullError, match="certificate of localhost is not trusted"):
        ask(f"https://localhost:{port}/x.gguf")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    request._trust.cache_clear()
    # The connection goes to the checked address; the name in the certificate is the one that was asked for.
    assert ask(f"https://localhost:{port}/x.gguf")[0] == GGUF
    with pytest.raises(PullError, match=r"certificate of 127\.0\.0\.1 is not trusted"):
        ask(f"https://127.0.0.1:{port}/x.gguf")
    request._trust.cache_clear()
