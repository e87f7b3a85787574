"""What the guard lets through, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from jan_core.guard import Guard
from jan_core.limits import Limits
from tests.sockets import HOST, LINUX, LOOPS, Client, Process, Reply, Server, serving

LOOPBACK = ["localhost", "127.0.0.1", "::1", "My.Host"]
LISTED = ["https://app.example", "http://localhost:3000/", "tauri://localhost"]
JSON = b"content-type: application/json\r\n"


def guarded(app: Any, **changed: Any) -> Guard:
    settings: dict[str, Any] = {"hosts": LOOPBACK, "origins": LISTED, "body_bytes": 1000}
    settings["multipart_paths"] = frozenset({"/v1/files", "/v1/uploads/{upload_id}/parts"})
    return Guard(app, **{**settings, **changed})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Limits(), LOOPS[0], guarded) as running:
        yield running


@pytest.fixture(scope="module")
def public() -> Iterator[Server]:
    def wrap(app: Any) -> Guard:
        return guarded(app, hosts=None, origins=["null"])

    with serving(Limits(), LOOPS[0], wrap) as running:
        yield running


def ask(server: Server, head: bytes, body: bytes = b"") -> Reply:
    client = server.connect()
    client.send(head + b"\r\n" + body)
    reply = client.reply()
    client.close()
    return reply


def checked(reply: Reply, status: int) -> Reply:
    assert reply.status == status, reply
    if status >= 400:
        error = json.loads(reply.body)["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        assert error["param"] is None
        assert reply.headers["content-type"] == "application/json"
        assert re.fullmatch("req_[0-9a-f]{24}", reply.headers["x-request-id"])
    return reply


GOOD_HOSTS = b"localhost LOCALHOST:1337 127.0.0.1:65535 [::1] [::1]:1337 [0:0:0:0:0:0:0:1]:8 my.host:1".split()
FOREIGN_HOSTS = b"evil.example localhost.evil evil.localhost 127.0.0.2 127.1 [::2] 0.0.0.0 host".split()
NO_HOSTS = [
    *b"localhost. localhost: localhost:80:80 localhost:abc localhost:-1 localhost:65536 localhost:999999".split(),
    *b"evil#localhost localhost#evil user@localhost localhost/.. localhost/ localhost?x http://localhost".split(),
    *b"localhost,evil localhost\\evil .localhost local..host -localhost %6cocalhost localhos\xf4 * localhost;".split(),
    *b"::1 [::1 [::1]x [::1%25lo] [127.0.0.1] [localhost] [:::1] []".split(),
    b"",
    b" ",
    b"localhost evil",
    b"localhost, localhost",
    b"a" * 64,
    b"a." * 200 + b"a",
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_own_hosts(server: Server, public: Server, host: bytes) -> None:
    for one in (server, public):
        checked(ask(one, b"GET /echo HTTP/1.1\r\nhost: %s\r\n" % host), 200)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_hosts(server: Server, public: Server, host: bytes) -> None:
    reply = checked(ask(server, b"GET /echo HTTP/1.1\r\nhost: %s\r\n" % host), 421)
    assert host.decode() in json.loads(reply.body)["error"]["message"]
    checked(ask(public, b"GET /echo HTTP/1.1\r\nhost: %s\r\n" % host), 200)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host(server: Server, public: Server, host: bytes) -> None:
    for one in (server, public):
        checked(ask(one, b"GET /echo HTTP/1.1\r\nhost: %s\r\n" % host), 421)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    "headers", [b"", b"host: localhost\r\nhost: localhost\r\n", b"x-forwarded-host: localhost\r\n"]
)
def test_no_host_or_two(server: Server, public: Server, version: bytes, headers: bytes) -> None:
    for one in (server, public):
        checked(ask(one, b"GET /echo HTTP/%s\r\n%s" % (version, headers)), 421)


ORIGINS = [
    (b"localhost:1337", b"http://localhost:1337", True),
    (b"LocalHost:1337", b"http://localhost:1337", True),
    (b"localhost", b"http://localhost", True),
    (b"localhost:80", b"http://localhost", True),
    (b"localhost", b"https://localhost", True),
    (b"localhost:443", b"https://localhost", True),
    (b"[::1]:1337", b"http://[::1]:1337", True),
    (b"localhost:443", b"http://localhost", False),
    (b"localhost:1337", b"http://localhost", False),
    (b"localhost:1337", b"http://localhost:1338", False),
    (b"localhost:1337", b"http://127.0.0.1:1337", False),
    (b"localhost:1337", b"ftp://localhost:1337", False),
    (b"localhost:1337", b"http://localhost:1337/", False),
    (b"localhost:1337", b"http://localhost:1337@evil.example", False),
    (b"localhost:1337", b"http://user@localhost:1337", False),
    (b"localhost:1337", b"http://localhost.evil:1337", False),
    (b"localhost:1337", b"localhost:1337", False),
    (b"localhost:1337", b"http://localhost:1337, http://localhost:1337", False),
    (b"localhost:1337", b"null", False),
    (b"localhost:1337", b"", False),
    (b"localhost:1337", b"*", False),
    (b"localhost:1337", b"https://evil.example", False),
    (b"localhost:1337", b"https://app.example.evil", False),
    (b"localhost:1337", b"http://app.example", False),
    (b"localhost:1337", b"a" * 5000, False),
]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE", b"OPTIONS"])
@pytest.mark.parametrize(("host", "origin", "good"), ORIGINS)
def test_origins(server: Server, method: bytes, host: bytes, origin: bytes, good: bool) -> None:
    preflight = b"access-control-request-method: POST\r\n" if method == b"OPTIONS" else b""
    head = b"%s /echo HTTP/1.1\r\nhost: %s\r\norigin: %s\r\n%s" % (method, host, origin, preflight)
    reply = checked(ask(server, head), 200 if good else 403)
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_two_origins(server: Server) -> None:
    own = b"origin: http://localhost\r\n"
    checked(ask(server, b"GET /echo HTTP/1.1\r\nhost: localhost\r\n" + own), 200)
    checked(ask(server, b"GET /echo HTTP/1.1\r\nhost: localhost\r\n" + own + own), 403)


@pytest.mark.parametrize("origin", [b"https://app.example", b"http://localhost:3000", b"tauri://localhost"])
def test_listed_origins(server: Server, origin: bytes) -> None:
    headers = HOST + b"origin: %s\r\nsec-fetch-site: cross-site\r\n" % origin
    asked = b"access-control-request-method: POST\r\naccess-control-request-headers: authorization, x-stainless-os\r\n"
    for reply in (
        checked(ask(server, b"GET /v1/models HTTP/1.1\r\n" + headers), 200),
        checked(ask(server, b"POST /echo HTTP/1.1\r\n" + headers + JSON + b"content-length: 2000\r\n"), 413),
        checked(ask(server, b"OPTIONS /v1/models HTTP/1.1\r\n" + headers), 200),
    ):
        assert reply.headers["access-control-allow-origin"] == origin.decode()
        assert reply.headers["vary"] == "origin"
        for name in ("x-request-id", "openai-poll-after-ms"):
            assert name in reply.headers["access-control-expose-headers"]
    client = server.connect()
    client.send(b"OPTIONS /v1/models HTTP/1.1\r\n" + headers + asked + b"\r\n")
    answer = client.file.readline()
    told = b"".join(iter(client.file.readline, b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"access-control-allow-origin: %s\r\n" % origin in told
    assert b"access-control-allow-headers: authorization, x-stainless-os\r\n" in told
    assert re.search(rb"access-control-allow-methods: .*\bPOST\b.*\bDELETE\b", told)
    assert b"vary: origin\r\n" in told
    assert b"x-request-id: req_" in told
    assert b"*" not in told
    client.send(b"GET /echo HTTP/1.1\r\n" + headers + b"\r\n")
    assert client.reply().status == 200


def test_null_where_it_is_listed(public: Server) -> None:
    reply = checked(ask(public, b"GET /echo HTTP/1.1\r\nhost: anything\r\norigin: null\r\n"), 200)
    assert reply.headers["access-control-allow-origin"] == "null"


@pytest.mark.parametrize(
    ("line", "site", "mode", "dest", "status"),
    [
        (b"GET /", b"cross-site", b"no-cors", b"image", 403),
        (b"GET /v1/models", b"cross-site", b"no-cors", b"image", 403),
        (b"GET /docs", b"cross-site", b"navigate", b"document", 200),
        (b"GET /docs", b"cross-site", b"navigate", b"iframe", 403),
        (b"POST /docs", b"cross-site", b"navigate", b"document", 403),
        (b"GET /v1/models", b"cross-site", b"navigate", b"document", 403),
        (b"GET /v1", b"cross-site", b"navigate", b"document", 403),
        (b"GET /v1x", b"cross-site", b"navigate", b"document", 200),
        (b"GET /v1/models", b"none", b"navigate", b"document", 200),
        (b"GET /v1/models", b"same-origin", b"cors", b"empty", 200),
        (b"GET /v1/models", b"same-site", b"cors", b"empty", 200),
        (b"GET /v1/models", b"CROSS", b"cors", b"empty", 403),
    ],
)
def test_requests_of_pages_without_an_origin(
    server: Server, line: bytes, site: bytes, mode: bytes, dest: bytes, status: int
) -> None:
    fetch = b"sec-fetch-site: %s\r\nsec-fetch-mode: %s\r\nsec-fetch-dest: %s\r\n" % (site, mode, dest)
    checked(ask(server, line + b" HTTP/1.1\r\n" + HOST + fetch), status)


FORM = b"multipart/form-data; boundary=x"
TYPES = [
    (b"/echo", b"application/json", 200),
    (b"/echo", b"Application/JSON ; charset=UTF-8", 200),
    (b"/echo", b'application/json;charset="utf-8"', 200),
    (b"/echo", b"application/json; profile=x", 200),
    (b"/echo", b"application/json; charset=utf-16", 415),
    (b"/echo", b"application/json; charset=utf-8; charset=utf-7", 415),
    (b"/echo", b"application/json, text/plain", 415),
    (b"/echo", b"application/jsonx", 415),
    (b"/echo", b"text/plain", 415),
    (b"/echo", b"text/plain; application/json", 415),
    (b"/echo", b"application/x-www-form-urlencoded", 415),
    (b"/echo", b"", 415),
    (b"/echo", None, 415),
    (b"/echo", FORM, 415),
    (b"/v1/files", FORM, 200),
    (b"/v1/files", b"text/plain", 415),
    (b"/v1/files/x", FORM, 415),
    (b"/v1/uploads/upload_1/parts", FORM, 200),
    (b"/v1/uploads/a/b/parts", FORM, 415),
]


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
@pytest.mark.parametrize(("path", "kind", "status"), TYPES)
def test_types(server: Server, method: bytes, path: bytes, kind: bytes | None, status: int) -> None:
    header = b"" if kind is None else b"content-type: %s\r\n" % kind
    for framing, body in (
        (b"content-length: 2\r\n", b"{}"),
        (b"transfer-encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    ):
        reply = ask(server, b"%s %s HTTP/1.1\r\n%s%s%s" % (method, path, HOST, header, framing), body)
        checked(reply, status)
        if status == 200:
            assert json.loads(reply.body)["size"] == 2


def test_requests_without_a_body_need_no_type(server: Server) -> None:
    for head in (b"POST /echo HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\ncontent-length: 0\r\n"):
        checked(ask(server, head + HOST), 200)
    for method in (b"GET", b"DELETE"):
        head = method + b" /echo HTTP/1.1\r\n" + HOST + b"content-type: text/plain\r\ncontent-length: 2\r\n"
        checked(ask(server, head, b"{}"), 200)


@pytest.mark.parametrize(("size", "status"), [(999, 200), (1000, 200), (1001, 413), (10**18, 413), (10**19, 413)])
def test_size_by_length(server: Server, size: int, status: int) -> None:
    client = server.connect()
    client.send(
        b"POST /echo HTTP/1.1\r\n" + HOST + JSON + b"content-length: %d\r\n\r\n" % size + b"x" * min(size, 1001)
    )
    reply = checked(client.reply(), status)
    assert reply.headers.get("connection") == ("close" if status == 413 else None)


def test_a_client_that_sends_everything_first_still_reads_the_answer(server: Server) -> None:
    client = server.connect()
    client.send(b"POST /echo HTTP/1.1\r\n" + HOST + JSON + b"content-length: 20000000\r\n\r\n")
    for _ in range(200):
        client.send(b"x" * 100_000)
    checked(client.reply(), 413)
    assert client.ended()


@pytest.mark.parametrize(("chunks", "status"), [(100, 200), (101, 413)])
def test_size_by_counting(server: Server, chunks: int, status: int) -> None:
    client = server.connect()
    client.send(b"POST /echo HTTP/1.1\r\n" + HOST + JSON + b"transfer-encoding: chunked\r\n\r\n")
    client.send(b"a\r\n0123456789\r\n" * chunks)
    if status == 200:
        client.send(b"0\r\n\r\n")
    checked(client.reply(), status)
    if status == 413:
        assert server.app.events.get(timeout=30).startswith("disconnect /echo")
        assert client.ended()


def test_a_refused_request_leaves_the_connection_usable_where_nothing_is_left_unread(server: Server) -> None:
    client = server.connect()
    client.send(b"GET /echo HTTP/1.1\r\nhost: evil\r\n\r\n")
    checked(client.reply(), 421)
    client.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
    checked(client.reply(), 200)


@LINUX
def test_200_mb_of_body_cost_no_memory() -> None:
    process = Process()
    try:
        before = process.warm()
        for framing, piece in ((b"content-length: 200000000", b"x" * 100_000), (b"transfer-encoding: chunked", None)):
            client: Client = process.connect()
            client.send(b"POST /echo HTTP/1.1\r\n" + HOST + JSON + framing + b"\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(2000):
                    client.send(piece or b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
            checked(client.reply(), 413)
        grown = process.peak() - before
        print(f"\n2 x 200 MB of body, limit 4 MB: peak {before:.1f} MB, grown by {grown:.1f} MB")
        assert grown < 24
    finally:
        process.close()


# Without a server: what does not come over HTTP/1.1, and the time it takes


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    pass


def test_websockets_are_closed_and_the_lifespan_passes() -> None:
    sent: list[Any] = []
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    guard = guarded(app)
    asyncio.run(guard({"type": "websocket", "headers": []}, receive, send))
    asyncio.run(guard({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert reached == ["lifespan"]


def test_an_id_that_the_request_already_has_is_left_to_the_layer_that_gave_it() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"request_id": "req_1"}}
    asyncio.run(guarded(nothing)(scope, nothing, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 421
    assert b"x-request-id" not in dict(sent[0]["headers"])


@pytest.mark.parametrize("origins", [["*"], ["app.example"], ["https://app.example/path"], ["https://*.example"]])
def test_lists_are_checked(origins: list[str]) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        guarded(nothing, origins=origins)
    with pytest.raises(ValueError, match="not a host"):
        guarded(nothing, hosts=["localhost:80"])


def test_it_takes_no_time() -> None:
    names = (b"user-agent", b"accept", b"authorization", b"x-stainless-os", b"x-stainless-lang", b"accept-encoding")
    headers = [(b"host", b"localhost:1337"), (b"content-type", b"application/json"), (b"content-length", b"100")]
    headers += [(name, b"something") for name in names]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}

    async def many(app: Any) -> float:
        best = 1.0
        for _ in range(20):
            began = time.process_time()
            for _ in range(500):
                await app(scope, nothing, nothing)
            best = min(best, time.process_time() - began)
        return best / 500 * 1e6

    cost = asyncio.run(many(guarded(nothing))) - asyncio.run(many(nothing))
    print(f"\nthe guard costs {cost:.1f} µs a request")
    assert cost < 10
