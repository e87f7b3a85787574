"""More than the server can do, starts that are refused, and requests from other people's pages."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.raw import CHAT, RawReply
from tests.e2e.server import MODEL, JanServer, add_model, run_jan, until, write_config
from tests.pinned import spec
from tests.smollm2 import GO_ON

HI: Any = [{"role": "user", "content": "hi"}]


@pytest.mark.faults
def test_ten_times_the_load_is_answered_or_429_and_health_stays_quick(
    tmp_path: Path, smollm2_path: Path, full_counts: bool
) -> None:
    write_config(tmp_path, jan_llamacpp={"slots": 2}, jan_workers={"queue": 2})
    add_model(tmp_path, MODEL, smollm2_path)
    replies: list[RawReply] = []
    with JanServer(tmp_path) as server:
        server.client().chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
        body: dict[str, Any] = {"model": MODEL, "messages": HI, "max_tokens": 15, **GO_ON}

        def load() -> None:
            for _ in range(20 if full_counts else 2):
                client = server.raw()
                client.chat(**body)
                replies.append(client.reply())

        threads = [threading.Thread(target=load) for _ in range(40)]
        for thread in threads:
            thread.start()
        http, times = server.http(), []
        pause = threading.Event()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            assert http.get("/health").status_code == 200
            times.append((time.monotonic() - began) * 1000)
            pause.wait(0.005)
        for thread in threads:
            thread.join()
        assert server.client().chat.completions.create(model=MODEL, messages=HI, max_tokens=1).choices
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    assert len(answered) + len(refused) == len(replies) == 40 * (20 if full_counts else 2)
    assert len(answered) >= 4, "what fits into slots and queue was not answered"
    assert len(refused) >= 20, "there was no queue to overflow"
    assert all(reply.json()["usage"]["completion_tokens"] == 15 for reply in answered)
    for reply in refused:
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert (reply.error()["type"], reply.error()["code"]) == ("rate_limit_error", "queue_full")
    p99 = sorted(times)[int(len(times) * 0.99)]
    assert p99 < (500 if full_counts else 2000), "where other tests run beside it, they slow it down too"
    print(
        f"\n{len(replies)} requests on 2 slots and 2 places: {len(answered)} answered, {len(refused)} refused; "
        f"/health: p99 {p99:.1f} ms of {len(times)}"
    )


def test_a_full_queue_reaches_the_official_client_as_its_rate_limit_error(tmp_path: Path, smollm2_path: Path) -> None:
    write_config(tmp_path, jan_llamacpp={"slots": 1}, jan_workers={"queue": 0})
    add_model(tmp_path, MODEL, smollm2_path)
    with JanServer(tmp_path) as server:
        client = server.client()
        endless: dict[str, Any] = {"model": MODEL, "messages": HI, "max_tokens": 900, **GO_ON}
        stream = client.chat.completions.create(**endless, stream=True)
        next(iter(stream))
        for streamed in (False, True):
            with pytest.raises(openai.RateLimitError) as refused:
                client.chat.completions.create(model=MODEL, messages=HI, stream=streamed)
            assert int(refused.value.response.headers["retry-after"]) >= 1
        stream.close()
        reply = until(lambda: try_once(client), 60, "the slot is free after the stream was closed")
        assert reply.choices


def try_once(client: openai.OpenAI) -> Any:
    try:
        return client.chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    except openai.RateLimitError:
        return None


def test_health_and_readiness_without_and_with_a_model(tmp_path: Path, smollm2_path: Path) -> None:
    write_config(tmp_path)
    with JanServer(tmp_path) as server:
        assert any("jan models pull" in line for line in server.stdout), "the start does not say how to get a model"
        http = server.http()
        assert http.get("/health").json() == {"status": "ok"}
        for query in ("ready", "ready=1"):
            reply = http.get(f"/health?{query}")
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
            assert "jan models pull" in reply.json()["error"]["message"]
        assert http.get("/v1/models").json() == {"object": "list", "data": []}
        with pytest.raises(openai.NotFoundError, match="jan models pull"):
            server.client().chat.completions.create(model=MODEL, messages=HI)
        add_model(tmp_path, MODEL, smollm2_path)
        assert http.get("/health?ready").json() == {"status": "ready"}
        assert not server.workers(), "readiness loaded a model"


def refused_start(root: Path, *arguments: str) -> str:
    done = run_jan("serve", "--root", str(root), *arguments)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_a_port_in_use_says_which_flag_to_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refused_start(tmp_path, "--port", str(port))
    assert str(port) in told
    assert "--port" in told


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_a_public_address_is_refused_without_authentication(tmp_path: Path, host: str) -> None:
    told = refused_start(tmp_path, "--host", host, "--port", "0")
    assert host in told
    assert "[plugins] use" in told


@pytest.mark.parametrize(
    ("config", "line", "named"),
    [
        ('[endpoints]\nchat = "chat-lamacpp"\n', "line 2", "chat-llamacpp"),
        ("[server]\nport = 1400\nprot = 1\n", "line 3", "port"),
        ("[jan-llamacpp]\nslot = 2\n", "line 2", "slots"),
        ('[jan-llamacpp]\n\nslots = "many"\n', "line 3", "slots"),
        ("[server]\nport = 99999\n", "line 2", "port"),
        ("[severs]\nport = 1\n", "line 2", "severs"),
        ("[server\nport = 1\n", "line 1", "jan.toml"),
        ('[plugins]\nuse = ["nothing-there"]\n', "line 2", "nothing-there"),
    ],
)
def test_a_bad_config_is_told_with_file_and_line(tmp_path: Path, config: str, line: str, named: str) -> None:
    (tmp_path / "jan.toml").write_text(config)
    told = refused_start(tmp_path, *([] if "port" in config else ["--port", "0"]))
    assert "jan.toml" in told
    assert line in told
    assert named in told


def test_a_wrong_flag_is_told_without_a_traceback(tmp_path: Path) -> None:
    for arguments in (["--port", "many"], ["--prot", "1"], ["--port", "70000"]):
        assert "--p" in refused_start(tmp_path, *arguments)


FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[::2]",
    "169.254.169.254",
    "localhost@evil",
    "",
]


@pytest.fixture(scope="module")
def census(shared: JanServer) -> list[tuple[str, str]]:
    """Every method and path that the server itself says it has."""
    paths = shared.http().get("/openapi.json").json()["paths"]
    found = [(method.upper(), re.sub(r"\{[^}]+\}", "x", path)) for path, ops in paths.items() for method in ops]
    assert ("POST", CHAT) in found
    assert ("DELETE", "/v1/models/x") in found
    return [*found, ("GET", "/health"), ("GET", "/openapi.json")]


def body_of(method: str) -> bytes:
    return b'{"model": "small", "messages": []}' if method == "POST" else b""


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused_on_every_route(shared: JanServer, census: list[tuple[str, str]], host: str) -> None:
    for method, path in census:
        for given in (host, f"{host}:{shared.port}"):
            with shared.raw() as client:
                client.ask(method, path, body_of(method), host=given)
                status, headers = client.head()
                assert status == 421, (method, path, given)
                assert headers["content-type"] == "application/json"


def test_its_own_names_are_answered(shared: JanServer) -> None:
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        for given in (host, f"{host}:{shared.port}"):
            with shared.raw() as client:
                client.ask("GET", "/v1/models", host=given)
                assert client.reply().status == 200, given


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
def test_a_foreign_page_is_refused_on_every_route(
    shared: JanServer, census: list[tuple[str, str]], origin: str
) -> None:
    for method, path in census:
        with shared.raw() as client:
            client.ask(method, path, body_of(method), origin=origin)
            status, headers = client.head()
            assert status == 403, (method, path)
            assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_json_routes_take_json_only(shared: JanServer, census: list[tuple[str, str]], kind: str) -> None:
    body = json.dumps({"model": MODEL, "messages": HI, "max_tokens": 1}).encode()
    for method, path in census:
        if method == "POST":
            with shared.raw() as client:
                client.ask(method, path, body, content_type=kind)
                assert client.reply().status == 415, path


def test_what_is_too_large_is_refused(shared: JanServer) -> None:
    with shared.raw() as client:
        client.ask("GET", "/v1/models", x_filler="x" * 100_000)
        reply = client.reply()
        assert (reply.status, reply.error()["code"]) == (431, "headers_too_large")
    with shared.raw() as client:
        client.ask("POST", CHAT, content_length=str(200 << 20), content_type="application/json")
        reply = client.reply()
        assert (reply.status, reply.error()["code"]) == (413, "request_too_large")


def test_unknown_paths_and_methods(shared: JanServer) -> None:
    http = shared.http()
    assert http.get("/v1/nothing").status_code == 404
    reply = http.put("/v1/models", json={})
    assert reply.status_code == 405
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("family", ["chat", "models"])
def test_every_operation_of_the_api_is_described(shared: JanServer, family: str) -> None:
    good, total, missing = spec().coverage(shared.http().get("/openapi.json").json(), family)
    assert missing == []
    assert good == total > 0


def test_help_needs_no_root() -> None:
    done = run_jan("serve", "--help")
    assert done.returncode == 0
    assert "--port" in done.stdout


def test_a_refusal_before_there_is_a_request_has_its_line_in_the_log_too(tmp_path: Path) -> None:
    write_config(tmp_path, server={"header_bytes": 4096, "body_seconds": 0.3})
    with JanServer(tmp_path) as server:
        with server.raw() as client:
            client.ask("GET", "/v1/models", cookie="x" * 9000)
            refused = client.reply()
        line = server.line_of(refused.headers["x-request-id"])
        assert (refused.status, line["status"], line["error"]) == (431, 431, "headers_too_large")
        assert (line["method"], line["route"]) == (None, None)
        with server.raw() as client:
            client.ask("POST", CHAT, b"{", content_length="100")
            refused = client.reply()
        line = server.line_of(refused.headers["x-request-id"])
        assert (refused.status, line["status"], line["error"]) == (408, 408, "request_timeout")
        assert (line["method"], line["route"]) == ("POST", CHAT)
