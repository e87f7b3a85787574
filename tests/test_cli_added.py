from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import Call, Done, root_with
from tests.parts import Site

HOOK = """\
from jan_core.hookspecs import hookimpl
@hookimpl
def register_commands(): return {'assistants': 'REFERENCE'}
"""
COMMANDS = """\
import typer
app = typer.Typer()

@app.command()
def dance(who: str) -> None:
    "Have somebody dance."
    print(who, "dances")

@app.command(name="ls")
def list_() -> None:
    "Print what is none of the assistants."
    print("not ours")

@app.command(name="code")
def begin_code(assistant, root, config) -> None:
    "Begin code."
    print("code for", assistant, "in", root)
"""


@pytest.fixture
def root(site: Site, tmp_path: Path) -> Path:
    """A root whose plugin adds commands to `jan assistants`, beside one whose commands fail to import."""
    files = {"jan_dance/__init__.py": HOOK.replace("REFERENCE", "jan_dance.cli:app"), "jan_dance/cli.py": COMMANDS}
    site.add("jan-dance", files, {"plugins": {"dance": "jan_dance"}})
    site.add("jan-lame", {"jan_lame.py": HOOK.replace("REFERENCE", "no_such:app")}, {"plugins": {"lame": "jan_lame"}})
    return root_with(tmp_path / "root", '[plugins]\nuse = ["dance"]\n[endpoints]\nruns = []\n')


def test_a_package_adds_a_command_to_a_group(jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = jan("assistants", "dance", "you", "--root", root)
    assert (done.code, "--root" in done.err) == (2, True)  # found by its root, which it does not take itself
    assert jan("assistants", "dance", "you").code == 2  # of another root
    monkeypatch.setenv("JAN_ROOT", str(root))
    assert jan("assistants", "dance", "you") == Done(0, "you dances\n", "")
    told = jan("assistants", "--help")
    assert (told.code, told.err) == (0, "")
    assert [word in told.out for word in ("dance", "Have somebody dance.", "show", "new")] == [True] * 4
    assert "none of the assistants" not in told.out
    assert "Have somebody dance." in jan("assistants").out + jan("assistants").err
    assert " assistants  List, show and make assistants." in jan("--help").out


def test_the_groups_own_commands_count_and_look_at_no_package(
    jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAN_ROOT", str(root))
    (root / "jan.toml").write_text('[plugins]\nuse = ["lame"]\n')
    done = jan("assistants", "ls")
    assert (done.code, done.err, "not ours" in done.out) == (0, "", False)


def test_a_package_that_is_broken_costs_its_own_commands_only(
    jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAN_ROOT", str(root))
    (root / "jan.toml").write_text('[plugins]\nuse = ["lame", "dance"]\n')
    done = jan("assistants", "dance", "you")
    assert (done.code, done.out) == (0, "you dances\n")
    assert done.err.startswith("note: no_such:app adds no commands: it fails to import: ModuleNotFoundError:")
    (root / "jan.toml").write_text("[server\n")
    done = jan("assistants", "--help")
    assert (done.code, "make assistants" in done.out) == (0, True)
    assert done.err.startswith("jan: commands of packages are left out: it is not TOML")


def test_new_begins_code_by_what_a_package_brings(jan: Call, root: Path) -> None:
    done = jan("assistants", "new", "Poet", "--code", "--root", root)
    assert done == Done(0, f"poet is here. jan assistants show poet\ncode for poet in {root}\n", "")
    done = jan("assistants", "new", "Bard", "--code", "--json", "--root", root)
    assert (done.code, json.loads(done.out)["id"], done.err) == (0, "bard", f"code for bard in {root}\n")


def test_new_makes_no_assistant_whose_code_nobody_runs(jan: Call, tmp_path: Path) -> None:
    root = root_with(tmp_path / "root", "[endpoints]\nruns = []\n")
    done = jan("assistants", "new", "Poet", "--code", "--root", root)
    assert (done.code, done.out) == (2, "")
    assert "cause:   no chosen package runs code of assistants" in done.err
    assert not (root / "assistants" / "poet").exists()
