"""What stands around a process of code: bubblewrap on Linux, where it is installed and works; less elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

import jan_code
from jan_code import start_node
from jan_code.source import ENVIRONMENT, SRC, Source
from jan_core.folder.layout import ASSISTANT_FILE

TRY_SECONDS = 20.0
"""The longest that trying bubblewrap may take."""
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
"""Of the system, what Python needs."""
NODE_FILES = ("/usr/share/nodejs",)
"""What a Node of Debian's has outside of its program."""
NODE_BYTES = 704 << 20
"""What Node sets aside for itself at its start, most of it without using it."""
NETWORK = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
)
"""Of the system, what names and certificates are looked up in."""


def python() -> str:
    """The Python that runs code: the one that runs this server, without its environment."""
    return os.path.realpath(sys.executable)


def home() -> str:
    """The folder that this package lies in, which the child reads."""
    return os.path.dirname(os.path.abspath(jan_code.__file__))


def plain() -> list[str]:
    """The command of a process without walls: Python, which looks at nothing of the user's."""
    return [python(), "-I", "-S", "-u", os.path.join(home(), "start.py")]


def command(bwrap: str | None, source: Source, private: str, given: Mapping[str, int]) -> list[str]:
    """The command of a process of code.

    Args:
        bwrap: the path of bubblewrap; None where it is not to be used.
        source: the code.
        private: the process's own folder, outside of any walls.
        given: the limits; see `limits.of`.
    """
    inner = plain() if source.node is None else with_node(source.node, given)
    return inner if bwrap is None else walled(bwrap, source, private, inner)


def with_node(node: str, given: Mapping[str, int]) -> list[str]:
    """The command of a process without walls for code in JavaScript.

    Args:
        node: the path of Node.
        given: the limits; see `limits.of`.
    """
    child = [f"--max-old-space-size={given['memory'] >> 20}", os.path.join(home(), "node", "child.mjs")]
    if sys.platform == "win32":
        return [node, *child, "0", "1"]
    told = json.dumps({**given, "memory": given["memory"] + NODE_BYTES})
    numbers = [str(start_node.INCOMING), str(start_node.OUTGOING)]
    return [python(), "-I", "-S", os.path.join(home(), "start_node.py"), told, node, *child, *numbers]


def environment(private: str) -> dict[str, str]:
    """All the environment variables of a process of code.

    Args:
        private: its own folder, for files that nobody keeps.
    """
    told = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": private, "TMPDIR": private, "LANG": "C.UTF-8"}
    told["PYTHONUTF8"] = "1"
    if sys.platform == "win32":
        told |= {"TEMP": private, "TMP": private, "USERPROFILE": private}
        # Windows starts no Python without this.
        told["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", r"C:\Windows")
        told["PATH"] = os.path.join(told["SYSTEMROOT"], "System32")
    return told


def find_bwrap() -> tuple[str | None, str]:
    """Look for bubblewrap, and try it. Blocks.

    Returns:
        Its path, or None; and a sentence that says what was found.
    """
    if not sys.platform.startswith("linux"):
        return None, "bubblewrap is for Linux only."
    path = shutil.which("bwrap")
    if path is None:
        return None, "bubblewrap (bwrap) is not installed."
    command = [path, *_around("/", None, network=False), python(), "-I", "-S", "-c", "pass"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRY_SECONDS, check=False, env={})
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"bubblewrap does not work here: {error}."
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return None, f"bubblewrap does not work here: {last[:300]}."
    return path, f"{path} works."


def walled(bwrap: str, source: Source, private: str, inner: Sequence[str]) -> list[str]:
    """The command of a process inside walls: it sees its code, Python, and a folder of its own, and nothing else.

    Its code is `src`, `.venv` and `assistant.json`, those that are there.

    Args:
        bwrap: the path of bubblewrap.
        source: the code.
        private: the folder of its own, outside; inside it is `/tmp`.
        inner: the command without them.
    """
    folder = source.folder
    own = []
    # Not the folder itself: what was said to the assistant, now or later, is no business of its code.
    for name in (SRC, ENVIRONMENT, ASSISTANT_FILE):
        path = os.path.join(folder, name)
        if os.path.exists(path) and not (name == ASSISTANT_FILE and os.path.islink(path)):
            own += ["--ro-bind", os.path.realpath(path), path]
    for path in (source.node, *NODE_FILES) if source.node is not None else ():
        if path is not None and os.path.exists(path):
            own += ["--ro-bind", path, path]
    return [bwrap, *_around(private, own, network=source.network), *inner]


def _around(private: str, own: list[str] | None, *, network: bool) -> list[str]:
    found = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "jan"]
    if network:
        found.append("--share-net")
    found += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    found += ["--bind", private, "/tmp"] if own is not None else ["--dir", "/tmp"]
    for path in (*SYSTEM, sys.base_prefix, *(NETWORK if network else ())):
        if os.path.islink(path) and path in SYSTEM and os.path.isdir(path):
            found += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            found += ["--ro-bind", path, path]
    found += ["--ro-bind", home(), home(), *(own or []), "--remount-ro", "/", "--chdir", "/tmp"]
    return found
