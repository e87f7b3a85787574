from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from jan_core.discovery import import_name
from tests.command_line import Call, environment, jan_command

ENDPOINTS = sorted(one.name for one in entry_points(group="jan.endpoints") if one.value.startswith("jan_core."))
BUILT_ON = {"runs": ["jan-runs"]}
"""Endpoints whose modules begin with a class of an installed package, which has the operations; and that package."""
ACROSS_APPS = {10, 12, 18, 26, 30, 31, 38, 55, 56, 57, 58, 67, 68}
"""The clauses of runs that look at a second app on the same storage, which a dictionary cannot have."""


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, where git knows one name and no address."""
    (tmp_path / "gitconfig").write_text("[user]\nname = Zoe Author\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def is_formatted(repository: Path) -> None:
    for what in (("check",), ("format", "--check")):
        command = [sys.executable, "-m", "ruff", *what, "--no-cache"]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_module_of_every_endpoint(endpoint: str, jan: Call, empty: Path) -> None:
    done = jan("modules", "new", f"{endpoint}-mine")
    assert (done.code, done.err) == (0, "")
    assert "cd " + f'{endpoint}-mine\n    pip install -e ".[dev]"\n    pytest' in done.out
    repository = empty / f"{endpoint}-mine"
    is_formatted(repository)
    about = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    assert about["name"] == f"jan-{endpoint}-mine"
    assert about["dependencies"] == ["jan-core>=0.1,<1", *BUILT_ON.get(endpoint, []), "pydantic>=2.12"]
    assert about["authors"] == [{"name": "Zoe Author"}]
    assert about["entry-points"] == {"jan.modules": {f"{endpoint}-mine": f"jan_{endpoint}_mine"}}
    if endpoint in BUILT_ON:
        test = (repository / "tests" / "test_contract.py").read_text("utf-8")
        assert {int(number) for number in re.findall(r"^ {8}(\d+): ", test, re.MULTILINE)} == ACROSS_APPS
        assert "\nexpires_seconds = 600 " in (repository / "README.md").read_text("utf-8")
        return
    source = (repository / f"jan_{endpoint}_mine.py").read_text("utf-8")
    (declared,) = entry_points(group="jan.endpoints", name=endpoint)
    for operation in import_name(declared.value).operations().values():
        is_abstract = getattr(getattr(operation.endpoint, operation.name), "__isabstractmethod__", False)
        assert bool(re.search(rf" def {operation.name}\(\s*self", source)) == is_abstract


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["modules", "new", "mesages-sqlite"], "did you mean messages-sqlite?"),
        (["modules", "new", "messages"], "did you mean messages-<how>?"),
        (["modules", "new", "jan-messages-sqlite"], "did you mean messages-sqlite?"),
        (["modules", "new", "Messages-sqlite"], "did you mean messages-sqlite?"),
        (["modules", "new", "../messages-sqlite"], "a module is named <endpoint>-<how>"),
        (["modules", "new", "messages-a--b"], "can name no package"),
        (["modules", "new", "messages-" + "a" * 40], "40 characters at most"),
        (["modules", "new", "messages-json"], "'messages-json' is installed already"),
        (["modules", "new", "messages-x", "--description", 'a "word"'], "that text cannot stand in a package"),
        (["modules", "new", "messages-x", "--author", "a\nb"], "--author"),
        (["plugins", "new", "slow_log"], "can name no package"),
        (["plugins", "new", "server"], "Jan's own table"),
        (["plugins", "new", "audit-log"], "'audit-log' is installed already"),
        (["plugins", "new", "slow", "--wraps", "chat.crate"], "did you mean chat.create?"),
        (["endpoints", "new", "my-notes"], "a module's has a hyphen"),
        (["endpoints", "new", "chat"], "'chat' is installed already"),
        (["endpoints", "new", "class"], "something else already"),
        (["endpoints", "new", "pages"], "something else already"),
        (["endpoints", "new", "config"], "something else already"),
        (["endpoints", "new", "verylongwordsindeed"], "16 characters at most"),
    ],
)
def test_what_cannot_be_is_refused(jan: Call, empty: Path, arguments: list[str], told: str) -> None:
    done = jan(*arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert list(empty.iterdir()) == []


def test_a_folder_that_holds_something_is_left_as_it_is(jan: Call, empty: Path) -> None:
    (empty / "slow").mkdir()
    (empty / "slow" / "mine.txt").write_text("mine")
    done = jan("plugins", "new", "slow")
    assert (done.code, done.out) == (2, "")
    assert "not an empty folder" in done.err
    assert [path.name for path in (empty / "slow").iterdir()] == ["mine.txt"]
    (empty / "file").touch()
    assert jan("plugins", "new", "slow", "--folder", "file").code == 2
    (empty / "there").mkdir()
    assert jan("plugins", "new", "slow", "--folder", "there").code == 0
    assert (empty / "there" / "jan_slow.py").is_file()


@pytest.mark.parametrize("group", ["modules", "plugins", "endpoints"])
def test_without_copier_it_says_what_to_install(
    jan: Call, empty: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    looked = "jan_core.cli.new_repository.find_spec"
    monkeypatch.setattr(looked, lambda name: None if name == "copier" else find_spec(name))
    done = jan(group, "new", {"modules": "chat-mine", "plugins": "mine", "endpoints": "notes"}[group])
    assert (done.code, done.out) == (2, "")
    assert 'pip install "jan-core[new]"' in done.err
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["modules"], ["modules", "new", "--help"], ["plugins", "--help"]])
def test_copier_is_imported_by_nothing_else(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", *jan_command(*arguments)[1:]]
    given = environment(JAN_ROOT=str(tmp_path / "root"), TYPER_USE_RICH="0")
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=True)
    assert "jan_core.cli" in done.stderr
    for name in ("copier", "jinja2", "jan_core.cli.new_package", "jan_core.testing"):
        assert f"| {name}" not in done.stderr.replace("|   ", "| ").replace("  ", " ")


def test_alone_they_tell_what_they_do(jan: Call) -> None:
    for group in ("plugins", "endpoints"):
        done = jan(group)
        assert "new" in done.out + done.err
