"""An assistant's own environment with OpenAI's client, as installing makes it, without a registry."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def with_client(assistant: Path) -> None:
    """Put the client, as the tests have it, into the environment of an assistant's folder."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = assistant / ".venv" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (assistant / ".venv" / "pyvenv.cfg").write_text(f"home = {os.path.dirname(sys.executable)}\n")
    for name in _needed("openai"):
        for file in distribution(name).files or ():
            if not file.parts[0].startswith("..") and "__pycache__" not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)


def _needed(name: str) -> set[str]:
    """A package and what it needs."""
    found, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            for line in distribution(one).requires or ():
                requirement = Requirement(line)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    waiting.append(requirement.name.lower())
    return found
