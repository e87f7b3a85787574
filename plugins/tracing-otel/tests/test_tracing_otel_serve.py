"""The plugin as a user has it: `jan serve` with a real model, and a collector beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.server import MODEL, JanServer, add_model, run_jan, write_config

PLUGINS = {"use": ["tracing-otel"]}


def test_a_real_answer_is_traced_and_the_rest_is_sent_at_the_end(
    tmp_path: Path, smollm2_path: Path, collector: Any
) -> None:
    # What waits goes when the server stops, so that nothing here depends on time.
    settings = {"endpoint": collector.url, "flush_seconds": 3600.0}
    write_config(tmp_path, plugins=PLUGINS, tracing_otel=settings)
    add_model(tmp_path, MODEL, smollm2_path)
    with JanServer(tmp_path) as server:
        client = server.client()
        messages: Any = [{"role": "user", "content": "Say something of treasure."}]
        reply = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=4)
        events = list(client.chat.completions.create(model=MODEL, messages=messages, max_tokens=4, stream=True))
        left = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=900, stream=True)
        next(left)
        next(left)
        left.close()
        server.http().get("/health")
    plain, stream, broken = [one for one in collector.spans if one.name == f"chat {MODEL}"]
    assert reply.usage is not None
    for span in (plain, stream):
        assert span.told["gen_ai.usage.input_tokens"] == reply.usage.prompt_tokens
        assert span.told["gen_ai.usage.output_tokens"] == 4
        assert span.told["gen_ai.response.finish_reasons"] == ["length"]
        assert span.told["gen_ai.response.model"] == MODEL
        assert span.told["server.port"] == server.port
    assert stream.told["gen_ai.response.id"] == events[0].id
    assert "gen_ai.first_token" in stream.events
    assert broken.told["error.type"] == "client_left"
    requests = {one.id: one for one in collector.spans if one.name == "POST /v1/chat/completions"}
    assert {one.parent for one in (plain, stream, broken)} == set(requests)
    assert requests[broken.parent].told["error.type"] == "client_left"
    assert collector.named("GET /health")
    assert b"treasure" not in collector.raw
    assert not [line for line in server.stderr if "traces" in line]


def test_without_a_collector_the_server_works_warns_once_and_stops_in_time(tmp_path: Path) -> None:
    write_config(tmp_path, plugins=PLUGINS, tracing_otel={"endpoint": "http://127.0.0.1:1", "flush_seconds": 0.01})
    with JanServer(tmp_path) as server:
        http = server.http()
        for _ in range(20):
            assert http.get("/health").status_code == 200
        server.stop()
        assert server.process.wait(30) == 0
    told = [line for line in server.stderr if not line.startswith("{")]
    assert len([line for line in told if "traces do not reach http://127.0.0.1:1/v1/traces" in line]) == 1
    assert [line for line in told if "20 spans were never sent" in line]
    assert len(told) == 2


def test_the_doctor_and_the_config_know_it(tmp_path: Path, collector: Any) -> None:
    write_config(tmp_path, plugins=PLUGINS, tracing_otel={"endpoint": collector.url})
    doctor = run_jan("doctor", "--root", str(tmp_path))
    assert f"traces reach {collector.url}/v1/traces" in doctor.stdout
    write_config(tmp_path, plugins=PLUGINS, tracing_otel={"endpiont": collector.url})
    refused = run_jan("serve", "--root", str(tmp_path), "--port", "0")
    assert refused.returncode == 2
    assert "did you mean 'endpoint'?" in refused.stderr


def test_only_the_chosen_plugin_is_imported(tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from jan_core.app import Jan
from jan_core.config import load
Jan(load(Path(sys.argv[1]), environ={}))
print(json.dumps([name for name in sys.modules if name.startswith(("jan_tracing_otel", "opentelemetry"))]))
"""

    def imported(**tables: Any) -> list[str]:
        write_config(tmp_path, **tables)
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        found: list[str] = json.loads(done.stdout)
        return found

    assert imported() == []
    assert "jan_tracing_otel.tracing" in imported(plugins=PLUGINS)
