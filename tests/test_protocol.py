"""The limits over real sockets: against a server in a thread, and one in a process where its memory is measured."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from jan_core.limits import Limits
from jan_core.protocol import LINGER_SECONDS, PIPELINED
from tests.sockets import HOST, KEPT_SECONDS, LINUX, LOOPS, Client, Process, Server, serving

SHORT = Limits(header_bytes=2048, header_count=100, header_seconds=0.2, body_seconds=0.25, write_seconds=0.3)
PATIENT = Limits(header_seconds=0.4, body_seconds=1, write_seconds=1)
"""For clients that are slow and must not be cut off: here a busy machine may hold the test itself up."""


@pytest.fixture(params=LOOPS, scope="module")
def short_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(SHORT, request.param) as server:
        yield server


@pytest.fixture(params=LOOPS, scope="module")
def patient(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(PATIENT, request.param) as server:
        yield server


@pytest.fixture
def short(short_server: Server) -> Server:
    while not short_server.app.events.empty():
        short_server.app.events.get()
    short_server.app.gate.clear()
    return short_server


# What must go on working


def test_keep_alive_and_a_body_in_pieces(short: Server) -> None:
    client = short.connect()
    for size in (0, 5, 300_000):
        client.send(b"POST /echo HTTP/1.1\r\n%scontent-length: %d\r\n\r\n" % (HOST, size))
        client.send(b"b" * size)
        assert json.loads(client.reply().body)["size"] == size


def test_a_chunked_body_and_its_trailers(short: Server) -> None:
    client = short.connect()
    client.send(b"POST /echo HTTP/1.1\r\n%stransfer-encoding: chunked\r\n\r\n" % HOST)
    client.send(b"3\r\nabc\r\n" * 2000 + b"0\r\nauthorization: Bearer late\r\n\r\n")
    told = json.loads(client.reply().body)
    assert told["size"] == 6000
    assert told["names"] == ["host", "transfer-encoding"]


def test_pipelined_requests_are_answered_in_order(short: Server) -> None:
    client = short.connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\n%s\r\n" % (n, HOST) for n in range(PIPELINED)))
    assert [json.loads(client.reply().body)["path"] for _ in range(PIPELINED)] == [f"/{n}" for n in range(PIPELINED)]


def test_an_idle_connection_is_kept_as_long_as_told(short: Server) -> None:
    client = short.connect()
    asked = time.monotonic()
    client.send(b"GET /echo HTTP/1.1\r\n%s\r\n" % HOST)
    assert client.reply().status == 200
    assert client.ended()
    # A loop's timers count whole milliseconds from the beginning of its turn: they may be that much too early.
    assert KEPT_SECONDS - 0.02 <= time.monotonic() - asked < 20


def test_an_idle_connection_outlives_the_header_limit(short: Server) -> None:
    client, slow = short.connect(), short.connect()
    client.send(b"GET /echo HTTP/1.1\r\n%s\r\n" % HOST)
    assert client.reply().status == 200
    slow.send(b"GET")
    slow.refused(408, "request_timeout")
    client.send(b"GET /echo HTTP/1.1\r\n%s\r\n" % HOST)
    assert client.reply().status == 200


def test_an_answer_may_take_longer_than_the_client_and_the_next_request_waits(short: Server) -> None:
    client, slow = short.connect(), short.connect()
    client.send(b"GET /gate HTTP/1.1\r\n%s\r\nGET /echo HT" % HOST)
    for _ in range(2):
        slow.send(b"GET")
        slow.refused(408, "request_timeout")
        slow = short.connect()
    client.send(b"TP/1.1\r\n%s\r\n" % HOST)
    short.app.gate.set()
    assert json.loads(client.reply().body)["path"] == "/gate"
    assert json.loads(client.reply().body)["path"] == "/echo"


def test_a_server_that_does_not_read_does_not_blame_the_client(short: Server) -> None:
    client, slow = short.connect(), short.connect()
    client.send(b"POST /gate HTTP/1.1\r\n%scontent-length: 400000\r\n\r\n" % HOST)
    client.send(b"b" * 200_000)
    for _ in range(2):
        slow.send(b"GET")
        slow.refused(408, "request_timeout")
        slow = short.connect()
    rest = threading.Thread(target=client.send, args=(b"b" * 200_000,))
    rest.start()  # on its way when the server begins to read
    short.app.gate.set()
    assert json.loads(client.reply().body)["size"] == 400_000
    rest.join()


def test_an_offer_to_upgrade_is_ignored_and_the_body_kept(short: Server) -> None:
    client = short.connect()
    head = b"%sconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\ncontent-length: 4\r\n\r\n" % HOST
    client.send(b"POST /echo HTTP/1.1\r\n" + head + b"bodyPOST /echo HTTP/1.1\r\n" + head)
    assert json.loads(client.reply().body) == {
        "size": 4,
        "path": "/echo",
        "names": ["connection", "content-length", "host"],
    }
    client.send(b"body")
    assert json.loads(client.reply().body)["size"] == 4


# 400 and 431


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/3.9\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: \x00\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnothex\r\n",
    ],
)
def test_what_is_not_http_gets_400(short: Server, request_: bytes) -> None:
    client = short.connect()
    client.send(request_)
    client.refused(400, "malformed_request")


def test_what_is_not_http_behind_a_request_does_not_spoil_its_answer(short: Server) -> None:
    client = short.connect()
    client.send(b"GET /gate HTTP/1.1\r\n%s\r\nHELLO\r\n\r\n" % HOST)
    client.send(b"more of it")
    short.app.gate.set()
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.ended()


def headers_of(size: int) -> bytes:
    start = b"GET /echo HTTP/1.1\r\n" + HOST + b"x: "
    return start + b"y" * (size - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 2048, 100_000])
def test_the_header_limit_is_exact_however_it_arrives(short: Server, step: int) -> None:
    for _ in range(2):
        good, bad = headers_of(2048), headers_of(2049)
        client = short.connect()
        for data in (good, good, bad):
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(ConnectionError):
                for start in range(0, len(data), step):
                    client.send(data[start : start + step])
            if data is good:
                assert client.reply().status == 200
        assert "2048 bytes" in client.refused(431, "headers_too_large")


@pytest.mark.parametrize("junk", [b"\r\n" * 5000, b"GET /" + b"a" * 5000, b"GET / HTTP/1.1\r\n" + b"a" * 5000])
def test_no_part_of_the_head_is_exempt(short: Server, junk: bytes) -> None:
    client = short.connect()
    client.send(junk)
    client.refused(431, "headers_too_large")


def test_trailers_and_chunk_extensions_are_limited(short: Server) -> None:
    for junk in (b"0\r\n" + b"a: b\r\n" * 2000, b"0\r\na: " + b"b" * 5000, b"5;" + b"e" * 5000):
        client = short.connect()
        client.send(b"POST /echo HTTP/1.1\r\n%stransfer-encoding: chunked\r\n\r\n" % HOST + junk)
        client.refused(431, "headers_too_large")
        assert short.app.events.get(timeout=30) == "disconnect /echo 0"


def test_the_number_of_headers(short: Server) -> None:
    client = short.connect()
    client.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 99 + b"\r\n")
    assert client.reply().status == 200
    client.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 100 + b"\r\n")
    assert "101 headers" in client.refused(431, "headers_too_large")


def test_too_many_requests_ahead_of_the_answers_end_the_connection(short: Server) -> None:
    client = short.connect()
    client.send(b"GET /gate HTTP/1.1\r\n%s\r\n" % HOST)
    with suppress(ConnectionError):
        client.send(b"GET / HTTP/1.1\r\n\r\n" * (PIPELINED + 2))
    assert client.ended()
    short.app.gate.set()
    assert short.app.events.get(timeout=30) == "disconnect /gate 0"


# 408


@pytest.mark.parametrize("start", [b"G", b"\r\n", b"GET / HTTP/1.1\r\nhost:", b"GET / HTTP/1.1\r\nhost: localhost\r\n"])
def test_headers_that_do_not_end(short: Server, start: bytes) -> None:
    fresh, used = short.connect(), short.connect()
    used.send(b"GET /echo HTTP/1.1\r\n%s\r\n" % HOST)
    assert used.reply().status == 200
    for client in (fresh, used):
        client.send(start)
    for client in (fresh, used):
        client.refused(408, "request_timeout")


def test_headers_that_begin_behind_a_request_and_do_not_end(short: Server) -> None:
    client = short.connect()
    client.send(b"GET /echo HTTP/1.1\r\n%s\r\nGET /ec" % HOST)
    assert client.reply().status == 200
    client.refused(408, "request_timeout")


def drip(client: Client) -> int:
    """Sends a byte each time that 20 ms bring no answer, until one is there; how many it took."""
    client.sock.settimeout(0.02)
    for dripped in range(1000):
        client.send(b"a")
        with suppress(TimeoutError):
            assert b" 408 " in client.sock.recv(1000)
            return dripped
    raise AssertionError("it drips for ever")


def test_headers_that_drip(short: Server) -> None:
    client = short.connect()
    client.send(b"GET / HTTP/1.1\r\nx: ")
    assert 0 < drip(client) < 100


def test_a_connection_without_a_byte_is_closed(short: Server) -> None:
    assert short.connect().ended()


@pytest.mark.parametrize("framing", [b"content-length: 10", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("start", [b"", b"9\r\nabc"])
def test_a_body_that_stops(short: Server, framing: bytes, start: bytes) -> None:
    client = short.connect()
    client.send(b"POST /echo HTTP/1.1\r\n%s%s\r\n\r\n" % (HOST, framing) + start)
    client.refused(408, "request_timeout")
    assert short.app.events.get(timeout=0.9 * LINGER_SECONDS).startswith("disconnect /echo")


def test_a_body_that_drips(short: Server) -> None:
    client = short.connect()
    client.send(b"POST /echo HTTP/1.1\r\n%scontent-length: 100000\r\n\r\n" % HOST)
    assert 0 < drip(client) < 100
    assert short.app.events.get(timeout=30).startswith("disconnect /echo")


def test_a_body_that_is_slow_but_comes_is_taken(patient: Server) -> None:
    client, pause, began = patient.connect(), threading.Event(), time.monotonic()
    client.send(b"POST /echo HTTP/1.1\r\n%scontent-length: 20000\r\n\r\n" % HOST + b"b" * 2000)
    for _ in range(9):
        pause.wait(0.15)
        client.send(b"b" * 2000)
    assert time.monotonic() - began > PATIENT.body_seconds
    assert json.loads(client.reply().body)["size"] == 20000


def test_a_body_that_stops_after_the_answer_began_ends_the_connection(short: Server) -> None:
    client = short.connect()
    client.send(b"POST /flood HTTP/1.1\r\n%scontent-length: 10\r\n\r\n" % HOST)
    with suppress(ConnectionResetError):
        while client.sock.recv(1 << 20):
            pass
    assert short.app.events.get(timeout=30) == "disconnect /flood"


def test_a_client_that_is_to_be_told_to_go_on_is_waited_for(short: Server) -> None:
    client, slow = short.connect(), short.connect()
    client.send(b"POST /gate HTTP/1.1\r\n%sexpect: 100-continue\r\ncontent-length: 4\r\n\r\n" % HOST)
    for _ in range(2):
        slow.send(b"GET")
        slow.refused(408, "request_timeout")
        slow = short.connect()
    short.app.gate.set()
    assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert client.file.readline() == b"\r\n"
    client.send(b"body")
    assert json.loads(client.reply().body)["size"] == 4


def test_an_answer_before_the_body_does_not_leave_the_connection_open_for_ever(short: Server) -> None:
    clients = [short.connect(), short.connect()]
    for client, rest in zip(clients, (b"aaa", b"aaaaaaa"), strict=True):
        client.send(b"POST /early HTTP/1.1\r\n%scontent-length: 10\r\n\r\naaa" % HOST)
        assert client.reply().status == 200
        client.send(rest)
    assert all(client.ended() for client in clients)


# Slow readers


@pytest.mark.parametrize("path", [b"/flood", b"/big"])
def test_a_client_that_does_not_read_is_dropped(short: Server, path: bytes) -> None:
    while not short.lost.empty():
        short.lost.get()
    client = short.connect(receive_buffer=4096)
    client.send(b"GET %s HTTP/1.1\r\n%s\r\n" % (path, HOST))
    short.lost.get(timeout=30)
    if path == b"/flood":
        assert short.app.events.get(timeout=30) == "disconnect /flood"


def test_a_slow_reader_that_reads_gets_it_all(patient: Server) -> None:
    client = patient.connect(receive_buffer=65536)
    client.send(b"GET /big HTTP/1.1\r\n%s\r\n" % HOST)
    began = time.monotonic()
    for _ in range(3):
        assert len(client.file.read(1_000_000)) == 1_000_000
        slow = patient.connect()
        slow.send(b"GET")
        slow.refused(408, "request_timeout")
    assert time.monotonic() - began > PATIENT.write_seconds
    assert len(client.file.read()) > 27_000_000


# Memory


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    running = Process()
    yield running
    running.close()


def flood(client: Client, piece: bytes, times: int) -> None:
    with suppress(ConnectionError):
        for _ in range(times):
            client.send(piece)


@LINUX
def test_64_mb_of_headers_cost_no_memory(process: Process) -> None:
    before = process.warm()
    client = process.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    flood(client, b"x: " + b"a" * 65531 + b"\r\n", 1024)
    client.refused(431, "headers_too_large")
    client = process.connect()
    client.send(b"GET / HTTP/1.1\r\nx: ")
    flood(client, b"a" * 65536, 1024)
    client.refused(431, "headers_too_large")
    grown = process.peak() - before
    print(f"\n2 x 64 MB of headers: peak {before:.1f} MB, grown by {grown:.1f} MB")
    assert grown < 8


@LINUX
def test_readers_that_do_not_read_cost_little_memory(process: Process) -> None:
    before = process.warm()
    idle = [process.connect(receive_buffer=4096) for _ in range(20)]
    for one in idle:
        one.send(b"GET /flood HTTP/1.1\r\n%s\r\n" % HOST)
    assert process.popen.stdout is not None
    assert [process.popen.stdout.readline() for _ in idle] == ["disconnect /flood\n"] * 20
    grown = process.peak() - before
    print(f"\n20 readers that do not read: peak {before:.1f} MB, grown by {grown:.1f} MB")
    assert grown < 16
