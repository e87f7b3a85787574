from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.server import LINUX, JanServer, until, write_config

from .conftest import lines_of


@LINUX
@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
@pytest.mark.parametrize("settings", [{}, {"fsync": True}, {"required": True}])
def test_what_was_answered_is_in_the_log_though_the_server_is_killed(tmp_path: Path, settings: dict[str, bool]) -> None:
    root = tmp_path / "root"
    write_config(root, plugins={"use": ["audit-log"]}, audit_log=settings)
    answered: list[str] = []
    for _ in range(2):
        with JanServer(root) as server:
            threads = server.client().beta.threads
            for _ in range(40):
                answered.append(threads.create().id)
            server.stop(signal.SIGKILL)
            server.process.wait(60)
    with JanServer(root):
        file = root / "logs" / "audit.jsonl"
        until(lambda: len([line for line in lines_of(file) if line["event"] == "ended"]) == 80, 60, "every line")
    ended = [line for line in lines_of(file) if line["event"] == "ended"]
    assert [line["object"] for line in ended] == answered
    assert all(line["operation"] == "threads.create" and line["status"] == 200 for line in ended)
