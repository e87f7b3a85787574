"""The example of a module, as strangers have theirs: from wheels, in an environment of its own, without our sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import doc_examples

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "examples" / "messages-sqlite"
TUTORIAL = REPOSITORY / "docs" / "build-a-module.md"
SECONDS = 300


def run(*command: str | Path, cwd: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAN_", "PYTHON", "PYTEST"))}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def followed(folder: Path) -> Path:
    """The tutorial, followed literally in an empty folder: each block at the end of the file that it names."""
    for block in doc_examples.blocks(TUTORIAL):
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text("utf-8") + "\n" if path.exists() else ""
            path.write_text(before + block.text, "utf-8")
    return folder


def files_of(folder: Path) -> dict[str, list[str]]:
    """The lines of each file that are not empty."""
    kept = [path for path in folder.rglob("*") if path.suffix in (".py", ".toml", ".md")]
    return {
        path.relative_to(folder).as_posix(): [line for line in path.read_text("utf-8").splitlines() if line]
        for path in kept
    }


def test_the_tutorial_ends_in_the_example(tmp_path: Path) -> None:
    found = files_of(followed(tmp_path / "empty"))
    assert found == files_of(EXAMPLE)
    assert set(found) == {"pyproject.toml", "README.md", "jan_messages_sqlite.py", "tests/test_contract.py"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has the example, and what it needs."""
    folder = tmp_path_factory.mktemp("stranger")
    wheels, kernel = folder / "wheels", folder / "jan-core"
    kernel.mkdir()
    for part in ("pyproject.toml", "README.md", "LICENSE", "jan_core"):
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
        copy(REPOSITORY / part, kernel / part)
    for source in (kernel, followed(folder / "tutorial")):
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, source, cwd=folder)
    versions = re.findall(r"^([a-z0-9_.-]+==[^ \\]+)(?: ;[^\\]*)?", (REPOSITORY / "constraints.txt").read_text(), re.M)
    (folder / "constraints.txt").write_text("\n".join(versions))
    made = folder / "venv"
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, made, cwd=folder)
    programs = made / ("Scripts" if sys.platform == "win32" else "bin")
    options = ("--quiet", "--python", programs / "python", "--find-links", wheels, "--constraint", "constraints.txt")
    run(*uv, "pip", "install", *options, "jan-core[testing]", "jan-messages-sqlite", cwd=folder)
    return programs


def row_of(told: str) -> list[str]:
    (row,) = [line.split() for line in told.splitlines() if line.startswith("messages: ")]
    return row[2:]


def test_its_own_tests_prove_the_contract(environment: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    python = environment / "python"
    told = run(python, "-m", "pytest", "-q", cwd=tmp_path)
    assert row_of(told) == ["28", "28", "0", "0", "0"]
    where = run(
        python,
        "-c",
        "import jan_core, jan_messages_sqlite as one; print(jan_core.__file__, one.__file__)",
        cwd=tmp_path,
    )
    assert all(str(environment.parent) in one for one in where.split())


def test_jan_check_proves_it_without_its_repository(environment: Path, tmp_path: Path) -> None:
    assert row_of(run(environment / "jan", "check", "messages-sqlite", "--root", tmp_path, cwd=tmp_path)) == [
        "28",
        "28",
        "0",
        "0",
        "0",
    ]
