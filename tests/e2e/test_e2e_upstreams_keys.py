"""Keys of upstreams: they reach nobody else, by whatever way, and are told to nobody; and which hosts are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from tests.e2e.raw import CHAT
from tests.e2e.server import JanServer, run_jan, until
from tests.e2e.upstreams import MODEL, OTHER_SECRET, SECRET, asked, everything_written, jan_before, said, streamed
from tests.upstreams import front
from tests.upstreams.process import Scripted


@pytest.fixture(scope="module")
def behind() -> Iterator[Scripted]:
    with Scripted(models=[MODEL]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def stranger() -> Iterator[Scripted]:
    """Another server, of whom the config says nothing."""
    with Scripted(models=[MODEL]) as other:
        yield other


@pytest.fixture(autouse=True)
def _calm(behind: Scripted, stranger: Scripted) -> None:
    behind.calm()
    stranger.calm()
    behind.control(key=SECRET)


@pytest.fixture(scope="module")
def jan(tmp_path_factory: pytest.TempPathFactory, behind: Scripted) -> Iterator[JanServer]:
    described = {"name": "one", "url": behind.url, "key_env": "THEIR_KEY", "models": [MODEL]}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("THEIR_KEY", SECRET)
        server = jan_before(tmp_path_factory.mktemp("keys") / "root", described)
    with server:
        yield server
        written = everything_written(server)
    assert SECRET not in written
    assert SECRET[3:15] not in written


def test_the_key_is_sent_and_the_clients_own_is_not(jan: JanServer, behind: Scripted) -> None:
    def answered() -> httpx2.Response | None:
        reply = httpx2.post(
            f"http://127.0.0.1:{jan.port}{CHAT}",
            json={"model": MODEL, "messages": said("hello")},
            headers={"authorization": "Bearer jan_of_the_client", "cookie": "session=1", "x-secret": "2"},
        )
        return reply if reply.status_code == 200 else None

    reply = until(answered, 30, "an answer")
    assert reply is not None
    assert SECRET not in reply.text + str(reply.headers)
    for one in behind.told()["requests"]:
        assert one["headers"].get("authorization") == f"Bearer {SECRET}"
        assert "jan_of_the_client" not in json.dumps(one)
        assert "cookie" not in one["headers"]
        assert "x-secret" not in one["headers"]


def test_a_key_in_a_file(tmp_path: Path, behind: Scripted) -> None:
    file = tmp_path / "their.key"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    with jan_before(tmp_path / "root", {"name": "one", "url": behind.url, "key_file": str(file)}) as server:
        assert asked(server.client(), said("hello")) == "hello "
        assert SECRET not in everything_written(server)


def test_a_wrong_key_is_the_servers_fault_and_not_the_clients(
    tmp_path: Path, behind: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", OTHER_SECRET)
    with jan_before(
        tmp_path / "root", {"name": "one", "url": behind.url, "key_env": "THEIR_KEY", "models": [MODEL]}
    ) as server:
        with pytest.raises(openai.InternalServerError) as told:  # 5xx: 401 would mean the client's own key
            asked(server.client(), said("hello"))
        assert OTHER_SECRET not in str(told.value.body) + everything_written(server)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_key_that_an_upstream_says_back_is_told_to_nobody(jan: JanServer, behind: Scripted, status: int) -> None:
    body = {
        "error": {"message": f"Incorrect API key provided: {SECRET}.", "type": SECRET, "code": SECRET, "param": SECRET}
    }
    behind.fault("status", status=status, body=body, headers={"x-key": SECRET, "retry-after": "1"})
    for stream in (False, True):
        reply = jan.http().post(CHAT, json={"model": MODEL, "messages": said("hello"), "stream": stream})
        assert reply.status_code >= 400
        assert SECRET not in reply.text + str(reply.headers)
    behind.control(fault={"kind": "error-event", "after": 1, "body": body}, forget=True)

    def asked_it() -> str:
        text = jan.http().post(CHAT, json={"model": MODEL, "messages": said("hello"), "stream": True}).text
        return text if behind.answers() else ""  # after failures it may be left alone for a while

    reply = until(asked_it, 30, "the upstream is asked again")
    assert '"error"' in reply
    assert SECRET not in reply


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("how", ["origin", "same-host", "scheme-relative"])
def test_a_redirect_takes_the_key_nowhere(
    jan: JanServer, behind: Scripted, stranger: Scripted, status: int, how: str
) -> None:
    target = {
        "origin": f"http://127.0.0.1:{stranger.port}/v1/chat/completions",
        "same-host": f"http://localhost:{stranger.port}/v1/chat/completions",
        "scheme-relative": f"//127.0.0.1:{stranger.port}/v1/chat/completions",
    }[how]
    headers = {"location": target}
    behind.fault("status", status=status, headers=headers, body={}, everywhere=True)
    with pytest.raises(openai.APIStatusError) as told:
        asked(jan.client(), said("private words"))
    assert told.value.status_code >= 500
    with pytest.raises(openai.APIStatusError):
        streamed(jan.client(), said("private words"))
    came = stranger.told()["requests"]
    assert all("authorization" not in one["headers"] for one in came), "the key went to another origin"
    assert "private words" not in json.dumps(came), "the conversation went to another origin"


def test_only_hosts_that_the_config_names_are_asked(tmp_path: Path, stranger: Scripted) -> None:
    """No field of a request names an upstream: addresses in it are nothing but text."""
    with jan_before(tmp_path / "root", {"name": "one", "url": "http://127.0.0.1:9/v1", "models": [MODEL]}) as server:
        http = server.http()
        for model in (f"{MODEL}@http://127.0.0.1:{stranger.port}/v1", f"http://127.0.0.1:{stranger.port}/v1", "@one"):
            for more in ({}, {"base_url": stranger.url}, {"api_base": stranger.url}):
                reply = http.post(CHAT, json={"model": model, "messages": said("hello"), **more})
                assert 400 <= reply.status_code < 500
    assert stranger.told()["requests"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@127.0.0.1:8000/v1",
        "ftp://127.0.0.1/v1",
        "file:///etc/passwd",
        "127.0.0.1:8000",
        "http://",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1/v1?key=abc",
        "http://127.0.0.1/v1#abc",
    ],
)
def test_an_address_that_is_none_refuses_the_start(tmp_path: Path, url: str) -> None:
    root = front.write(tmp_path / "root", {"name": "one", "url": url})
    done = run_jan("serve", "--root", str(root), "--port", "0")
    assert done.returncode != 0
    assert "url" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pass@" not in done.stderr, "a password is told"


def test_a_key_that_is_not_there_refuses_the_start(tmp_path: Path, behind: Scripted) -> None:
    for more in ({"key_env": "NO_SUCH_VARIABLE"}, {"key_file": str(tmp_path / "none")}):
        root = front.write(tmp_path / "root", {"name": "one", "url": behind.url, **more})
        done = run_jan("serve", "--root", str(root), "--port", "0")
        assert done.returncode != 0
        assert next(iter(more.values())) in done.stderr
        assert "Traceback" not in done.stderr
