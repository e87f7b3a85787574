"""The example of a module, and what `jan … new` begins, as strangers have it: from wheels, without our sources."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jan_core.testing.contract.chat import ChatContract
from tests import doc_examples

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "examples" / "messages-sqlite"
TUTORIAL = REPOSITORY / "docs" / "build-a-module.md"
SECONDS = 300
CACHES = {".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "build"}


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, in nobody's environment: git knows no name there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAN_", "PYTHON", "PYTEST"))}
    kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def built(source: Path, wheels: Path) -> Path:
    """The wheel of a source tree, which stays as it is."""
    copy = shutil.copytree(source, wheels.parent / "building" / source.name)
    before = {*wheels.glob("*.whl")}
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, copy, cwd=copy)
    shutil.rmtree(copy)
    (wheel,) = {*wheels.glob("*.whl")} - before
    return wheel


@dataclass(frozen=True)
class Stranger:
    """An environment with `jan-core[new,testing]` from its wheel.

    Attributes:
        folder: where everything lies.
        programs: the folder of its programs.
    """

    folder: Path
    programs: Path

    def jan(self, *arguments: str | Path, cwd: Path) -> str:
        return run(self.programs / "jan", *arguments, cwd=cwd)

    def add(self, source: Path) -> None:
        """Build a repository's wheel, and install it in place of an older one."""
        wheel = built(source, self.folder / "wheels")
        uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", self.programs / "python")
        run(*uv, "--no-deps", "--reinstall", wheel, cwd=self.folder)
        wheel.unlink()

    def tested(self, repository: Path) -> str:
        """Its tests, run on what is installed."""
        return run(self.programs / "pytest", "-q", cwd=repository)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("stranger")
    kernel = folder / "jan-core"
    kernel.mkdir()
    (folder / "wheels").mkdir()
    for part in ("pyproject.toml", "README.md", "LICENSE", "jan_core"):
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
        copy(REPOSITORY / part, kernel / part)
    wheel = built(kernel, folder / "wheels")
    shutil.rmtree(kernel)
    versions = re.findall(r"^([a-z0-9_.-]+==[^ \\]+)(?: ;[^\\]*)?", (REPOSITORY / "constraints.txt").read_text(), re.M)
    (folder / "constraints.txt").write_text("\n".join(versions))
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, "venv", cwd=folder)
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    options = ("--quiet", "--python", programs / "python", "--constraint", "constraints.txt")
    run(*uv, "pip", "install", *options, f"jan-core[new,testing] @ {wheel.as_uri()}", cwd=folder)
    return Stranger(folder, programs)


@dataclass(frozen=True)
class Followed:
    """The tutorial, followed literally in an empty folder.

    Attributes:
        folder: the repository that it ends in, installed.
        begun: what its tests printed before the first block.
    """

    folder: Path
    begun: str


@pytest.fixture(scope="module")
def followed(stranger: Stranger) -> Followed:
    lines = "".join(block.text for block in doc_examples.blocks(TUTORIAL) if block.language == "console").splitlines()
    (command,) = [line for line in lines if line.startswith("jan ")]
    (entered,) = [line.removeprefix("cd ") for line in lines if line.startswith("cd ")]
    empty = stranger.folder / "empty"
    empty.mkdir()
    stranger.jan(*shlex.split(command)[1:], cwd=empty)
    folder = empty / entered
    stranger.add(folder)
    begun = stranger.tested(folder)
    seen = set()
    for block in doc_examples.blocks(TUTORIAL):
        if block.file is not None:
            path = folder / block.file
            # The first one takes the place of what is there, further ones go to its end.
            before = path.read_text("utf-8") + "\n" if path in seen else ""
            path.write_text(before + block.text, "utf-8")
            seen.add(path)
    assert lines.count("ruff format") == 1
    run(sys.executable, "-m", "ruff", "format", "--no-cache", cwd=folder)
    stranger.add(folder)
    return Followed(folder, begun)


def files_of(folder: Path) -> dict[str, str]:
    """The text of each file."""
    kept = [path for path in folder.rglob("*") if path.is_file() and not CACHES & {*path.parts}]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in kept}


def rows_of(told: str) -> list[list[str]]:
    """The rows of the tables of contracts: clauses, proven, refused, expected to fail, broken."""
    return [re.findall(r" (\d+)", line)[:5] for line in told.splitlines() if re.match(r"\w+: Test\w+ +\d", line)]


