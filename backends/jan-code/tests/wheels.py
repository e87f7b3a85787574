"""Wheels for tests of installing: an index of files, so that no network is needed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path


def add_wheel(folder: Path, name: str, version: str, text: str, requires: Sequence[str] = ()) -> None:
    """Put a wheel into a folder: a module `name` with this text, and a program `name` that calls its `main`."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Requires-Dist: {one}\n" for one in requires]
    files = {
        f"{name}.py": text,
        f"{about}/METADATA": "".join(metadata),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
