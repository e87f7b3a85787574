from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jan_core.cli import COMMANDS
from tests.command_line import POSIX, Call, Done, environment, jan_command, root_with, run
from tests.parts import Site

COMMAND = """\
import typer
app = typer.Typer()

@app.command()
def hello(name: str = "nobody") -> None:
    print("hello", name)
"""
HOOK = (
    "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef register_commands(): return {'NAME': 'jan_NAME.cli:app'}\n"
)


@pytest.fixture
def broken(site: Site, tmp_path: Path) -> Path:
    """A root whose chosen plugin fails to import; another one, which is well, adds the command `greet`."""
    site.add("jan-gone", {"jan_gone.py": "import no_such_library\n"}, {"plugins": {"gone": "jan_gone"}})
    files = {"jan_greet/__init__.py": HOOK.replace("NAME", "greet"), "jan_greet/cli.py": COMMAND}
    site.add("jan-greet", files, {"plugins": {"greet": "jan_greet"}})
    return root_with(tmp_path / "root", '[plugins]\nuse = ["gone", "greet"]\n')


def test_help_lists_every_command(jan: Call) -> None:
    done = jan("--help")
    assert (done.code, done.err) == (0, "")
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in done.out
        assert line in done.out
    assert jan() == jan("help") == jan("-h") == done
    assert jan("--version").out == "jan-core 0.1.0\n"