def is_clean(repository: Path, stranger: Stranger) -> None:
    """Look that ruff and mypy, as the repository sets them, find nothing."""
    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=repository)
    run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", cwd=repository)
    mypy = ("mypy", "--strict", "--cache-dir", stranger.folder / "mypy")
    run(sys.executable, "-m", *mypy, "--python-executable", stranger.programs / "python", cwd=repository)


def test_the_tutorial_begins_green_and_tells_what_is_missing(followed: Followed) -> None:
    assert rows_of(followed.begun) == [["31", "8", "2", "21", "0"]]
    assert "10 passed, 21 xfailed" in followed.begun
    (shown,) = [one.text for one in doc_examples.blocks(TUTORIAL) if "missing in messages" in one.text]
    told = [" ".join(line.split()) for line in shown.splitlines()[1:] if line.strip() != "…"]
    printed = [" ".join(line.split()) for line in followed.begun.splitlines()]
    assert [line for line in told if line not in printed] == []


def test_the_tutorial_ends_in_the_example(followed: Followed) -> None:
    found = files_of(followed.folder)
    assert found == files_of(EXAMPLE)
    assert set(found) == {
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "jan_messages_sqlite.py",
        "pyproject.toml",
        "tests/test_contract.py",
    }
    assert found["LICENSE"] == (REPOSITORY / "LICENSE").read_text("utf-8")


def test_its_own_tests_prove_the_contract(followed: Followed, stranger: Stranger, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert rows_of(run(stranger.programs / "pytest", "-q", cwd=tmp_path)) == [["31", "29", "2", "0", "0"]]
    where = run(
        stranger.programs / "python",
        "-c",
        "import jan_core, jan_messages_sqlite as one; print(jan_core.__file__, one.__file__)",
        cwd=tmp_path,
    )
    assert all(str(stranger.programs.parent) in one for one in where.split())
    is_clean(EXAMPLE, stranger)


def test_jan_check_proves_it_without_its_repository(followed: Followed, stranger: Stranger, tmp_path: Path) -> None:
    told = stranger.jan("check", "messages-sqlite", "--root", tmp_path, cwd=tmp_path)
    assert rows_of(told) == [["31", "29", "2", "0", "0"]]


@pytest.fixture
def begun(stranger: Stranger, tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Begins a package in an empty folder, and installs it; its repository, and what its tests print."""

    def begin(group: str, name: str, *more: str) -> tuple[Path, str]:
        stranger.jan(group, "new", name, *more, cwd=tmp_path)
        assert {path.name for path in (tmp_path / name).iterdir()} > {".github", ".gitignore", "LICENSE", "README.md"}
        is_clean(tmp_path / name, stranger)
        stranger.add(tmp_path / name)
        return tmp_path / name, stranger.tested(tmp_path / name)

    return begin


def test_a_module_is_begun_of_an_engine(begun: Callable[..., tuple[Path, str]]) -> None:
    repository, told = begun("modules", "chat-mine", "--author", "Zoë O'Hara", "--email", "zoe@example.org")
    (row,) = rows_of(told)
    assert row[0] == str(len(ChatContract.clauses()))
    assert int(row[1]) + int(row[2]) > 15
    assert row[4] == "0"
    assert 'authors = [{ name = "Zoë O\'Hara", email = "zoe@example.org" }]' in (
        repository / "pyproject.toml"
    ).read_text("utf-8")


def test_a_plugin_is_begun(begun: Callable[..., tuple[Path, str]]) -> None:
    assert "2 passed" in begun("plugins", "slow-log")[1]
    assert "2 passed" in begun("plugins", "slow-update", "--wraps", "messages.update")[1]


def test_an_endpoint_is_begun_and_a_module_of_it(
    begun: Callable[..., tuple[Path, str]], stranger: Stranger, tmp_path: Path
) -> None:
    assert rows_of(begun("endpoints", "notes")[1]) == [["4", "4", "0", "0", "0"]]
    assert rows_of(stranger.jan("check", "notes-memory", "--root", tmp_path, cwd=tmp_path)) == [
        ["4", "4", "0", "0", "0"]
    ]
    repository, told = begun("modules", "notes-mine")
    assert rows_of(told) == [["4", "2", "0", "2", "0"]]
    assert '"jan-notes",' in (repository / "pyproject.toml").read_text("utf-8")
