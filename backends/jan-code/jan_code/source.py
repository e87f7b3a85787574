"""Where the code of an assistant lies, and whether it is still what was loaded."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.objects import Damaged, read_values
from jan_core.folder.signature import Signature, is_settled, signature

SRC = "src"
"""The folder of an assistant's code."""
INDEX = "index.py"
"""The file that holds an assistant's functions."""
NODE_INDEX = "index.js"
"""The file that holds them where they are in JavaScript."""
PYPROJECT = "pyproject.toml"
"""The file that says what `index.py` needs."""
ENVIRONMENT = ".venv"
"""The folder of an assistant's own environment."""
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""What the folder of Python's own packages is called."""
SUFFIXES = {INDEX: (".py",), NODE_INDEX: (".js", ".mjs", ".cjs", ".json")}
"""How the files are called that make the code, besides what is installed for it."""
MOST_FILES = 200
"""Files of `src` that are looked at for changes; where there are more, the code is loaded anew for each call."""


@dataclass(frozen=True)
class Source:
    """The code of an assistant, as it is now.

    Attributes:
        assistant_id: whose it is.
        folder: the assistant's folder.
        src: the folder of the code.
        index: the file that is loaded.
        node: the program that runs it, where it is in JavaScript; None where it is in Python.
        packages: where the packages of its own environment lie; None where it has none, or is in JavaScript.
        network: whether it may use the network.
        signatures: changes with every change of the code.
        settled: any later change shows in `signatures`.
    """

    assistant_id: str
    folder: str
    src: str
    index: str
    node: str | None
    packages: str | None
    network: bool
    signatures: tuple[tuple[str, Signature | None], ...]
    settled: bool

    def same(self, other: Source) -> bool:
        """True where what was loaded from `other` is still what is here."""
        return other.settled and (self.signatures, self.network) == (other.signatures, other.network)


def find(layout: Layout, assistant_id: str) -> Source | None:
    """The code of an assistant; None where it has none. A few looks at the disk.

    Raises:
        InvalidRequest: a link leads out of the assistant's folder, or out of the root (`outside_root`); its
            environment is of another Python (`other_python`); it is in JavaScript, and Node is not there (`no_node`),
            or it is in both (`two_indexes`); the id cannot be a name.
    """
    folder = layout.assistant_folder(assistant_id)
    src = os.path.join(folder, SRC)
    there = [name for name in SUFFIXES if signature(os.path.join(src, name)) is not None]
    if not there:
        return None
    index = there[0]
    if len(there) > 1:
        raise InvalidRequest(f"{src} has both an {INDEX} and an {NODE_INDEX}. Keep one.", code="two_indexes")
    check_inside(layout.root, folder)
    check_inside(folder, src)
    now = time.time_ns()
    names = []
    with os.scandir(src) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIXES[index]):
                names.append(entry.name)
                if entry.is_symlink():
                    check_inside(folder, entry.path)
    names.sort()
    files = [*(os.path.join(src, name) for name in names[:MOST_FILES]), os.path.join(folder, ASSISTANT_FILE)]
    python = index == INDEX
    installed = (folder, ENVIRONMENT, "pyvenv.cfg") if python else (src, "node_modules", ".package-lock.json")
    files.append(os.path.join(*installed))
    signatures = tuple((path, signature(path)) for path in files)
    settled = len(names) <= MOST_FILES and all(is_settled(one, now) for _, one in signatures)
    return Source(
        assistant_id,
        folder,
        src,
        index=os.path.join(src, index),
        node=None if python else _node(assistant_id),
        packages=_packages(folder) if python else None,
        network=_network(folder),
        signatures=signatures,
        settled=settled,
    )


def _node(assistant_id: str) -> str:
    node = shutil.which("node")
    if node is None:
        raise InvalidRequest(
            f"The code of the assistant {assistant_id!r} is an {NODE_INDEX}, and Node, which would run it, is not on "
            f"the PATH of this server. Install Node.js, or write an {INDEX}.",
            code="no_node",
        )
    return os.path.realpath(node)


def check_inside(folder: str, path: str) -> None:
    """Refuse a path that leads out of a folder.

    Raises:
        InvalidRequest: it does; code `outside_root`.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InvalidRequest(
            f"{path} is a link that leads out of {folder}; code is run from an assistant's own folder only. "
            "Move the code there.",
            code="outside_root",
        )


def packages_in(environment: str) -> str:
    """Where the packages of an environment lie, if it is one of the Python that runs this."""
    parts = ("Lib",) if sys.platform == "win32" else ("lib", VERSION)
    return os.path.join(environment, *parts, "site-packages")


def _packages(folder: str) -> str | None:
    home = os.path.join(folder, ENVIRONMENT)
    if signature(home) is None:
        return None
    path = packages_in(home)
    if signature(path) is None:
        raise InvalidRequest(
            f"{home} is no environment of {VERSION}, which runs this server. Run `jan assistants install "
            f"{os.path.basename(folder)}` again.",
            code="other_python",
        )
    check_inside(folder, path)
    return path


def _network(folder: str) -> bool:
    # The API neither shows nor takes this field, so that no request can switch the network on.
    try:
        return read_values(os.path.join(folder, ASSISTANT_FILE)).get("network") is True
    except (OSError, Damaged):
        return False