def test_help_imports_next_to_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom jan_core.cli import main\nmain(['--help'])\n"
        "heavy = {'pydantic', 'typer', 'rich', 'starlette', 'uvicorn', 'pluggy', 'asyncio'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr)\n"
    )
    environ = {**os.environ, "JAN_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
    assert "Usage: jan" in done.stdout
    assert done.stderr == "set()\n"


def test_an_unknown_command_names_a_near_one(jan: Call) -> None:
    assert jan("srve") == Done(
        2, "", "jan: there is no command 'srve'; did you mean `jan serve`? `jan --help` lists them.\n"
    )
    assert jan("xyzzy") == Done(2, "", "jan: there is no command 'xyzzy'; `jan --help` lists them.\n")
    done = jan("models", "lss")
    assert (done.code, "'ls'" in done.err) == (2, True)


def test_an_option_before_the_command_is_told_its_place(jan: Call) -> None:
    done = jan("--root", "x", "serve")
    assert (done.code, done.out) == (2, "")
    assert "options stand after the command" in done.err


def test_an_unknown_option_is_told_on_stderr_by_the_process() -> None:
    done = run("serve", "--prot", "1")
    assert (done.code, done.out) == (2, "")
    assert "--port" in done.err


def test_what_the_system_refuses_is_told_in_words(jan: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = jan("init", "--root", tmp_path / "file")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"jan: Not a directory: {tmp_path / 'file' / 'models'}\n"


@POSIX
def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        for arguments in (["--help"], ["modules"], ["models", "--help"]):
            for unbuffered in ({}, {"PYTHONUNBUFFERED": "1"}):
                environ = environment(**unbuffered)
                done = subprocess.run(
                    jan_command(*arguments), stdout=write, stderr=subprocess.PIPE, env=environ, check=False
                )
                assert (done.returncode, done.stderr) == (1, b"")
    finally:
        os.close(write)


def test_a_plugin_adds_a_command(jan: Call, site: Site, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (broken / "jan.toml").write_text('[plugins]\nuse = ["greet"]\n')
    assert jan("greet", "--name", "you").code == 2  # of another root
    monkeypatch.setenv("JAN_ROOT", str(broken))
    assert re.search(r"^  greet +From jan-greet 1\.0\.$", jan("--help").out, re.MULTILINE)
    assert jan("greet", "--name", "you") == Done(0, "hello you\n", "")
    assert "did you mean `jan greet`?" in jan("greeet").err


@pytest.mark.parametrize("form", ["--root={}", "--config={}/jan.toml"])
def test_commands_of_packages_are_those_of_the_root_given(jan: Call, broken: Path, form: str) -> None:
    done = jan("greeet", form.format(broken))
    assert "did you mean `jan greet`?" in done.err
    assert jan("greeet", *form.format(broken).split("=")) == done


def test_a_broken_plugin_costs_its_own_commands_only(jan: Call, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAN_ROOT", str(broken))
    note = "note: gone adds no commands: it fails to import: ModuleNotFoundError: No module named 'no_such_library'"
    done = jan("--help")
    assert (done.code, "  greet " in done.out) == (0, True)
    assert done.err == note + " (jan doctor)\n"
    done = jan("greet")
    assert (done.code, done.out) == (0, "hello nobody\n")


def test_help_works_beside_a_broken_config(jan: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAN_ROOT", str(root_with(tmp_path / "root", "[server\n")))
    done = jan("--help")
    assert (done.code, "Usage: jan" in done.out) == (0, True)
    assert done.err.startswith("jan: commands of packages are left out: it is not TOML")


def test_serve_beside_a_broken_plugin_tells_the_four_facts(site: Site, broken: Path) -> None:
    done = run("serve", "--root", broken, "--port", "0", site=site)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "jan: refused",
        f"asked:   plugin 'gone' in [plugins] use = ['gone', 'greet'] ({broken}/jan.toml, line 2)",
        "answers: jan-gone 1.0, entry point gone = jan_gone (group jan.plugins)",
        "cause:   it fails to import: ModuleNotFoundError: No module named 'no_such_library'",
        "remedy:  Mend or reinstall it (pip install --force-reinstall jan-gone), or take it out of the config.",
    ]


def test_what_needs_no_app_works_beside_a_broken_plugin(jan: Call, broken: Path, smollm2_path: Path) -> None:
    assert jan("config", "path", "--root", broken) == Done(0, f"{broken}/jan.toml\n", "")
    assert jan("init", "--root", broken).code == 0
    assert jan("models", "pull", smollm2_path, "--name", "small", "--root", broken).code == 0
    assert (broken / "models" / "small" / smollm2_path.name).exists()
    for command in (["chat", "hi"], ["models", "ls"], ["config", "show"]):
        done = jan(*command, "--root", broken)
        assert (done.code, done.out) == (2, "")
        assert "cause:   it fails to import" in done.err


BAD = {
    "unknown endpoint": ('\n[endpoints]\nchta = "x"', "chta = 'x' ({}, line 3)", "did you mean 'chat'?"),
    "unknown module": ('[endpoints]\nchat = "chat-lamacpp"', "chat = 'chat-lamacpp' ({}, line 2)", "'chat-llamacpp'"),
    "unknown key": ("[server]\n\nprot = 1", "[server] prot = 1 ({}, line 3)", "did you mean 'port'?"),
    "wrong type": (
        '[server]\nport = "x"',
        "[server] port = 'x' ({}, line 2)",
        "Give port as a whole number from 0 to 65535",
    ),
    "unknown table": ("[models-jso]\na = 1", "table [models-jso] ({}, line 2)", "did you mean [models-json]?"),
    "backend's key": ("[jan-llamacpp]\nctx = 1", "[jan-llamacpp] ctx = 1 ({}, line 2)", "context"),
    "newer format": ("format = 2", "format = 2 ({}, line 1)", "Install a newer jan-core"),
    "no TOML": ("[server]\nport 1", "config file {}", "(at line 2, column 6)"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["config", "show"]], ids=["serve", "config"])
def test_a_bad_config_is_refused_with_file_and_line(jan: Call, tmp_path: Path, command: list[str], case: str) -> None:
    text, asked, told = BAD[case]
    if case in ("unknown key", "wrong type") and command[0] == "serve":
        command = ["serve"]
    call = run if command[0] == "serve" else jan  # in a process of its own, which a failure cannot keep up
    done = call(*command, "--root", root_with(tmp_path / "root", text))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[1] == "asked:   " + asked.format(tmp_path / "root" / "jan.toml")
    assert told in done.err


def test_an_unexpected_failure_is_a_line_and_on_request_a_traceback(
    jan: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jan_core import cli

    def broken(given: list[str]) -> None:
        raise KeyError("oh")

    monkeypatch.setattr(cli, "_run", broken)
    done = jan("models", "ls")
    assert (done.code, done.out) == (1, "")
    assert done.err == "jan: failed unexpectedly: KeyError: 'oh' (JAN_TRACEBACK=1 shows where)\n"
    monkeypatch.setenv("JAN_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.main(["models", "ls"])
