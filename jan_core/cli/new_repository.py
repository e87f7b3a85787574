"""A repository for a package that is begun, copied from the template inside of `jan-core`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jan_core.refusal import Refusal

TEMPLATE = Path(__file__).parents[1] / "templates" / "new-package"
SECONDS = 600.0
"""Longest wait for the clauses of a new module."""


@dataclass(frozen=True, slots=True)
class About:
    """What a person says of the package.

    Attributes:
        asked: the command, for refusals.
        folder: where the repository is to be.
        description: a sentence without a full stop, in one line.
        author: a name; empty for none.
        email: an address; empty for none.
    """

    asked: str
    folder: Path
    description: str
    author: str
    email: str


def check(about: About) -> None:
    """Refuse what would not come to a good end, before anything is written.

    Raises:
        Refusal: copier is not installed, the folder holds something or cannot be written, or a text has a line break.
    """
    if find_spec("copier") is None:
        remedy = 'pip install "jan-core[new]"'
        raise Refusal(about.asked, "the template is copied by copier, which is not installed", remedy)
    if about.folder.exists() and (not about.folder.is_dir() or any(about.folder.iterdir())):
        remedy = "Name another one with --folder, or empty it."
        raise Refusal(about.asked, f"{about.folder} is there already, and not an empty folder", remedy)
    for option in ("description", "author", "email"):
        text = getattr(about, option)
        if not text.isprintable() or len(text) > 100 or {*'"\\'} & {*text}:
            remedy = f"Say it in a line of up to 100 characters, without quotation marks and backslashes: --{option} …"
            raise Refusal(f"{about.asked} --{option} {text[:100]!r}", "that text cannot stand in a package", remedy)
    _try_to_write(about)


def _try_to_write(about: About) -> None:
    """Refuse a folder that cannot be made or written: only the attempt tells. What it makes is removed again."""
    made: list[Path] = []
    try:
        for each in (*reversed(about.folder.parents), about.folder):
            if not each.exists():
                each.mkdir()
                made.append(each)
        with tempfile.TemporaryDirectory(dir=about.folder):
            pass
    except OSError as error:
        raise _unwritten(about, error) from error
    finally:
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()


def _unwritten(about: About, error: OSError) -> Refusal:
    cause = f"{about.folder} cannot be written: {error.strerror or error}"
    return Refusal(about.asked, cause, "Name another folder with --folder, in one that is yours.")


def write(about: About, answers: Mapping[str, Any]) -> None:
    """Write the repository.

    Args:
        about: what a person said, checked.
        answers: what else the template needs.

    Raises:
        Refusal: the folder cannot be written any more.
    """
    try:
        _copy(about.folder, about, answers)
    except OSError as error:
        raise _unwritten(about, error) from error


def missing(about: About, answers: Mapping[str, Any], entries: Mapping[str, Mapping[str, str]]) -> dict[int, str]:
    """The clauses that a begun module does not keep yet; see `jan_core.testing.measured`.

    It is written to a folder for this alone, and found there as if it were installed.

    Args:
        about: what a person said, checked.
        answers: as for `write`.
        entries: its entry points, by group.

    Raises:
        Refusal: its contract cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="jan-new-") as folder:
        trial = Path(folder, "trial")
        _copy(trial, about, {**answers, "missing": {}})
        info = trial / f"{answers['package']}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {answers['distribution']}\nVersion: 0.1.0\nRequires-Dist: jan-core<1,>=0.1\n"
        )
        groups = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(groups))
        paths = [str(trial), *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JAN_")}
        command = [sys.executable, "-m", "jan_core.testing.measured", str(trial / "tests" / "test_contract.py")]
        done = subprocess.run(
            command,
            env={**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            remedy = "Mend the contract, or the class of the endpoint; nothing was written."
            raise Refusal(about.asked, f"the contract of the new module could not be run: {said}", remedy)
        return {int(number): title for number, title in json.loads(done.stdout.splitlines()[-1]).items()}


def said_by_git(name: str) -> str:
    """What git knows of its user, such as `user.name`; empty where there is no git, or it does not know."""
    try:
        done = subprocess.run(["git", "config", "--get", name], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _copy(folder: Path, about: About, answers: Mapping[str, Any]) -> None:
    from copier import run_copy

    said = {"description": about.description, "author": about.author, "email": about.email}
    run_copy(str(TEMPLATE), folder, data={**answers, **said}, defaults=True, quiet=True)
