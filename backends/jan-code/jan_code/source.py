"""Where the code of an assistant lies, and whether it is still what was loaded."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.objects import Damaged, read_values
from jan_core.folder.signature import Signature, is_settled, signature

INDEX = "index.py"
"""The file that holds an assistant's functions."""
ENVIRONMENT = ".venv"
"""The folder of an assistant's own environment."""
MOST_FILES = 200
"""Files of `src` that are looked at for changes; where there are more, the code is loaded anew for each call."""


@dataclass(frozen=True)
class Source:
    """The code of an assistant, as it is now.

    Attributes:
        assistant_id: whose it is.
        folder: the assistant's folder.
        src: the folder of the code.
        packages: where the packages of its own environment lie; None where it has none.
        network: whether it may use the network.
        signatures: changes with every change of the code.
        settled: any later change shows in `signatures`.
    """

    assistant_id: str
    folder: str
    src: str
    packages: str | None
    network: bool
    signatures: tuple[tuple[str, Signature | None], ...]
    settled: bool

    @property
    def index(self) -> str:
        """The file that is loaded."""
        return os.path.join(self.src, INDEX)

    def same(self, other: Source) -> bool:
        """True where what was loaded from `other` is still what is here."""
        return other.settled and (self.signatures, self.network) == (other.signatures, other.network)


def find(layout: Layout, assistant_id: str) -> Source | None:
    """The code of an assistant; None where it has none. A few looks at the disk.

    Raises:
        InvalidRequest: a link leads out of the assistant's folder, or out of the root (`outside_root`); its
            environment is of another Python (`other_python`); the id cannot be a name.
    """
    folder = layout.assistant_folder(assistant_id)
    src = os.path.join(folder, "src")
    if signature(os.path.join(src, INDEX)) is None:
        return None
    _check_inside(layout.root, folder)
    _check_inside(folder, src)
    now = time.time_ns()
    names = []
    with os.scandir(src) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                names.append(entry.name)
                if entry.is_symlink():
                    _check_inside(folder, entry.path)
    names.sort()
    files = [*(os.path.join(src, name) for name in names[:MOST_FILES]), os.path.join(folder, ASSISTANT_FILE)]
    files += [os.path.join(folder, ENVIRONMENT, "pyvenv.cfg")]
    signatures = tuple((path, signature(path)) for path in files)
    settled = len(names) <= MOST_FILES and all(is_settled(one, now) for _, one in signatures)
    return Source(assistant_id, folder, src, _packages(folder), _network(folder), signatures, settled)


def _check_inside(folder: str, path: str) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InvalidRequest(
            f"{path} is a link that leads out of {folder}; code is run from an assistant's own folder only. "
            "Move the code there.",
            code="outside_root",
        )


def _packages(folder: str) -> str | None:
    home = os.path.join(folder, ENVIRONMENT)
    if signature(home) is None:
        return None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    parts = ("Lib",) if sys.platform == "win32" else ("lib", version)
    path = os.path.join(home, *parts, "site-packages")
    if signature(path) is None:
        raise InvalidRequest(
            f"{home} is no environment of {version}, which runs this server. Run `jan assistants install "
            f"{os.path.basename(folder)}` again.",
            code="other_python",
        )
    _check_inside(folder, path)
    return path


def _network(folder: str) -> bool:
    # The API neither shows nor takes this field, so that no request can switch the network on.
    try:
        return read_values(os.path.join(folder, ASSISTANT_FILE)).get("network") is True
    except (OSError, Damaged):
        return False
