from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[endpoints]
chat = []
completions = []
embeddings = []
runs = []
messages = "messages-postgresql"
[jan-postgresql]
dsn = "{dsn}"
"""


@pytest.fixture
def root(tmp_path: Path, dsn: str) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "jan.toml").write_text(CONFIG.format(dsn=dsn))
    return folder


def db(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jan_core.cli", "db", *arguments, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_what_is_pending_is_told_and_applied(root: Path) -> None:
    before = db(root, "status")
    assert (before.returncode, before.stderr) == (1, "")
    assert "pending  messages-postgresql  0001_messages.sql" in before.stdout
    done = db(root, "migrate", "--json")
    assert [one["name"] for one in json.loads(done.stdout)["applied"]] == [
        "0001_replies.sql",
        "0001_messages.sql",
        "0002_others.sql",
        "0003_copied.sql",
    ]
    assert db(root, "migrate").stdout == "Nothing was pending.\n"
    after = db(root, "status", "--json")
    assert after.returncode == 0
    told = json.loads(after.stdout)
    assert ([one["name"] for one in told["applied"]], told["pending"]) == (
        ["0001_replies.sql", "0001_messages.sql", "0002_others.sql", "0003_copied.sql"],
        [],
    )


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text(CONFIG.format(dsn="postgresql://someone:hidden@127.0.0.1:1/none"))
    told = db(tmp_path, "status")
    assert told.returncode == 2
    assert "jan.toml, line" in told.stderr
    assert "hidden" not in told.stderr + told.stdout
    assert "Traceback" not in told.stderr
