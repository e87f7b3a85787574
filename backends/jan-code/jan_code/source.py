"""Where the code of an assistant lies, and whether it is still what was loaded."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
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
FEW = 24
"""Files and folders of code that the event loop looks at by itself; more are looked at in a thread."""
SUFFIXES = {INDEX: (".py",), NODE_INDEX: (".js", ".mjs", ".cjs", ".json")}
"""How the files are called that make the code, besides what is installed for it."""
MOST_FILES = 400
"""Files of `src`, and as many of its folders, that are looked at for changes; where there are more, the code is loaded
anew for each call."""
MODULES = "node_modules"
"""The folder in `src` that Node finds packages in."""
NOT_LOOKED_INTO = (MODULES, "__pycache__")
"""Folders of `src` that no code of the assistant's own is in; nor is any in those that begin with a dot."""


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


@dataclass(frozen=True)
class Listed:
    """What is in a folder of the code; it holds for as long as the folder's signature is the same.

    Attributes:
        signature: of the folder, from before it was looked into.
        files: paths of the code.
        folders: paths of the folders to look into, too.
        links: paths of all that is a link.
    """

    signature: Signature | None
    files: tuple[str, ...]
    folders: tuple[str, ...]
    links: tuple[str, ...]


@dataclass
class Seen:
    """What `find` remembers of an assistant, so that it does not read again what has not changed.

    Attributes:
        folders: what is in the folders of its code, by path.
        network: the signature of `assistant.json`, and whether it asks for the network.
        files: how many files and folders were looked at.
    """

    folders: dict[str, Listed] = field(default_factory=dict)
    network: tuple[Signature | None, bool] | None = None
    files: int = 0

    @property
    def few(self) -> bool:
        """True where the code was so small the last time that a look at it takes less than a turn in a thread."""
        return 0 < self.files <= FEW


def find(layout: Layout, assistant_id: str, seen: Seen | None = None) -> Source | None:
    """The code of an assistant; None where it has none. Blocks: it takes as long as the folder is large.

    Args:
        layout: of the root.
        assistant_id: whose.
        seen: what was remembered of it, which is brought up to date. What has not changed since is not read again:
            that takes a look at each file and folder of the code, up to `MOST_FILES` each.

    Raises:
        InvalidRequest: a link leads out of `src`, or out of the root (`outside_root`); its environment is of another
            Python (`other_python`); it is in JavaScript, and Node is not there (`no_node`), or it is in both
            (`two_indexes`); the id cannot be a name.
    """
    seen = Seen() if seen is None else seen
    folder = layout.assistant_folder(assistant_id)
    src = os.path.join(folder, SRC)
    there = _there(src)
    if not there:
        return None
    index = there[0]
    if len(there) > 1:
        raise InvalidRequest(f"{src} has both an {INDEX} and an {NODE_INDEX}. Keep one.", code="two_indexes")
    check_inside(layout.root, folder)
    check_inside(folder, src)
    now = time.time_ns()
    listed = _listed(src, seen, now)
    for path in (path for one in listed for path in one.links):
        check_inside(src, path)
    names = sorted(path for one in listed for path in one.files if path.endswith(SUFFIXES[index]))
    file = os.path.join(folder, ASSISTANT_FILE)
    python = index == INDEX
    installed = (folder, ENVIRONMENT, "pyvenv.cfg") if python else (src, MODULES, ".package-lock.json")
    files = [*names[:MOST_FILES], file, os.path.join(*installed)]
    seen.files = len(files) + len(listed)
    signatures = tuple((path, signature(path)) for path in files)
    few = len(names) <= MOST_FILES and len(listed) <= MOST_FILES
    return Source(
        assistant_id,
        folder,
        src,
        index=os.path.join(src, index),
        node=None if python else _node(assistant_id),
        packages=_packages(folder) if python else None,
        network=_network(file, seen, now),
        signatures=signatures,
        settled=few and all(is_settled(one, now) for _, one in signatures),
    )


def is_there(layout: Layout, assistant_id: str) -> bool:
    """Whether an assistant has code; two looks at the disk.

    Raises:
        InvalidRequest: the id cannot be a name.
    """
    return bool(_there(os.path.join(layout.assistant_folder(assistant_id), SRC)))


def _there(src: str) -> list[str]:
    return [name for name in SUFFIXES if signature(os.path.join(src, name)) is not None]


def _listed(src: str, seen: Seen, now: int) -> list[Listed]:
    """What is in the folders of the code, each looked into only where it has changed."""
    found, kept, waiting = [], {}, [src]
    while waiting:
        path = waiting.pop()
        one = seen.folders.get(path)
        if one is None or one.signature != signature(path):
            one = _look_into(path)
        if is_settled(one.signature, now):  # else a change after this one may not show
            kept[path] = one
        found.append(one)
        waiting += one.folders
    seen.folders = kept
    return found


def _look_into(path: str) -> Listed:
    before = signature(path)
    files, folders, links = [], [], []
    suffixes = tuple(suffix for those in SUFFIXES.values() for suffix in those)
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    links.append(entry.path)
                elif entry.is_dir() and entry.name not in NOT_LOOKED_INTO and entry.name[0] != ".":
                    folders.append(entry.path)
                if entry.name.endswith(suffixes):
                    files.append(entry.path)
    except OSError:  # it went just now, or is closed to this user, and so to the code
        return Listed(None, (), (), ())
    return Listed(before, tuple(files), tuple(folders), tuple(links))


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
            f"{path} is a link that leads out of {folder}; the code of an assistant is all in there. "
            "Put what it leads to in its place.",
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


def _network(file: str, seen: Seen, now: int) -> bool:
    # The API neither shows nor takes this field, so that no request can switch the network on.
    found = signature(file)
    if seen.network is not None and seen.network[0] == found:
        return seen.network[1]
    try:
        network = read_values(file).get("network") is True
    except (OSError, Damaged):
        network = False
    seen.network = (found, network) if is_settled(found, now) else None
    return network
