from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.command_line import Call, environment, jan_command
from tests.parts import Site

WRONG = """\
from jan_core.hookspecs import hookimpl
from jan_core.testing.memory_messages import MessagesInMemory

class Forgetful(MessagesInMemory):
    async def list(self, thread_id, query):
        page = await super().list(thread_id, query)
        page.data.clear()
        return page

@hookimpl
def provide_messages(settings, jan):
    return Forgetful(jan)
"""


def check(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """As a user runs it, in a folder of theirs."""
    (tmp_path / "home").mkdir(exist_ok=True)
    given = environment(HOME=str(tmp_path / "home"), JAN_ROOT=str(tmp_path / "root"), **more)
    command = jan_command("check", *arguments)
    return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=300, check=False)


def test_a_module_that_keeps_its_contract(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    done = check(tmp_path, "messages-json", PYTEST_ADDOPTS="--no-such-option")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("messages: ")]
    assert row[2:] == ["28", "28", "0", "0", "0"]
    assert not (tmp_path / "root").exists()


def test_a_module_that_does_not(tmp_path: Path, site: Site) -> None:
    site.add("jan-forgetful", {"jan_forgetful.py": WRONG}, {"modules": {"messages-forgetful": "jan_forgetful"}})
    done = check(tmp_path, "messages-forgetful", "--only", "06 or 07", PYTHONPATH=str(site.folder))
    assert done.returncode == 1
    assert "test_06_a_page_has_its_limit" in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("messages: ")]
    assert row[2:7] == ["28", "1", "0", "0", "1"]


def test_settings_come_from_the_file_that_is_named_and_from_no_other(tmp_path: Path, jan: Call) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "jan.toml").write_text('[messages-json]\nappend = "nowhere"\n')
    assert check(tmp_path, "messages-json", "-k", "07").returncode == 0
    refused = jan("check", "messages-json", "--config", tmp_path / "root" / "jan.toml")
    assert refused.code == 2
    assert "append = 'nowhere'" in refused.err
    assert "jan.toml, line 2" in refused.err


@pytest.mark.parametrize(
    ("module", "told"), [("messages-jsn", "did you mean 'messages-json'"), ("chat-heard", "there is no contract for")]
)
def test_what_has_no_contract_is_refused(jan: Call, site: Site, module: str, told: str) -> None:
    files = {
        "jan_heard.py": "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef doctor_checks(settings, jan): ...\n"
    }
    site.add("jan-heard", files, {"modules": {"chat-heard": "jan_heard"}})
    done = jan("check", module)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_without_pytest_it_says_what_to_install(jan: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jan_core.cli.check.find_spec", lambda name: None if name == "pytest" else find_spec(name))
    done = jan("check", "messages-json")
    assert done.code == 2
    assert 'pip install "jan-core[testing]"' in done.err
