from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from jan_core.cli import COMMANDS
from jan_core.cli.options import config_from, same_root, unread
from jan_core.discovery import import_name
from tests.command_line import Call, Done, root_with

ARGUMENTS = {
    "chat": ["hi"],
    "run": ["x", "--prompt", "hi"],
    "tokenize": ["x", "hi"],
    "detokenize": ["x", "1"],
    "template": ["x", "[]"],
    "assistants new": ["x"],
    "assistants show": ["x"],
    "threads rm": ["x"],
    "threads show": ["x"],
    "copy": ["all", "json", "other"],
    "import": ["."],
    "check": ["messages-json"],
    "models pull": ["./x.gguf"],
    "models show": ["x"],
    "models rm": ["x"],
    "models load": ["x"],
    "models unload": ["x"],
}
UNREAD = {"init", "config path"}
"""Commands that leave the config file unread, since it may be missing or broken."""
NEEDS_NONE = {"modules new", "plugins new", "endpoints new"}
"""Commands for which it makes no difference."""
TOLD = {"modules", "doctor"}
"""Commands that tell what is broken as their result."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and subcommand by its words."""
    for name, (reference, _) in COMMANDS.items():
        found = typer.main.get_command(import_name(reference))
        inner = getattr(found, "commands", None)
        if inner is None:
            yield name, found
        else:
            yield from ((f"{name} {sub}", command) for sub, command in inner.items())
            if found.invoke_without_command:
                yield name, found


ALL = dict(commands())


def test_the_census_sees_every_command() -> None:
    assert {name.split()[0] for name in ALL} == set(COMMANDS)
    assert {"models pull", "models ls", "models show", "models rm", "config path", "config show"} < set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_the_options_and_a_help_line(jan: Call, name: str) -> None:
    options = {opt: one for one in ALL[name].params for opt in one.opts}
    assert options["--root"].envvar == "JAN_ROOT"
    assert options["--config"].envvar == "JAN_CONFIG"
    assert not [opt for opt, one in options.items() if opt.startswith("--") and not one.help]
    done = jan(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: jan {name} " in done.out
    assert "~/jan" in done.out


@pytest.mark.parametrize("way", ["--root", "JAN_ROOT", "--config", "JAN_CONFIG"])
@pytest.mark.parametrize("name", sorted(set(ALL) - UNREAD - NEEDS_NONE))
def test_every_command_reads_the_config_that_is_given(
    jan: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    folder = root_with(tmp_path / "given", "format = 7\n")
    value = folder if "ROOT" in way.upper() else folder / "jan.toml"
    given = [way, str(value)] if way.startswith("--") else []
    if not given:
        monkeypatch.setenv(way, str(value))
    done = jan(*name.split(), *ARGUMENTS.get(name, []), *given)
    assert done.code == (1 if name in TOLD else 2)
    assert f"format = 7 ({folder / 'jan.toml'}, line 1)" in (done.out if name in TOLD else done.err)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", sorted(UNREAD))
@pytest.mark.parametrize("way", ["--root", "JAN_ROOT", "--config", "JAN_CONFIG"])
def test_commands_that_leave_it_unread_find_it_all_the_same(
    jan: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    monkeypatch.setenv("JAN_ROOT", str(tmp_path / "root"))
    folder = tmp_path / "given"
    value = folder if "ROOT" in way.upper() else folder / "jan.toml"
    given = [way, str(value)] if way.startswith("--") else []
    if not given:
        monkeypatch.setenv(way, str(value))
    for text in (None, "[server\n"):
        if text is not None:
            root_with(folder, text)
        done = jan(*name.split(), *given)
        assert (done.code, done.err) == (0, "")
        assert str(folder / "jan.toml") in done.out
    assert (folder / "jan.toml").read_text() == "[server\n"


@pytest.mark.parametrize("name", sorted(NEEDS_NONE))
def test_commands_that_need_none_go_on_with_a_broken_one(jan: Call, tmp_path: Path, name: str) -> None:
    root = root_with(tmp_path / "given", "[server\n")
    done = jan(*name.split(), "no name", "--root", root)
    assert done.code == 2
    assert "jan.toml" not in done.err
    assert "no name" in done.err


def test_flags_go_over_environment_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_with(tmp_path, "[server]\nport = 1\nlog_prompts = true\n")
    monkeypatch.setenv("JAN__SERVER__PORT", "2")
    config = config_from(root, None, port=("server", None), log_prompts=("server", False))
    port, log = config.get("server", "port"), config.get("server", "log_prompts")
    assert port is not None
    assert log is not None
    assert (port.value, port.origin) == (2, "environment JAN__SERVER__PORT")
    assert (log.value, log.origin) == (False, "flag --log-prompts")
    port = config_from(root, None, port=("server", 3)).get("server", "port")
    assert port is not None
    assert (port.value, port.origin) == (3, "flag --port")


def test_paths_may_be_relative_and_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JAN_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert unread(None, None).path == tmp_path / "jan" / "jan.toml"
    assert unread(Path("~/x"), Path("y.toml")).path == tmp_path / "y.toml"
    assert unread(Path("~/x"), None).root == tmp_path / "x"


def test_a_named_file_that_is_missing_is_refused(jan: Call, tmp_path: Path) -> None:
    done = jan("models", "ls", "--config", tmp_path / "none.toml")
    cause = f"asked:   config file {tmp_path / 'none.toml'}\ncause:   there is no such file\n"
    assert done == Done(2, "", f"jan: refused\n{cause}remedy:  Create it with `jan init`.\n")


def test_a_command_goes_to_the_same_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAN_ROOT", raising=False)
    assert same_root("jan serve", Path.home() / "jan") == "jan serve"
    assert same_root("jan serve", tmp_path / "a b") == f"jan serve --root '{tmp_path}/a b'"
    monkeypatch.setenv("JAN_ROOT", str(tmp_path / "a b"))
    assert same_root("jan serve", tmp_path / "a b") == "jan serve"
